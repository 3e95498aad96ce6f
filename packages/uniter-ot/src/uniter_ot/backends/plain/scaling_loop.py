"""Algorithm 1 on scalings that are kept apart from the kernel: a few multiplications an entry and sweep.

Axes: B pairs, W words, R regions.
"""

import torch
from torch import Tensor

from uniter_ot.backends.plain.reduced import Reduced, State, start_of_stage
from uniter_ot.backends.solution import Steps

__all__ = ["LARGEST_SCALING_RANGE", "scaling_loop"]

LARGEST_SCALING_RANGE = 24.0
"""exp(-24) is 4e-11: kernels down to there lose nothing that float32 could show."""

UNDERFLOWN = 1e-15
"""Entries of Q below this are too small to be multiplied on: they are revived from the potentials."""

SMALLEST_SIGMA = 1e-26
"""A word that falls this far behind would drop out of float32 sums, and its scaling be lost."""


def scaling_loop(
    problem: Reduced, state: State, stage: tuple[int, int], steps: Steps, *, final: bool, dtype: torch.dtype
) -> tuple[Tensor, State]:
    """One stage on T = S * Q * D: Q holds powers of the kernel, S and D the scalings since Q last absorbed them.

    Q is kept twice, as it is and transposed: both sums of line 7 are then a row times a matrix, which is several times
    faster than a matrix times a column. The two lie in one piece of memory, so that line 5 is one multiplication.

    Args:
        problem: what to solve; the largest exponent times the stage's power at most `LARGEST_SCALING_RANGE`.
        state: where to go on from.
        stage: (iterations, power).
        steps: inner updates and relaxation.
        final: whether this is the last stage, which ends with an exact word marginal.
        dtype: what to compute in.

    Returns:
        The plan (B, W, R) and the new state.
    """
    iterations, power = stage
    exponents = problem.exponents.to(dtype)
    # The sweeps raise the kernel to a power, and its rounding error with it: it is rounded once, and not through X.
    kernels, _, _ = _twice(problem.exponents.mul(-power).exp_().mul_(problem.real), dtype)
    absorb_every = int(min(LARGEST_SCALING_RANGE // max(problem.exponents.amax().item() * power, 1.0), 16))
    # Kernel entries of absent points are 0, and so would be their denominators; the pads make both sides 1.
    word_pad, region_pad = (problem.word_weights == 0).to(dtype).mT, (problem.region_weights == 0).to(dtype)
    a, b = problem.word_weights.to(dtype).mT + word_pad, problem.region_weights.to(dtype) + region_pad

    # From here on, scalings are rows: s and sigma (B, 1, W), d and delta (B, 1, R).
    word_log, region_log, total = state.word_log.mT, state.region_log, state.power
    plan = (state.word_log + region_log).sub_(problem.exponents, alpha=total).exp_() if total else torch.ones_like(a.mT)
    qs, q, q_t = _twice(plan.expand_as(exponents), dtype)
    log_sigma, log_delta = start_of_stage(state, power)
    sigma, delta = (scaling.to(dtype) for scaling in _levelled(log_sigma.mT.exp(), log_delta.exp(), word_pad))
    s, d = torch.ones_like(a), torch.ones_like(b)
    first = state.power == 0
    for t in range(1, iterations + 1):
        qs *= kernels  # line 5
        total += power
        # T, and so this Q, holds S once already (line 9); line 7 multiplies by the last sigma once more.
        s_before, d_before, s = s, d, s * sigma
        for k in range(1, steps.inner + 1):  # line 6
            last = final and t == iterations and k == steps.inner
            new = b / torch.baddbmm(region_pad, s, q)  # line 7
            d = new if first else _relaxed(new, delta * d_before, steps)
            new = a / torch.baddbmm(word_pad, d, q_t)
            s = new if first or last else _relaxed(new, s, steps)
            first = False
            delta = d / d_before if steps.relaxation != 1 else d  # which only relaxed updates look at
        sigma = s / s_before
        if t % absorb_every == 0 and t < iterations:
            word_log, region_log = word_log + s.log(), region_log + d.log()
            revived = torch.add(word_log.mT.to(dtype), region_log.to(dtype)).sub_(exponents, alpha=total)
            revived.clamp_(-60, -32).exp_()
            q.mul_(s.mT).mul_(d)
            q_t.copy_(torch.where(q < UNDERFLOWN, revived, q, out=q).mT)
            sigma, delta = _levelled(sigma, delta, word_pad)
            s, d = torch.ones_like(s), torch.ones_like(d)
    plan = q.mul_(s.mT).mul_(d)  # line 9
    word_log, region_log = word_log + s.log(), region_log + d.log()
    log_sigma, log_delta = (scaling.log().to(word_log.dtype) for scaling in (sigma.mT, delta))
    return plan, State(word_log.mT, region_log, total, log_sigma, log_delta, power)


def _twice(matrices: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices (B, W, R) copied next to their transposes: the piece of memory, and both as views of it."""
    pairs, words, regions = matrices.shape
    both = matrices.new_empty(2, matrices.numel(), dtype=dtype)
    straight, turned = both[0].view(pairs, words, regions), both[1].view(pairs, regions, words)
    turned.copy_(straight.copy_(matrices).mT)
    return both, straight, turned


def _relaxed(new: Tensor, old: Tensor, steps: Steps) -> Tensor:
    if steps.relaxation == 1:
        return new
    return old ** (1 - steps.relaxation) * new**steps.relaxation


def _levelled(sigma: Tensor, delta: Tensor, word_pad: Tensor) -> tuple[Tensor, Tensor]:
    """Sigma with a largest entry of 1, delta grown by as much: a common factor would add up, sweep after sweep."""
    largest = (sigma * (1 - word_pad)).amax(2, keepdim=True).clamp_min_(1e-30)
    return (sigma / largest).clamp_min_(SMALLEST_SIGMA), delta * largest
