# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
"""The program that solves one pair: from its costs and weights in memory to the plan and what is measured on it.

Axes: B pairs, W words, R = K x L regions in tiles (K, W, L), as in `uniter_ot.backends.triton.loop`.
"""

import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]

from uniter_ot.backends.triton.loop import (
    iterate,
    log_density,
    max_regions,
    max_words,
    on_grid,
    scalar,
    sum_regions,
    sum_words,
)

__all__ = ["ipot_kernel"]

INFINITY = tl.constexpr(float("inf"))
LARGEST = tl.constexpr(1e36)  # P X beyond this counts as overflow, so that it cannot be taken for a logarithm of 0
WIDE = tl.constexpr(64.0)  # steps p X up to here are taken in float32
TAME = tl.constexpr(48.0)  # sums of 2^-48 to 2^48 miss less than 2^-30 of themselves when terms underflow at 2^-126


@triton.jit
def _power_of_two_below(x):
    """Largest power of two that is at most x, a positive float32: its mantissa is cleared."""
    return (x.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)


@triton.jit
def _from_one(x_high, x_low, a, b, log_sigma, grid, stages, counts, powers, inner, relaxation, CAREFUL: tl.constexpr):
    """`iterate` from T = 1, whose density is 1 / (a b)."""
    f, g = -tl.log2(tl.where(a > 0, a, 1)), -tl.log2(tl.where(b > 0, b, 1))
    return iterate(
        x_high, x_low, a, b, f, g, log_sigma, grid, stages, counts, powers, inner, relaxation, CAREFUL=CAREFUL
    )


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
    largest_power: tl.float32,
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
    both = tl.minimum(max_words(a), max_regions(b)) > 0
    a, b = tl.where(both & (a > 0), a, 0), tl.where(both & (b > 0), b, 0)
    word_real, region_real = a > 0, b > 0
    real = word_real & region_real

    # Take each region's, then each word's smallest cost away: plans do not change, and X is small where mass can be.
    cost = tl.load(cost_pointer + entry, mask=real, other=0)
    finite = tl.abs(cost) < INFINITY
    x = tl.where(finite, cost, 0).to(tl.float64)
    region_shift = tl.where(region_real, -max_words(tl.where(real, -x, -INFINITY)), 0)
    x = tl.where(real, x - region_shift, 0)
    spread = max_words(max_regions(x)) / unit
    word_shift = tl.where(word_real, -max_regions(tl.where(real, -x, -INFINITY)), 0)
    valid = (max_words(max_regions((finite == 0).to(tl.int32))) == 0) & (spread * total_power < LARGEST)
    x = tl.where(real & valid, (x - word_shift) / unit, 0)

    # Sums of high parts stay below 2^24 grids in float32 and 2^53 in float64. At a fixed point an iteration adds at
    # most log2 of the number of words to F, hence the 8.
    largest_x = max_words(max_regions(x)).to(tl.float32)
    grid = _power_of_two_below(2 * total_power * (largest_x + 8)).to(tl.float64)
    grid *= 0.5**50 if tl.float64 == FLOAT else 0.5**21
    x_high, x_low = on_grid(0.0, x, grid)
    x_high, x_low = x_high.to(FLOAT), x_low.to(FLOAT)

    # Algorithm 1, lines 1 and 2: T = 1, sigma = 1. A region's constant is absorbed in delta at once; a word's constant
    # r is met as sigma = exp(-p r / beta), so that is where sigma starts for the iterates to be the published ones.
    log_sigma = tl.where(valid, -word_shift / unit, 0)
    wide = scalar(largest_x) * largest_power > WIDE
    f_high, f_low, g_high, g_low, largest_update = _from_one(
        x_high,
        x_low,
        a,
        b,
        log_sigma.to(FLOAT),
        grid.to(FLOAT),
        tl.where(wide, 0, stages),
        counts,
        powers,
        inner,
        relaxation,
        CAREFUL=False,
    )
    if wide | (largest_update > TAME):
        # Again in float64, from the costs in memory rather than registers that the quick loop can use.
        again = tl.load(cost_pointer + entry, mask=real & valid, other=0).to(tl.float64)
        again = tl.where(real & valid, (again - region_shift - word_shift) / unit, 0)
        again_high, again_low = on_grid(0.0, again, grid)
        wide_f_high, wide_f_low, wide_g_high, wide_g_low, _ = _from_one(
            again_high,
            again_low,
            a.to(tl.float64),
            b.to(tl.float64),
            log_sigma,
            grid,
            stages,
            counts,
            powers,
            inner,
            relaxation,
            CAREFUL=True,
        )
        f_high, f_low = wide_f_high.to(FLOAT), wide_f_low.to(FLOAT)
        g_high, g_low = wide_g_high.to(FLOAT), wide_g_low.to(FLOAT)

    # One more scaling of the words, to rounding: it also undoes the relaxation of the last one.
    total = tl.full((), total_power, FLOAT)
    logs = log_density(f_high, f_low, g_high, g_low, x_high, x_low, total)
    largest = max_regions(logs)
    plan = tl.exp2(logs - largest) * b
    row_sum = sum_regions(plan)
    plan = tl.where(real, plan * (a / row_sum), 0)
    f_low += tl.log2(tl.where(word_real, a / row_sum, 1)) - largest
    g_low += tl.log2(tl.where(region_real, b, 1))  # from density to plan

    # Results. What could not be computed is NaN, not wrong.
    nan = tl.where(valid, 0.0, float("nan")).to(FLOAT)
    tl.store(plan_pointer + entry, tl.where(real, plan + nan, 0), mask=(i < words) & (j < regions))
    mass = plan.to(tl.float64)
    cost = tl.load(cost_pointer + entry, mask=real, other=0)
    tl.store(distance_pointer + pair, scalar(sum_words(sum_regions(mass * cost.to(tl.float64))) + nan))
    tl.store(word_error_pointer + pair, scalar(sum_words(tl.abs(sum_regions(mass) - a.to(tl.float64))) + nan))
    tl.store(region_error_pointer + pair, scalar(sum_regions(tl.abs(sum_words(mass) - b.to(tl.float64))) + nan))
    f = (f_high.to(tl.float64) + f_low) * unit / total_power + word_shift + nan
    g = (g_high.to(tl.float64) + g_low) * unit / total_power + region_shift + nan
    tl.store(word_potential_pointer + pair * words + i, tl.where(word_real, f, 0), mask=i < words)
    tl.store(region_potential_pointer + pair * regions + j, tl.where(region_real, g, 0), mask=j < regions)
