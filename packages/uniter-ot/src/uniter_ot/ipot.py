"""IPOT, the inexact proximal point method for optimal transport: Algorithm 1 of UNITER (Xie et al. 2018), batched.

The problem, for one pair with costs C, demands a of the words and b of the regions::

    min <T, C>   over T >= 0 with   T 1 = a,   T' 1 = b

The method is a sequence of entropic problems, each staying close to the last plan: from T = 1 and sigma = 1 repeat

    Q = exp(-C / beta) * T;   delta = b / (Q' sigma);   sigma = a / (Q delta);   T = diag(sigma) Q diag(delta)

(the paper's Q is region x word, ours word x region; its a and b are 1/m and 1/n). The released code updates the words'
sigma last, which we follow: the word marginal is then exact, the region marginal approximate. The paper's last formula
can be read the other way.

Axes: B pairs, W words, R regions.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_count, check_positive
from uniter_ot.backends import check_backend
from uniter_ot.backends.solution import Steps
from uniter_ot.plan import CONVERGED_ERROR, TransportPlan
from uniter_ot.problem import pose
from uniter_ot.transport import transport

__all__ = ["SCHEDULES", "ipot", "proximal_steps"]

SCHEDULES = ("constant", "staged")
"""What the argument `schedule` may be."""


def ipot(
    cost: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    beta: float = 0.5,
    iterations: int = 50,
    inner: int = 1,
    schedule: str = "constant",
    relaxation: float = 1.0,
    backend: str = "auto",
) -> TransportPlan:
    """Transport every pair's words to its regions (UNITER, Algorithm 1).

    Args:
        cost: (B, W, R) any floating dtype; computed in float32 or wider. Absent entries may hold anything.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        word_weights: (B, W) mass of each word, adding up to 1 over a pair's real words, 0 = absent; None = equal.
        region_weights: (B, R) likewise.
        beta: the step size is 1 / beta: smaller is greedier and harder on the numbers.
        iterations: proximal steps (t in Algorithm 1).
        inner: scaling updates within a step (K in Algorithm 1).
        schedule: "constant", or "staged": beta is halved after 1/5, 2/5 and 3/5 of the iterations, which at no further
            cost comes several times closer to the exact plan.
        relaxation: over-relaxation of the scaling updates (Thibault et al. 2021), from 1 = none to below 4/3, or with
            more inner updates 1 + 3^(-1 / inner), beyond which the method diverges. 1.2 with a beta of 0.2 does well.
        backend: "torch", "cpp" (CPU, compiled on first use), "triton" (CUDA), or "auto", the fastest that can run.

    Returns:
        A `TransportPlan`. The plan is held fixed: only ``distance`` carries a gradient, to ``cost`` alone. A pair
        without words or without regions has plan 0 and distance 0.

    Raises:
        TypeError: integer cost or weights, masks that are not boolean, counts that are not ints.
        ValueError: wrong shapes, beta not above 0, counts below 1, a relaxation that diverges, an unknown schedule or
            backend, weights that are negative or do not add up to 1, a real entry of the cost that is not finite, or
            costs so large against beta that their ratio overflows.
        RuntimeError: a backend asked for by name that cannot run here.

    Example:
        >>> import torch
        >>> swap = ipot(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))
        >>> swap.plan.round(decimals=4)
        tensor([[[0.0000, 0.5000],
                 [0.5000, 0.0000]]])
    """
    steps = proximal_steps(beta=beta, iterations=iterations, inner=inner, schedule=schedule, relaxation=relaxation)
    check_backend(backend)
    problem = pose(
        cost,
        word_mask=word_mask,
        region_mask=region_mask,
        word_weights=word_weights,
        region_weights=region_weights,
    )
    solution = transport(problem.cost, problem.word_weights, problem.region_weights, steps, backend)
    return TransportPlan(
        plan=solution.plan,
        distance=solution.distance,
        word_error=solution.word_error,
        region_error=solution.region_error,
        iterations=iterations,
        converged=torch.maximum(solution.word_error, solution.region_error) <= CONVERGED_ERROR,
        problem=problem,
        word_potential=solution.word_potential,
        region_potential=solution.region_potential,
    )


def proximal_steps(
    *, beta: float = 0.5, iterations: int = 50, inner: int = 1, schedule: str = "constant", relaxation: float = 1.0
) -> Steps:
    """Checked settings of `ipot`.

    Raises:
        TypeError, ValueError: as `ipot` says.
    """
    check_positive("beta", beta)
    check_count("iterations", iterations)
    check_count("inner", inner)
    # A part e of the error that the updates multiply by m obeys e_t+1 = m (2 e_t - e_t-1), as an iteration starts from
    # where the last two point to. That decays for m in [0, 1) and, whatever its sign or phase, for |m| < 1/3; relaxed
    # updates have m of any phase and size (relaxation - 1)^inner.
    limit = 1 + 3 ** (-1 / inner)
    if not 1 <= relaxation < limit:
        raise ValueError(f"relaxation: expected a number in [1, {limit:.4g}), got {relaxation}")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule: expected one of {', '.join(SCHEDULES)}, got {schedule!r}")
    stages = [(iterations, 1)]
    if schedule == "staged":
        fifth = iterations // 5
        stages = [(fifth, 1), (fifth, 2), (fifth, 4), (iterations - 3 * fifth, 8)]
    return Steps(
        beta=float(beta),
        stages=tuple(stage for stage in stages if stage[0]),
        inner=inner,
        relaxation=float(relaxation),
    )
