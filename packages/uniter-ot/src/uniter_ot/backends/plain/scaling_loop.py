"""Algorithm 1 on scalings that are kept apart from the kernel: a few multiplications an entry and sweep.

Axes: B pairs, W words, R regions; the pairs are last.
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

    Args:
        problem: what to solve; the largest exponent times the stage's power at most `LARGEST_SCALING_RANGE`.
        state: where to go on from.
        stage: (iterations, power).
        steps: inner updates and relaxation.
        final: whether this is the last stage, which ends with an exact word marginal.
        dtype: what to compute in.

    Returns:
        The plan (W, R, B) and the new state.
    """
    iterations, power = stage
    exponents = problem.exponents.to(dtype)
    # The sweeps raise the kernel to a power, and its rounding error with it: it is rounded once, and not through X.
    kernel = problem.exponents.mul(-power).exp_().mul_(problem.real).to(dtype)
    absorb_every = int(min(LARGEST_SCALING_RANGE // max(problem.exponents.amax().item() * power, 1.0), 16))
    # Kernel entries of absent points are 0, and so would be their denominators; the pads make both sides 1.
    word_pad, region_pad = (problem.word_weights == 0).to(dtype), (problem.region_weights == 0).to(dtype)
    a, b = problem.word_weights.to(dtype) + word_pad, problem.region_weights.to(dtype) + region_pad

    word_log, region_log, total = state.word_log, state.region_log, state.power
    q = (word_log + region_log).sub(problem.exponents, alpha=total).exp_().to(dtype)
    log_sigma, log_delta = start_of_stage(state, power)
    sigma, delta = _levelled(log_sigma.exp(), None if log_delta is None else log_delta.exp(), word_pad)
    sigma, delta = sigma.to(dtype), None if delta is None else delta.to(dtype)
    s, d = torch.ones_like(a), torch.ones_like(b)
    product = torch.empty_like(q)
    for t in range(1, iterations + 1):
        q *= kernel  # line 5
        total += power
        # T, and so this Q, holds S once already (line 9); line 7 multiplies by the last sigma once more.
        s_before, d_before, s = s, d, s * sigma
        for k in range(1, steps.inner + 1):  # line 6
            first, last = delta is None, final and t == iterations and k == steps.inner
            new = b / torch.mul(q, s, out=product).sum(0, keepdim=True).add_(region_pad)  # line 7
            d = new if delta is None else _relaxed(new, delta * d_before, steps)
            new = a / torch.mul(q, d, out=product).sum(1, keepdim=True).add_(word_pad)
            s = new if first or last else _relaxed(new, s, steps)
            delta = d / d_before
        sigma = s / s_before
        if t % absorb_every == 0 and t < iterations:
            word_log, region_log = word_log + s.log(), region_log + d.log()
            revived = (word_log + region_log).to(dtype).sub(exponents, alpha=total).clamp_(-60, -32).exp_()
            q.mul_(s).mul_(d)
            q = torch.where(q < UNDERFLOWN, revived, q)
            sigma, delta = _levelled(sigma, delta, word_pad)
            s, d = torch.ones_like(s), torch.ones_like(d)
    q.mul_(s).mul_(d)  # line 9
    log_delta = None if delta is None else delta.log().to(word_log.dtype)
    return q, State(word_log + s.log(), region_log + d.log(), total, sigma.log().to(word_log.dtype), log_delta, power)


def _relaxed(new: Tensor, old: Tensor, steps: Steps) -> Tensor:
    if steps.relaxation == 1:
        return new
    return old ** (1 - steps.relaxation) * new**steps.relaxation


def _levelled(sigma: Tensor, delta: Tensor | None, word_pad: Tensor) -> tuple[Tensor, Tensor | None]:
    """Sigma with a largest entry of 1, delta grown by as much: a common factor would add up, sweep after sweep."""
    largest = (sigma * (1 - word_pad)).amax(0, keepdim=True).clamp_min_(1e-30)
    return (sigma / largest).clamp_min_(SMALLEST_SIGMA), None if delta is None else delta * largest
