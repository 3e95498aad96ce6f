# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
"""Algorithm 1 on a tile of costs that stays in registers from first to last iteration.

Axes: W words, R = K x L regions: K chunks of L = 32 lanes, a warp's width. Tiles are (K, W, L), what belongs to words
is (1, W, 1), to regions (K, 1, L); W and K are padded to powers of two. Threads are laid along the last axis, warps
along the words, so that a thread holds a small block of words x chunks. Of a plain (W, R) tile it would hold words
alone, and then more numbers that belong to words than entries of the tile.

The plan T is not stored between iterations. Every update scales rows and columns, so two vectors hold all of it::

    log (T_ij / (a_i b_j)) = F_i + G_j - P X_ij      X = C / beta, P the powers so far

F, G and P X grow with every iteration while the left side does not: float32 would lose it in their difference. So each
is held in two parts, ``high`` a multiple of a grid (a power of two chosen for the pair, so coarse that sums of high
parts are exact) and ``low`` the small rest. What is lost is a rounding of the low parts, about P^2 max(X) / 2^45 in
log T. So most pairs need no float64, of which most GPUs have little. Pairs of a wide range do: there the iteration
itself magnifies the rounding of an update, 10^5-fold within 500 iterations at a range of 400.

All logarithms are to base 2, the base that the hardware has.
"""

import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]

__all__ = ["iterate", "log_density", "max_regions", "max_words", "on_grid", "scalar", "sum_regions", "sum_words"]

ABSENT = tl.constexpr(-1e37)  # in place of log 0: infinities would breed NaN in differences


@triton.jit
def sum_words(x):
    """(K, W, L) -> (K, 1, L)."""
    return tl.sum(x, 1, keep_dims=True)


@triton.jit
def sum_regions(x):
    """(K, W, L) -> (1, W, 1)."""
    return tl.sum(tl.sum(x, 0, keep_dims=True), 2, keep_dims=True)


@triton.jit
def max_words(x):
    """(K, W, L) -> (K, 1, L)."""
    return tl.max(x, 1, keep_dims=True)


@triton.jit
def max_regions(x):
    """(K, W, L) -> (1, W, 1)."""
    return tl.max(tl.max(x, 0, keep_dims=True), 2, keep_dims=True)


@triton.jit
def scalar(x):
    """The one entry of a (1, 1, 1)."""
    return tl.sum(tl.sum(tl.sum(x, 2), 1), 0)


@triton.jit
def on_grid(high, low, grid):
    """The same sum high + low with every whole multiple of the grid moved to high."""
    whole = tl.floor(low * (1 / grid) + 0.5) * grid
    return high + whole, low - whole


@triton.jit
def log_density(f_high, f_low, g_high, g_low, x_high, x_low, total):
    """F + G - P X."""
    exact = tl.fma(x_high, -total, f_high + g_high)
    return exact + tl.fma(x_low, -total, f_low + g_low)


@triton.jit
def _picked(values, index):
    """values[index] of a tuple of scalars."""
    picked = values[0]
    for k in tl.static_range(1, len(values)):
        picked = tl.where(index == k, values[k], picked)
    return picked


@triton.jit
def iterate(  # noqa: PLR0913
    x_high, x_low, a, b, f, g, log_sigma, grid, stages, counts, powers, inner, relaxation, CAREFUL: tl.constexpr
):
    """All of Algorithm 1 from T = exp(F + G) on, in the dtype of what it is given.

    Unless it is CAREFUL, sums are formed as they come, one exponential an entry for both sides. That is right as long
    as updates stay small enough. Otherwise each sum is taken relative to its largest term.

    Returns:
        F and G in two parts, and the magnitude of the largest update.
    """
    word_real, region_real = a > 0, b > 0
    f_high, f_low = on_grid(tl.where(word_real, 0.0, ABSENT).to(f.dtype), f, grid)
    g_high, g_low = on_grid(tl.where(region_real, 0.0, ABSENT).to(g.dtype), g, grid)
    log_delta = tl.zeros_like(g)
    word_largest, region_largest = tl.zeros_like(f), tl.zeros_like(g)
    last_power = tl.full((), 1, f.dtype)
    total = tl.full((), 0, f.dtype)
    step = tl.full((), 1, f.dtype)  # the first update of either side has no old value to go on from
    for stage in range(stages):
        power = tl.full((), _picked(powers, stage), f.dtype)
        log_sigma, log_delta = log_sigma * (power / last_power), log_delta * (power / last_power)
        last_power = power
        for _ in range(_picked(counts, stage).to(tl.int32)):
            total += power  # line 5: P X holds one more C / beta
            for _ in range(inner):  # line 6
                # Line 7, twice. With the old scalings T is nearly right already: its sums, as shares of the demand, are
                # nearly 1, and what they miss is the update.
                logs = log_density(f_high, f_low + log_sigma, g_high, g_low + log_delta, x_high, x_low, total)
                if CAREFUL:
                    largest = max_words(logs)
                    reached = largest + tl.log2(sum_words(tl.exp2(logs - largest) * a))
                else:
                    density = tl.exp2(logs)
                    reached = tl.log2(sum_words(density * a))
                update = tl.where(region_real, -step * reached, 0)
                log_delta += update
                region_largest = tl.maximum(region_largest, tl.abs(update))
                if CAREFUL:
                    logs += update
                    largest = max_regions(logs)
                    reached = largest + tl.log2(sum_regions(tl.exp2(logs - largest) * b))
                else:
                    reached = tl.log2(sum_regions(density * (b * tl.exp2(update))))
                update = tl.where(word_real, -step * reached, 0)
                log_sigma += update
                word_largest = tl.maximum(word_largest, tl.abs(update))
                step = tl.full((), relaxation, f.dtype)
            f_high, f_low = on_grid(f_high, f_low + log_sigma, grid)  # line 9
            g_high, g_low = on_grid(g_high, g_low + log_delta, grid)
    largest_update = tl.maximum(max_words(word_largest), max_regions(region_largest))
    return f_high, f_low, g_high, g_low, scalar(largest_update)
