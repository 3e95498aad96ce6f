"""Unbalanced transport: mass may be created and destroyed, at a price (Frogner et al. 2015; Chizat et al. 2018).

The problem, for one pair with costs C and masses a of the words and b of the regions, which need not agree::

    min <T, C> + epsilon KL(T | a b') + reach KL(T 1 | a) + reach KL(T' 1 | b)   over T >= 0

with KL(p | q) = sum p log(p / q) - p + q. Its dual, T being the plan of f and g as in `uniter_ot.log_domain`::

    max  reach sum a (1 - exp(-f / reach)) + reach sum b (1 - exp(-g / reach)) - epsilon sum (T - a b')

Maximised over one side it is the soft c-transform times reach / (reach + epsilon) (Chizat et al. 2018, "Scaling
algorithms for unbalanced optimal transport problems", Algorithm 2). At the optimum the marginals are a exp(-f / reach)
and b exp(-g / reach): a word that is far from everything has a large potential and keeps little of its mass.

Those two steps alone balance the total masses only after about reach / epsilon sweeps. The dual is therefore also
maximised over the shift of f + s and g - s, in closed form, after every sweep (Séjourné, Vialard and Peyré 2022,
"Faster unbalanced optimal transport: translation invariant Sinkhorn and 1-D Frank-Wolfe").

Axes: B pairs, W words, R regions, L points of one side.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_positive
from uniter_ot.log_domain import LogDomain, check_steps, epsilon_schedule
from uniter_ot.plan import CONVERGED_ERROR, TransportPlan, measured_plan
from uniter_ot.problem import Problem, pose
from uniter_ot.range_check import checked_cost

__all__ = ["unbalanced_sinkhorn"]

LARGEST_GAIN = 60.0
"""A cost of -c multiplies mass by up to exp(c / reach); beyond this exponent float32 may overflow."""


def unbalanced_sinkhorn(
    cost: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    reach: float = 1.0,
    epsilon: float = 0.05,
    iterations: int = 200,
    annealing: float = 0.5,
) -> TransportPlan:
    """Transport what is worth its cost: mass that would have to go further than about `reach` is left out.

    Args:
        cost: (B, W, R) any floating dtype; computed in float32 or wider. Absent entries may hold anything.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        word_weights: (B, W) mass of each word, any finite amount, 0 = absent; None = equal, adding up to 1.
        region_weights: (B, R) likewise; its total need not be that of the words.
        reach: price of creating or destroying mass, in units of the cost; balanced transport as it grows.
        epsilon: weight of the entropy, in units of the cost.
        iterations: sweeps, each one update of the regions' potentials and one of the words'.
        annealing: share of the sweeps during which epsilon falls from the range of a pair's costs; 0 = constant.

    Returns:
        A `TransportPlan`, total mass whatever is best. `word_error` and `region_error` say how far it is from the
        masses asked for, which is no defect here. `converged` says whether the potentials are a fixed point: whether
        the regions' marginal is b exp(-g / reach), but for `CONVERGED_ERROR` of the transported mass. (The words' is
        a exp(-f / reach) at once.) No potentials: they are not those of the balanced problem. The plan is held fixed:
        only ``distance`` carries a gradient, to ``cost`` alone. An empty pair has plan 0 and distance 0.

    Raises:
        TypeError: integer cost or weights, masks that are not boolean, iterations not an int.
        ValueError: wrong shapes, reach or epsilon not above 0, iterations below 1, annealing outside [0, 1), negative
            weights, a real cost that is not finite, cost / epsilon or cost / reach overflowing, or a cost below
            -60 times reach.

    Example:
        >>> import torch
        >>> near_and_far = torch.tensor([[[0.0, 9.0], [9.0, 8.0]]])
        >>> unbalanced_sinkhorn(near_and_far, reach=1.0).plan.sum(2).round(decimals=2)
        tensor([[0.4900, 0.0100]])
    """
    check_steps(epsilon, iterations, annealing)
    check_positive("reach", reach)
    problem = pose(
        cost,
        word_mask=word_mask,
        region_mask=region_mask,
        word_weights=word_weights,
        region_weights=region_weights,
        normalised=False,
    )
    domain = LogDomain.of(problem, checked_cost(problem, epsilon=epsilon, reach=reach))
    _check_gain(problem, reach)
    f, g = torch.zeros_like(domain.log_words), torch.zeros_like(domain.log_regions)
    for blur in epsilon_schedule(domain.spread, epsilon=epsilon, iterations=iterations, annealing=annealing):
        f, g = _shifted(domain, f, g, reach)
        softness = reach / (reach + blur)
        g = softness * domain.region_transform(f, blur)
        f = softness * domain.word_transform(g, blur)

    kept = problem.word_weights * torch.exp(-f / reach)
    plan = kept[:, :, None] * domain.shares(g, epsilon)
    wanted = problem.region_weights * torch.exp(-g / reach)
    residual = (plan.sum(1) - wanted).abs().sum(1)
    return measured_plan(plan, problem, iterations=iterations, converged=residual <= CONVERGED_ERROR * plan.sum((1, 2)))


def _shifted(domain: LogDomain, f: Tensor, g: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """f + s and g - s with the s at which both sides keep the same mass: a.exp(-f / reach) = b.exp(-g / reach)."""
    kept_words = torch.logsumexp(domain.log_words - f / reach, 1, keepdim=True)
    kept_regions = torch.logsumexp(domain.log_regions - g / reach, 1, keepdim=True)
    shift = (reach / 2 * (kept_words - kept_regions)).nan_to_num(0)  # -inf less -inf in an empty pair
    return f + shift, g - shift


def _check_gain(problem: Problem, reach: float) -> None:
    if problem.cost.numel() == 0:
        return
    lowest = problem.real_cost.detach().amin().item()
    if lowest < -LARGEST_GAIN * reach:
        raise ValueError(
            f"reach: expected at least {-lowest / LARGEST_GAIN:.3g} for a cost as low as {lowest:.3g}, which would "
            f"create mass without bound, got {reach}"
        )
