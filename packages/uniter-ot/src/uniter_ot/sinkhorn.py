"""Sinkhorn's algorithm in the log domain: transport made strictly convex by an entropy (Cuturi 2013), batched.

The problem, for one pair with costs C and demands a of the words and b of the regions::

    min <T, C> + epsilon KL(T | a b')   over T >= 0 with   T 1 = a,   T' 1 = b

Its dual, whose gradient is what the marginals are off by (Peyré and Cuturi 2019, Proposition 4.4)::

    max a.f + b.g - epsilon (sum T - 1)   with   T_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon)

The algorithm maximises over g and f in turn, both in closed form: the soft c-transforms of `LogDomain`. The words come
last: their marginal is exact, the regions' approximate. What it tends to is the blurred plan of this epsilon, where
`ipot` tends to an optimal one.

Axes: B pairs, W words, R regions.
"""

import torch
from torch import Tensor

from uniter_ot.log_domain import LogDomain, check_steps, epsilon_schedule
from uniter_ot.plan import TransportPlan, measured_plan
from uniter_ot.problem import pose
from uniter_ot.range_check import checked_cost

__all__ = ["balanced_potentials", "sinkhorn"]


def sinkhorn(
    cost: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    epsilon: float = 0.05,
    iterations: int = 200,
    annealing: float = 0.5,
) -> TransportPlan:
    """Transport every pair's words to its regions at a fixed blur.

    Args:
        cost: (B, W, R) any floating dtype; computed in float32 or wider. Absent entries may hold anything.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        word_weights: (B, W) mass of each word, adding up to 1 over a pair's real words, 0 = absent; None = equal.
        region_weights: (B, R) likewise.
        epsilon: weight of the entropy, in units of the cost: once converged, the plan's cost is above the optimum by at
            most epsilon log min(W, R).
        iterations: sweeps, each one update of the regions' potentials and one of the words'.
        annealing: share of the sweeps during which epsilon falls from the range of a pair's costs; 0 = constant.

    Returns:
        A `TransportPlan` whose potentials are those of the entropic dual, which nearly solve Kantorovich's. Where
        `converged` is False more iterations are needed; small epsilon and points in distant clusters need many. The
        plan is held fixed: only ``distance`` carries a gradient, to ``cost`` alone. A pair without words or without
        regions has plan 0 and distance 0.

    Raises:
        TypeError: integer cost or weights, masks that are not boolean, iterations not an int.
        ValueError: wrong shapes, epsilon not above 0, iterations below 1, annealing outside [0, 1), weights that are
            negative or do not add up to 1, a real cost that is not finite, or cost / epsilon overflowing.

    Example:
        >>> import torch
        >>> sinkhorn(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), epsilon=0.2).plan.round(decimals=4)
        tensor([[[0.0033, 0.4967],
                 [0.4967, 0.0033]]])
    """
    check_steps(epsilon, iterations, annealing)
    problem = pose(
        cost,
        word_mask=word_mask,
        region_mask=region_mask,
        word_weights=word_weights,
        region_weights=region_weights,
    )
    domain = LogDomain.of(problem, checked_cost(problem, epsilon=epsilon))
    f, g = balanced_potentials(domain, epsilon=epsilon, iterations=iterations, annealing=annealing)
    return measured_plan(
        problem.word_weights[:, :, None] * domain.shares(g, epsilon),
        problem,
        iterations=iterations,
        word_potential=f,
        region_potential=g,
    )


def balanced_potentials(
    domain: LogDomain, *, epsilon: float, iterations: int, annealing: float
) -> tuple[Tensor, Tensor]:
    """Potentials f (B, W) and g (B, R) after that many sweeps; f is the word_transform of g."""
    f, g = torch.zeros_like(domain.log_words), torch.zeros_like(domain.log_regions)
    for blur in epsilon_schedule(domain.spread, epsilon=epsilon, iterations=iterations, annealing=annealing):
        g = domain.region_transform(f, blur)
        f = domain.word_transform(g, blur)
    return f, g
