"""The debiased Sinkhorn divergence: entropic transport between two sets, less what each costs against itself.

Feydy et al. 2019, "Interpolating between optimal transport and MMD using Sinkhorn divergences", equation (3)::

    S(a, b) = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2

where OT is the value of the entropic problem of `uniter_ot.sinkhorn`, computed from its dual. The plan's blur pulls
points that minimise OT together; S does not: it is 0 for identical sets and above 0 for others.

A set against itself has one potential p for both sides, found by the averaged update p = (p + transform(p)) / 2, which
converges in a few sweeps (ibid., section 3.1). Between the two sets the dual is evaluated at two points, the potentials
(f, g) that Sinkhorn's algorithm found and (p, q) of the two sets against themselves, and the higher value counts: it is
closer to the optimum. At (p, q) the right-hand side is, with K = exp(-C / epsilon),

    epsilon / 2 |exp(p / epsilon) a - exp(q / epsilon) b|^2  in the norm of K

(ibid., proof of Theorem 1), which is at least 0 for both costs here. So S is at least 0 however few the iterations, and
is 0 for identical sets as soon as p has converged.

Axes: B pairs, W words, R regions, L points of one side, H width of the compared vectors.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_matched_points, working_dtype
from uniter_ot.cost import cosine_cost, squared_euclidean_cost
from uniter_ot.log_domain import LogDomain, check_steps, epsilon_schedule
from uniter_ot.problem import Problem, pose
from uniter_ot.range_check import checked_cost
from uniter_ot.sinkhorn import balanced_potentials

__all__ = ["COSTS", "sinkhorn_divergence"]

COSTS = {"cosine": cosine_cost, "squared-euclidean": squared_euclidean_cost}
"""What the argument `cost` may be: costs for which exp(-cost / epsilon) is a positive kernel."""


def sinkhorn_divergence(
    words: Tensor,
    regions: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    cost: str = "cosine",
    epsilon: float = 0.05,
    iterations: int = 100,
    annealing: float = 0.5,
) -> Tensor:
    """How different each pair's words and regions are as sets of points.

    Args:
        words: (B, W, H) vectors of any floating dtype. Absent rows may hold anything.
        regions: (B, R, H) likewise.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        word_weights: (B, W) mass of each word, adding up to 1 over a pair's real words, 0 = absent; None = equal.
        region_weights: (B, R) likewise.
        cost: "cosine" or "squared-euclidean".
        epsilon: weight of the entropy, in units of the cost.
        iterations: sweeps of Sinkhorn's algorithm. Too few give too small a value: `sinkhorn` on the cost says whether
            these are enough (`converged`).
        annealing: share of the sweeps during which epsilon falls from the range of a pair's costs; 0 = constant.

    Returns:
        (B,) divergences, at least 0 but for rounding, float32 or wider, also under autocast; symmetric in words and
        regions once converged. The gradient to the vectors holds the plans fixed, which is exact once converged
        (envelope theorem). An empty pair has divergence 0 and gradient 0.

    Raises:
        TypeError: integer vectors or weights, masks that are not boolean, iterations not an int.
        ValueError: shapes that do not go together, an unknown cost, epsilon not above 0, iterations below 1, annealing
            outside [0, 1), weights that are negative or do not add up to 1, vectors whose costs are not finite, or
            cost / epsilon overflowing.

    Example:
        >>> import torch
        >>> points = torch.eye(3)[None]
        >>> sinkhorn_divergence(points, points[:, [2, 0, 1]]).abs() < 1e-6
        tensor([True])
        >>> sinkhorn_divergence(points, -points) > 0.5
        tensor([True])
    """
    check_matched_points(words, regions)
    check_steps(epsilon, iterations, annealing)
    if cost not in COSTS:
        raise ValueError(f"cost: expected one of {', '.join(COSTS)}, got {cost!r}")
    # The weights first, on a cost that is none: they say which vectors are there to be compared.
    nothing = torch.zeros((), dtype=working_dtype(words, regions), device=words.device)
    demand = pose(
        nothing.expand(*words.shape[:2], regions.shape[1]),
        word_mask=word_mask,
        region_mask=region_mask,
        word_weights=word_weights,
        region_weights=region_weights,
    )
    a, b = demand.word_weights, demand.region_weights
    x, y = (points.masked_fill((mass == 0)[:, :, None], 0) for points, mass in ((words, a), (regions, b)))
    between, of_words, of_regions = (
        Problem(cost=COSTS[cost](*points), word_weights=masses[0], region_weights=masses[1])
        for points, masses in (((x, y), (a, b)), ((x, x), (a, a)), ((y, y), (b, b)))
    )
    try:
        cost_between = checked_cost(between, epsilon=epsilon)  # within one set they are at most 4 times as large
    except ValueError:
        _check_finite("words", x)
        _check_finite("regions", y)
        raise
    domain = LogDomain.of(between, cost_between)
    f, g = balanced_potentials(domain, epsilon=epsilon, iterations=iterations, annealing=annealing)
    p, q = (_own_potential(problem, epsilon, iterations, annealing) for problem in (of_words, of_regions))
    value = torch.maximum(_value(between, f, g, epsilon), _value(between, p, q, epsilon))
    return value - _value(of_words, p, p, epsilon) / 2 - _value(of_regions, q, q, epsilon) / 2


def _own_potential(problem: Problem, epsilon: float, iterations: int, annealing: float) -> Tensor:
    """(B, L) the one potential of a set against itself."""
    domain = LogDomain.of(problem)
    p = torch.zeros_like(domain.log_words)
    for blur in epsilon_schedule(domain.spread, epsilon=epsilon, iterations=iterations, annealing=annealing):
        p = (p + domain.word_transform(p, blur)) / 2
    return p


def _value(problem: Problem, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """(B,) the dual at f and g; its gradient to the cost is the plan of these potentials, held fixed."""
    a, b = problem.word_weights, problem.region_weights
    plan = LogDomain.of(problem).plan(f, g, epsilon)
    excess = plan.sum((1, 2)) - a.sum(1) * b.sum(1)
    value = (a * f).sum(1) + (b * g).sum(1) - epsilon * excess
    carried = (plan * problem.real_cost).sum((1, 2))
    return carried + (value - carried).detach()


def _check_finite(name: str, points: Tensor) -> None:
    bad = (~points.isfinite()).nonzero()
    if len(bad):
        pair, row, place = bad[0].tolist()
        value = points[pair, row, place].item()
        raise ValueError(f"{name}: expected finite vectors, got {value} for pair {pair}, row {row}")
