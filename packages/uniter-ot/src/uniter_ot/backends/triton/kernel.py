# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
"""Algorithm 1 as one Triton program a pair: the whole tile of costs stays in registers from first to last iteration.

Axes: W words, R = K x L regions: K chunks of L = 32 lanes, a warp's width. Tiles are (K, W, L), what belongs to words
is (1, W, 1), to regions (K, 1, L); W and K are padded to powers of two. Threads are laid along the last axis, warps
along the words, so that a thread holds a small block of words x chunks. Of a plain (W, R) tile it would hold words
alone, and then more numbers that belong to words than entries of the tile.

The plan T is not stored between iterations. Every update scales rows and columns, so two vectors hold all of it::

    log (T_ij / (a_i b_j)) = F_i + G_j - P X_ij      X = C / beta, P the powers so far

F, G and P X grow with every iteration while the left side does not: float32 would lose it in their difference. So each
is held in two parts, ``high`` a multiple of a grid (a power of two chosen for the pair, so coarse that sums of high
parts are exact) and ``low`` the small rest. What is lost is a rounding of the low parts, about P^2 max(X) / 2^45 in
log T, and the iterations need no float64, of which most GPUs have little.

All logarithms are to base 2, the base that the hardware has.
"""

import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]

__all__ = ["ipot_kernel"]

ABSENT = tl.constexpr(-1e37)  # in place of log 0: infinities would breed NaN in differences
LARGEST = tl.constexpr(1e36)  # P X beyond this counts as overflow, so that it cannot be taken for ABSENT
TAME = tl.constexpr(48.0)  # sums of 2^-48 to 2^48 miss less than 2^-30 of themselves when terms underflow at 2^-126
INFINITY = tl.constexpr(float("inf"))


@triton.jit
def _picked(values, index):
    """values[index] of a tuple of scalars."""
    picked = values[0]
    for k in tl.static_range(1, len(values)):
        picked = tl.where(index == k, values[k], picked)
    return picked


@triton.jit
def _sum_words(x):
    return tl.sum(x, 1, keep_dims=True)


@triton.jit
def _sum_regions(x):
    return tl.sum(tl.sum(x, 0, keep_dims=True), 2, keep_dims=True)


@triton.jit
def _max_words(x):
    return tl.max(x, 1, keep_dims=True)


@triton.jit
def _max_regions(x):
    return tl.max(tl.max(x, 0, keep_dims=True), 2, keep_dims=True)


@triton.jit
def _scalar(x):
    """The one entry of a (1, 1, 1)."""
    return tl.sum(tl.sum(tl.sum(x, 2), 1), 0)


@triton.jit
def _power_of_two_below(x):
    """Largest power of two that is at most x, a positive float32: its mantissa is cleared."""
    return (x.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)


@triton.jit
def _on_grid(high, low, grid):
    """The same sum high + low with every whole multiple of the grid moved to high."""
    whole = tl.floor(low * (1 / grid) + 0.5) * grid
    return high + whole, low - whole


@triton.jit
def _log_density(f_high, f_low, g_high, g_low, x_high, x_low, total):
    """F + G - P X."""
    exact = tl.fma(x_high, -total, f_high + g_high)
    return exact + tl.fma(x_low, -total, f_low + g_low)


@triton.jit
def _iterate(  # noqa: PLR0913
    x_high, x_low, a, b, f, g, log_sigma, stages, counts, powers, inner, relaxation, grid, CAREFUL: tl.constexpr
):
    """All of Algorithm 1 from T = exp(F + G) on: F and G in two parts, P, and how large the largest update was.

    Unless it is CAREFUL, sums are formed as they come, one exponential an entry for both sides. That is right as long
    as no update is larger than TAME. Otherwise each sum is taken relative to its largest term.
    """
    word_real, region_real = a > 0, b > 0
    f_high, f_low = _on_grid(tl.where(word_real, 0.0, ABSENT).to(f.dtype), f, grid)
    g_high, g_low = _on_grid(tl.where(region_real, 0.0, ABSENT).to(g.dtype), g, grid)
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
                log_density = _log_density(f_high, f_low + log_sigma, g_high, g_low + log_delta, x_high, x_low, total)
                if CAREFUL:
                    largest = _max_words(log_density)
                    density = tl.exp2(log_density - largest)
                    update = -step * (largest + tl.log2(_sum_words(density * a)))
                else:
                    density = tl.exp2(log_density)
                    update = -step * tl.log2(_sum_words(density * a))
                update = tl.where(region_real, update, 0)
                log_delta += update
                region_largest = tl.maximum(region_largest, tl.abs(update))
                if CAREFUL:
                    log_density += update
                    largest = _max_regions(log_density)
                    density = tl.exp2(log_density - largest)
                    update = -step * (largest + tl.log2(_sum_regions(density * b)))
                else:
                    update = -step * tl.log2(_sum_regions(density * (b * tl.exp2(update))))
                update = tl.where(word_real, update, 0)
                log_sigma += update
                word_largest = tl.maximum(word_largest, tl.abs(update))
                step = tl.full((), relaxation, f.dtype)
            f_high, f_low = _on_grid(f_high, f_low + log_sigma, grid)  # line 9
            g_high, g_low = _on_grid(g_high, g_low + log_delta, grid)
    largest_update = tl.maximum(_max_words(word_largest), _max_regions(region_largest))
    return f_high, f_low, g_high, g_low, total, _scalar(largest_update)


@triton.jit(do_not_specialize=["words", "regions", "stages", "inner"])
def ipot_kernel(  # noqa: PLR0913
    cost_pointer,  # (B, W, R), this and all others contiguous
    word_weight_pointer,  # (B, W)
    region_weight_pointer,  # (B, R)
    plan_pointer,  # (B, W, R), this and the following are written
    distance_pointer,  # (B,)
    word_error_pointer,  # (B,)
    region_error_pointer,  # (B,)
    word_potential_pointer,  # (B, W)
    region_potential_pointer,  # (B, R)
    words,
    regions,
    unit: tl.float64,  # beta ln 2, the cost that makes 1 in X
    relaxation: tl.float64,
    total_power: tl.float32,
    stages,  # how many of counts and powers are in use
    counts,  # a tuple: iterations of each stage, as floats: integers in tuples would be compiled in
    powers,  # a tuple: power of each stage, likewise
    inner,
    WORDS: tl.constexpr,
    CHUNKS: tl.constexpr,
    LANES: tl.constexpr,
    FLOAT: tl.constexpr,
):
    """Solve one pair. Only the sizes of the tile and its dtype are compiled in: other steps take no new kernel."""
    pair = tl.program_id(0).to(tl.int64)  # B W R may pass 2^31
    cost_pointer += pair * words * regions
    plan_pointer += pair * words * regions
    i = tl.arange(0, WORDS)[None, :, None]
    j = tl.arange(0, CHUNKS)[:, None, None] * LANES + tl.arange(0, LANES)[None, None, :]
    entry = i * regions + j
    a = tl.load(word_weight_pointer + pair * words + i, mask=i < words, other=0).to(FLOAT)
    b = tl.load(region_weight_pointer + pair * regions + j, mask=j < regions, other=0).to(FLOAT)
    # Points of weight 0 are absent, and so is everything in a pair that lacks one side.
    both = tl.minimum(_max_words(a), _max_regions(b)) > 0
    a, b = tl.where(both & (a > 0), a, 0), tl.where(both & (b > 0), b, 0)
    word_real, region_real = a > 0, b > 0
    real = word_real & region_real

    # Take each region's, then each word's smallest cost away: plans do not change, and X is small where mass can be.
    cost = tl.load(cost_pointer + entry, mask=real, other=0)
    finite = tl.abs(cost) < INFINITY
    x = tl.where(finite, cost, 0).to(tl.float64)
    region_shift = tl.where(region_real, -_max_words(tl.where(real, -x, -INFINITY)), 0)
    x = tl.where(real, x - region_shift, 0)
    spread = _max_words(_max_regions(x)) / unit
    word_shift = tl.where(word_real, -_max_regions(tl.where(real, -x, -INFINITY)), 0)
    all_finite = _max_words(_max_regions((finite == 0).to(tl.int32))) == 0
    valid = all_finite & (spread * total_power < LARGEST)
    x = tl.where(real & valid, (x - word_shift) / unit, 0)

    # Sums of high parts stay below 2^24 grids in float32 and 2^53 in float64. At a fixed point an iteration adds at
    # most log2 of the number of words to F, hence the 8.
    bound = 2 * total_power * (_max_words(_max_regions(x)).to(tl.float32) + 8)
    grid = _power_of_two_below(bound).to(FLOAT) * (0.5**50 if tl.float64 == FLOAT else 0.5**21)
    x_high, x_low = _on_grid(0.0, x, grid.to(tl.float64))
    x_high, x_low = x_high.to(FLOAT), x_low.to(FLOAT)

    # Algorithm 1, lines 1 and 2: T = 1, sigma = 1. A region's constant is absorbed in delta at once; a word's constant
    # r is met as sigma = exp(-p r / beta), so that is where sigma starts for the iterates to be the published ones.
    log_sigma = tl.where(valid, -word_shift / unit, 0).to(FLOAT)
    f, g = -tl.log2(tl.where(word_real, a, 1)), -tl.log2(tl.where(region_real, b, 1))
    f_high, f_low, g_high, g_low, total, largest_update = _iterate(
        x_high, x_low, a, b, f, g, log_sigma, stages, counts, powers, inner, relaxation, grid, CAREFUL=False
    )
    if largest_update > TAME:
        f_high, f_low, g_high, g_low, total, largest_update = _iterate(
            x_high, x_low, a, b, f, g, log_sigma, stages, counts, powers, inner, relaxation, grid, CAREFUL=True
        )

    # One more scaling of the words, to rounding: it also undoes the relaxation of the last one.
    log_density = _log_density(f_high, f_low, g_high, g_low, x_high, x_low, total)
    largest = _max_regions(log_density)
    plan = tl.exp2(log_density - largest) * b
    row_sum = _sum_regions(plan)
    plan = tl.where(real, plan * (a / row_sum), 0)
    f_low += -largest - tl.log2(row_sum) - f
    g_low -= g  # from density to plan

    # Results. What could not be computed is NaN, not wrong.
    nan = tl.where(valid, 0.0, float("nan")).to(FLOAT)
    tl.store(plan_pointer + entry, tl.where(real, plan + nan, 0), mask=(i < words) & (j < regions))
    wide = plan.to(tl.float64)
    cost = tl.load(cost_pointer + entry, mask=real, other=0).to(tl.float64)  # again, rather than hold it in registers
    tl.store(distance_pointer + pair, _scalar(_sum_words(_sum_regions(wide * cost)) + nan))
    tl.store(word_error_pointer + pair, _scalar(_sum_words(tl.abs(_sum_regions(wide) - a.to(tl.float64))) + nan))
    tl.store(region_error_pointer + pair, _scalar(_sum_regions(tl.abs(_sum_words(wide) - b.to(tl.float64))) + nan))
    f = (f_high.to(tl.float64) + f_low) * unit / total_power + word_shift + nan
    g = (g_high.to(tl.float64) + g_low) * unit / total_power + region_shift + nan
    tl.store(word_potential_pointer + pair * words + i, tl.where(word_real, f, 0), mask=i < words)
    tl.store(region_potential_pointer + pair * regions + j, tl.where(region_real, g, 0), mask=j < regions)
