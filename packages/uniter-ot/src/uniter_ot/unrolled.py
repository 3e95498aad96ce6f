"""Algorithm 1 as autograd can follow it: every iteration a node of the graph.

For study, and as the slow reference that the fast loops are compared with.

Axes: B pairs, W words, R regions.
"""

import torch
from torch import Tensor

from uniter_ot.backends.solution import Steps
from uniter_ot.problem import Problem

__all__ = ["unrolled_plan"]

# A finite stand-in for log 0: infinities would breed NaN in gradients.
ABSENT = -1e30


def unrolled_plan(problem: Problem, steps: Steps) -> Tensor:
    """The plan (B, W, R) as a differentiable function of the cost, to any order; memory grows with the iterations."""
    a, b, real = problem.word_weights, problem.region_weights, problem.real
    exponents = problem.real_cost / steps.beta
    log_a, log_b = a.clamp_min(1e-30).log(), b.clamp_min(1e-30).log()
    no_word, no_region = a == 0, b == 0
    log_plan = torch.zeros_like(exponents).masked_fill(~real, ABSENT)
    log_sigma, log_delta = torch.zeros_like(a), torch.zeros_like(b)
    first = True
    last_power, updates = steps.stages[0][1], steps.iterations * steps.inner
    for iterations, power in steps.stages:
        log_sigma = log_sigma * (power / last_power)
        log_delta = log_delta * (power / last_power)
        last_power = power
        for _ in range(iterations):
            log_plan = log_plan - power * exponents  # line 5
            for _ in range(steps.inner):  # line 6
                updates -= 1
                new = (log_b - torch.logsumexp(log_plan + log_sigma[:, :, None], 1)).masked_fill(no_region, 0)  # line 7
                log_delta = new if first else torch.lerp(log_delta, new, steps.relaxation)
                new = (log_a - torch.logsumexp(log_plan + log_delta[:, None, :], 2)).masked_fill(no_word, 0)
                log_sigma = new if first or not updates else torch.lerp(log_sigma, new, steps.relaxation)
                first = False
            log_plan = log_plan + log_sigma[:, :, None] + log_delta[:, None, :]  # line 9
    return log_plan.exp() * real
