"""Which pairs are solved together, by which loop, and how their parts become one solution.

On the CPU, pairs of like size are solved together, cropped to the largest of them, in blocks that stay in the cache.

Axes: B pairs, W words, R regions.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from uniter_ot.backends.plain.log_loop import log_loop
from uniter_ot.backends.plain.reduced import Reduced, State, reduce, start
from uniter_ot.backends.plain.scaling_loop import LARGEST_SCALING_RANGE, scaling_loop
from uniter_ot.backends.solution import Solution, Steps, nothing

__all__ = ["BLOCK_ENTRIES", "solve"]

BLOCK_ENTRIES = 100_000
"""Entries (B W R) of a block on the CPU: the loop's arrays of that size stay in the caches."""

SINGLE_BLOCK = 50_000
"""Batches of so few entries, padding included, are one block as they are."""

LARGEST_WORD_ERROR = 1e-4
"""What the scaling loop may miss of the words' marginal (L1) before its plan is taken to be lost."""


@torch.no_grad()
def solve(cost: Tensor, word_weights: Tensor, region_weights: Tensor, steps: Steps) -> Solution:
    """Solve every pair: cost (B, W, R), weights (B, W) and (B, R), all float32 or all float64."""
    if cost.numel() == 0:
        return nothing(cost)
    with torch.autocast(cost.device.type, enabled=False):
        if cost.device.type != "cpu" or cost.numel() <= SINGLE_BLOCK:
            return _solve_block(cost, word_weights, region_weights, steps)
        return _solve_blocks(cost, word_weights, region_weights, steps)


def _solve_blocks(cost: Tensor, word_weights: Tensor, region_weights: Tensor, steps: Steps) -> Solution:
    solution = nothing(cost)
    for rows, words, regions in _blocks(word_weights > 0, region_weights > 0):
        block = _solve_block(
            cost[rows, :words, :regions], word_weights[rows, :words], region_weights[rows, :regions], steps
        )
        solution.plan[rows, :words, :regions] = block.plan
        solution.word_potential[rows, :words] = block.word_potential
        solution.region_potential[rows, :regions] = block.region_potential
        for whole, part in zip(solution[1:4], block[1:4], strict=True):  # distance and both errors
            whole[rows] = part
    return solution


def _blocks(word_present: Tensor, region_present: Tensor) -> Iterator[tuple[Tensor, int, int]]:
    """Rows to solve together, with the words and regions that hold all of theirs; pairs without any are left out."""
    block: list[int] = []
    width = height = 0
    for row, words, regions in _alike(_extent(word_present).tolist(), _extent(region_present).tolist()):
        grown = max(width, words), max(height, regions)
        if block and grown[0] * grown[1] * (len(block) + 1) > BLOCK_ENTRIES:
            yield torch.tensor(block), width, height
            block, grown = [], (words, regions)
        block.append(row)
        width, height = grown
    if block:
        yield torch.tensor(block), width, height


def _alike(words: list[int], regions: list[int]) -> list[tuple[int, int, int]]:
    """(row, words, regions) in an order that puts like next to like: strata of regions, each in order of words."""
    sizes = sorted((n, m, row) for row, (m, n) in enumerate(zip(words, regions, strict=True)) if m and n)
    strata = round((sum(m * n for n, m, _ in sizes) / BLOCK_ENTRIES) ** 0.5) + 1
    share = -(-len(sizes) // strata)
    return [
        (row, m, n)
        for begin in range(0, len(sizes), max(share, 1))
        for m, n, row in sorted((m, n, row) for n, m, row in sizes[begin : begin + share])
    ]


def _extent(present: Tensor) -> Tensor:
    """One more than the place of the last present point of each row: (B, L) -> (B,)."""
    return (present * torch.arange(1, present.shape[1] + 1)).amax(1)


def _solve_block(cost: Tensor, word_weights: Tensor, region_weights: Tensor, steps: Steps) -> Solution:
    problem = reduce(cost, word_weights, region_weights, steps.beta)
    peak = problem.exponents.amax((1, 2))
    sound = peak < float("inf")  # not NaN either
    problem.exponents.masked_fill_(~sound[:, None, None], 0)
    # How many stages are gentle enough for the scaling loop is a matter of each pair alone, not of its company.
    gentle = torch.zeros_like(peak, dtype=torch.long)
    for _, power in steps.stages:
        gentle += ~sound | (peak * power <= LARGEST_SCALING_RANGE)

    plan = torch.empty_like(problem.exponents, dtype=cost.dtype)
    word_log, region_log = torch.empty_like(problem.word_shift), torch.empty_like(problem.region_shift)
    for stages in sorted(set(gentle.tolist())):
        rows = gentle == stages
        if rows.all():
            plan, state = _iterate(problem, steps, stages, cost.dtype)
            word_log, region_log = state.word_log, state.region_log
        else:
            plan[rows], state = _iterate(problem.pairs(rows), steps, stages, cost.dtype)
            word_log[rows], region_log[rows] = state.word_log, state.region_log
    # The words' marginal is exact, unless strong relaxation has driven scalings out of what floats can hold.
    lost = ~((plan.sum(2) - word_weights).abs().sum(1) < LARGEST_WORD_ERROR)
    if lost.any():
        plan[lost], state = _iterate(problem.pairs(lost), steps, 0, cost.dtype)
        word_log[lost], region_log[lost] = state.word_log, state.region_log
    word_log, region_log = word_log * (problem.word_weights > 0), region_log * (problem.region_weights > 0)
    step = steps.beta / steps.total_power
    return _measured(
        plan,
        cost,
        word_weights,
        region_weights,
        (step * word_log + steps.beta * problem.word_shift)[:, :, 0],
        (step * region_log + steps.beta * problem.region_shift)[:, 0],
        sound,
    )


def _iterate(problem: Reduced, steps: Steps, gentle: int, dtype: torch.dtype) -> tuple[Tensor, State]:
    """The plan (B, W, R) after all stages, the first `gentle` of them in the scaling loop, and where that ended."""
    state = start(problem)
    plan = problem.exponents
    for number, stage in enumerate(steps.stages):
        loop = scaling_loop if number < gentle else log_loop
        plan, state = loop(problem, state, stage, steps, final=number == len(steps.stages) - 1, dtype=dtype)
    return plan, state


def _measured(
    plan: Tensor,
    cost: Tensor,
    word_weights: Tensor,
    region_weights: Tensor,
    word_potential: Tensor,
    region_potential: Tensor,
    sound: Tensor,
) -> Solution:
    # Where the plan is 0 the cost may be anything: what is absent may be NaN.
    distance = torch.where(plan == 0, 0, plan * cost).sum((1, 2))
    return Solution(
        plan=plan.masked_fill_(~sound[:, None, None], 0),
        distance=distance.masked_fill_(~sound, float("nan")),
        word_error=(plan.sum(2) - word_weights).abs().sum(1),
        region_error=(plan.sum(1) - region_weights).abs().sum(1),
        word_potential=word_potential.to(cost.dtype),
        region_potential=region_potential.to(cost.dtype),
    )
