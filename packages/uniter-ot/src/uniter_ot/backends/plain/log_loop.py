"""Algorithm 1 on the potentials of the plan, for costs whose kernel would underflow.

Axes: B pairs, W words, R regions.
"""

import torch
from torch import Tensor

from uniter_ot.backends.plain.reduced import Reduced, State, start_of_stage
from uniter_ot.backends.solution import Steps

__all__ = ["log_loop"]

# Finite stand-ins: infinities would breed NaN in differences, and very small numbers are slow.
ABSENT = -1e30
SMALLEST = -80.0


def log_loop(
    problem: Reduced, state: State, stage: tuple[int, int], steps: Steps, *, final: bool, dtype: torch.dtype
) -> tuple[Tensor, State]:
    """One stage in float64, because potentials grow with range times sweeps and the plan is in their differences.

    Args:
        problem: what to solve.
        state: where to go on from.
        stage: (iterations, power).
        steps: inner updates and relaxation.
        final: whether this is the last stage, which ends with an exact word marginal.
        dtype: that of the plan.

    Returns:
        The plan (B, W, R) and the new state.
    """
    iterations, power = stage
    word_log, region_log, total = state.word_log, state.region_log, state.power
    log_sigma, log_delta = start_of_stage(state, power)
    no_word, no_region = problem.word_weights == 0, problem.region_weights == 0
    log_a, log_b = problem.word_weights.log(), problem.region_weights.log()
    first = state.power == 0
    for t in range(1, iterations + 1):
        total += power
        log_q = _log_plan(problem, word_log, region_log, total)  # line 5
        for k in range(1, steps.inner + 1):  # line 6
            last = final and t == iterations and k == steps.inner
            new = (log_b - _log_sum_exp(log_q + log_sigma, 1)).masked_fill_(no_region, 0)  # line 7
            log_delta = new if first else torch.lerp(log_delta, new, steps.relaxation)
            new = (log_a - _log_sum_exp(log_q + log_delta, 2)).masked_fill_(no_word, 0)
            log_sigma = new if first or last else torch.lerp(log_sigma, new, steps.relaxation)
            first = False
        word_log, region_log = word_log + log_sigma, region_log + log_delta  # line 9
    plan = _log_plan(problem, word_log, region_log, total).exp_().to(dtype)
    return plan, State(word_log, region_log, total, log_sigma, log_delta, power)


def _log_plan(problem: Reduced, word_log: Tensor, region_log: Tensor, power: int) -> Tensor:
    return (word_log + region_log).sub(problem.exponents, alpha=power).masked_fill_(~problem.real, ABSENT)


def _log_sum_exp(logits: Tensor, dim: int) -> Tensor:
    largest = logits.amax(dim, keepdim=True)
    return (logits - largest).clamp_min_(SMALLEST).exp_().sum(dim, keepdim=True).log_().add_(largest)
