"""Partial transport: a given share of the mass, the cheapest to carry; the rest stays where it is.

The problem, for one pair with costs C and masses a of the words and b of the regions, both adding up to 1::

    min <T, C> + epsilon KL(T | a b')   over T >= 0 with   T 1 <= a,   T' 1 <= b,   sum T = mass

Benamou et al. 2015, "Iterative Bregman projections for regularized transportation problems", section 5.1, project onto
the three constraints in turn. In potentials (their corrections are what potentials accumulate by themselves)::

    T_ij = a_i b_j exp((f_i + g_j + h - C_ij) / epsilon)   with   f <= 0,   g <= 0

and each projection maximises the dual, a.f + b.g + mass h - epsilon sum T, over one of f, g and h. Here f and h are
found together, and g and h together, because that has a closed form too: the row sums are min(a, s r), where r are
those of f = h = 0 and the level s is the one at which they add up to `mass`. Projections of one at a time creep as
`mass` comes close to 1; these are Sinkhorn's own sweeps there.

Axes: B pairs, W words, R regions, L points of one side.
"""

import torch
from torch import Tensor

from uniter_ot.balance import wide_dtype
from uniter_ot.log_domain import LogDomain, check_steps, epsilon_schedule, largest
from uniter_ot.plan import CONVERGED_ERROR, TransportPlan, measured_plan
from uniter_ot.problem import pose
from uniter_ot.range_check import checked_cost

__all__ = ["partial_sinkhorn"]


def partial_sinkhorn(
    cost: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    mass: float = 0.8,
    epsilon: float = 0.05,
    iterations: int = 200,
    annealing: float = 0.5,
) -> TransportPlan:
    """Transport a share of every pair's words to its regions, and choose which.

    Args:
        cost: (B, W, R) any floating dtype; computed in float32 or wider. Absent entries may hold anything.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        word_weights: (B, W) mass of each word, adding up to 1 over a pair's real words, 0 = absent; None = equal.
        region_weights: (B, R) likewise.
        mass: share of the mass to transport, above 0 and at most 1; 1 = all of it, `sinkhorn`.
        epsilon: weight of the entropy, in units of the cost.
        iterations: sweeps, each one update of the regions' potentials and one of the words'.
        annealing: share of the sweeps during which epsilon falls from the range of a pair's costs; 0 = constant.

    Returns:
        A `TransportPlan` of total mass `mass`, exactly, and a word marginal of at most the demanded one, exactly; the
        regions' exceeds theirs by ever less. So `word_error` is 1 - mass, and `region_error` tends to it. `converged`
        says whether the regions' marginal is that of a fixed point, but for `CONVERGED_ERROR` of the transported mass.
        No potentials: they are not those of the balanced problem. The plan is held fixed: only ``distance`` carries a
        gradient, to ``cost`` alone. An empty pair has plan 0 and distance 0.

    Raises:
        TypeError: integer cost or weights, masks that are not boolean, iterations not an int.
        ValueError: wrong shapes, mass outside (0, 1], epsilon not above 0, iterations below 1, annealing outside
            [0, 1), weights that are negative or do not add up to 1, a real cost that is not finite, or
            cost / epsilon overflowing.

    Example:
        >>> import torch
        >>> near_and_far = torch.tensor([[[0.0, 9.0], [9.0, 8.0]]])
        >>> partial_sinkhorn(near_and_far, mass=0.6).plan.round(decimals=4)
        tensor([[[0.5000, 0.0000],
                 [0.0000, 0.1000]]])
    """
    check_steps(epsilon, iterations, annealing)
    if not 0 < mass <= 1:
        raise ValueError(f"mass: expected a share in (0, 1], got {mass}")
    problem = pose(
        cost,
        word_mask=word_mask,
        region_mask=region_mask,
        word_weights=word_weights,
        region_weights=region_weights,
    )
    domain = LogDomain.of(problem, checked_cost(problem, epsilon=epsilon))
    a, b = problem.word_weights, problem.region_weights
    f = torch.zeros_like(a)
    for blur in epsilon_schedule(domain.spread, epsilon=epsilon, iterations=iterations, annealing=annealing):
        g, _ = _capped(b, domain.region_transform(f, blur), mass, blur)
        f, word_mass = _capped(a, domain.word_transform(g, blur), mass, blur)

    plan = word_mass[:, :, None] * domain.shares(g, epsilon)
    _, wanted = _capped(b, domain.region_transform(f, blur), mass, blur)
    residual = (plan.sum(1) - wanted).abs().sum(1)
    return measured_plan(plan, problem, iterations=iterations, converged=residual <= CONVERGED_ERROR * mass)


def _capped(weights: Tensor, transform: Tensor, mass: float, blur: Tensor) -> tuple[Tensor, Tensor]:
    """One side's best potentials, given the other's, together with the level that makes the masses add up to `mass`.

    With r_i = a_i exp(-transform_i / epsilon), what point i would get at f = h = 0, it gets min(a_i, s r_i). For any
    set S of points, mass <= a(S) + s r(not S), with equality where S are the points that reach their cap; so s is the
    largest (mass - a(S)) / r(not S), and it suffices to try the S that hold the points of greatest r / a.

    Args:
        weights: (B, L) a, 0 where absent.
        transform: (B, L) the soft c-transform of the other side's potential.
        mass: share of the total to reach.
        blur: (B, 1) epsilon.

    Returns:
        (B, L) potentials, at most 0, and (B, L) masses min(a, s r).
    """
    if weights.shape[1] == 0:
        return transform, weights
    wide = wide_dtype(weights.device)  # differences of large logarithms and of sums close to each other
    a = weights.to(wide)
    log_gain = (-transform / blur).to(wide).masked_fill(a == 0, float("-inf"))  # log r / a
    sorted_gain, order = log_gain.sort(1, descending=True)
    sorted_a = a.gather(1, order)
    spare = (1 - mass) * a.sum(1, keepdim=True)
    # Sums over each point and those after it, which S leaves out: mass - a(S) is their weight less what may be spared.
    rest_weight = sorted_a.flip(1).cumsum(1).flip(1) - spare
    log_rest = (sorted_a.log() + sorted_gain).flip(1).logcumsumexp(1).flip(1)
    log_level = largest(torch.where(rest_weight > 0, rest_weight.log() - log_rest, float("-inf")))
    log_filled = log_gain + log_level  # log s r / a
    potential, masses = (-blur * log_filled).clamp_max(0), a * log_filled.clamp_max(0).exp()
    return potential.to(weights.dtype), masses.to(weights.dtype)
