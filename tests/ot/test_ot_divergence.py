"""The Sinkhorn divergence: what makes it one, closed forms, GeomLoss and POT as oracles, gradients.

Axes: B pairs, W words, R regions, H width.
"""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot.cost import cosine_cost, squared_euclidean_cost
from uniter_ot.divergence import COSTS, sinkhorn_divergence

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def draw_points(seed: int, pairs: int, words: int, regions: int, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(pairs, words + regions, width, generator=generator, dtype=torch.float64)
    return points[:, :words], points[:, words:]


def rounding(dtype: torch.dtype, largest_cost: float) -> float:
    return (1e-13 if dtype == torch.float64 else 2e-6) * (1 + largest_cost)


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32),
    words=st.integers(1, 8) | st.integers(1, 64),
    regions=st.integers(1, 8) | st.integers(1, 128),
    dtype=st.sampled_from(DTYPES),
    cost=st.sampled_from(sorted(COSTS)),
    epsilon=st.sampled_from([0.5, 0.05, 0.005]),
    iterations=st.integers(1, 8),
)
def test_never_below_zero(
    seed: int, words: int, regions: int, dtype: torch.dtype, cost: str, epsilon: float, iterations: int
) -> None:
    """Not only after convergence: the higher of two dual values makes sure of it."""
    x, y = draw_points(seed, 2, words, regions)
    x, y = (points.to(dtype) for points in (x, x[:, :1] + 0.3 * y))
    value = sinkhorn_divergence(x, y, cost=cost, epsilon=epsilon, iterations=iterations)
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert (value >= -rounding(dtype, COSTS[cost](x, y).max().item())).all()


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 8) | st.integers(1, 64),
    dtype=st.sampled_from(DTYPES),
    cost=st.sampled_from(sorted(COSTS)),
    epsilon=st.sampled_from([0.5, 0.05, 0.005]),
    iterations=st.sampled_from([1, 10, 40]),
)
def test_identical_sets_do_not_differ(
    seed: int, size: int, dtype: torch.dtype, cost: str, epsilon: float, iterations: int
) -> None:
    """Whatever their order, with weights, with holes, and long before Sinkhorn's own potentials have converged."""
    points, _ = draw_points(seed, 2, size, 1)
    points = points.to(dtype)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(size, generator=generator)
    mask = torch.rand(2, size, generator=generator) < 0.8
    weights = (0.1 + torch.rand(2, size, generator=generator, dtype=torch.float64)) * mask
    weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-30)
    value = sinkhorn_divergence(
        points,
        points[:, order],
        word_mask=mask,
        region_mask=mask[:, order],
        word_weights=weights,
        region_weights=weights[:, order],
        cost=cost,
        epsilon=epsilon,
        iterations=iterations,
    )
    largest = COSTS[cost](points, points).max().item()
    unsettled = {1: 1e-2, 10: 1e-5, 40: 0.0}[iterations] * largest
    assert (value.abs() <= rounding(dtype, largest) + unsettled).all()


def test_points_differ_by_their_cost() -> None:
    x, y = draw_points(0, 3, 1, 1)
    for name, cost in COSTS.items():
        torch.testing.assert_close(sinkhorn_divergence(x, y, cost=name), cost(x, y)[:, 0, 0])


def test_translation_adds_its_square() -> None:
    """For the squared distance, S(x + v, x) is |v|^2 at every epsilon (as for the exact distance)."""
    x, _ = draw_points(1, 2, 6, 1)
    shift = torch.tensor([0.3, -0.2, 0.1, 0.0, 0.4], dtype=torch.float64)
    for epsilon in (5.0, 1.0):
        value = sinkhorn_divergence(x + shift, x, cost="squared-euclidean", epsilon=epsilon, iterations=500)
        torch.testing.assert_close(value, shift.square().sum().expand(2), atol=1e-5, rtol=0)


def test_symmetric_once_converged() -> None:
    x, y = draw_points(2, 4, 7, 10)
    there, back = (sinkhorn_divergence(*pair, epsilon=0.2, iterations=500) for pair in ((x, y), (y, x)))
    torch.testing.assert_close(there, back, atol=1e-12, rtol=0)


def test_large_epsilon_is_the_mean_discrepancy() -> None:
    """As epsilon grows, S tends to the squared distance of kernel means for -C / 2 (Feydy et al. 2019, Theorem 1)."""
    x, y = draw_points(3, 4, 6, 9)
    mean = cosine_cost(x, y).mean((1, 2)) - (cosine_cost(x, x).mean((1, 2)) + cosine_cost(y, y).mean((1, 2))) / 2
    torch.testing.assert_close(sinkhorn_divergence(x, y, epsilon=1e4), mean, atol=1e-4, rtol=0)


@pytest.mark.parametrize("epsilon", [0.5, 0.2])
def test_geomloss_finds_the_same_value(epsilon: float) -> None:
    """Its cost for p = 2 is half the squared distance: the cosine cost of unit vectors; its blur is epsilon's root."""
    geomloss = pytest.importorskip("geomloss", reason="GeomLoss is not installed: pip install geomloss")
    x, y = (torch.nn.functional.normalize(points, dim=2) for points in draw_points(4, 3, 9, 7))
    loss = geomloss.SamplesLoss(
        "sinkhorn", p=2, blur=math.sqrt(epsilon), scaling=0.999, debias=True, backend="tensorized"
    )
    expected = loss(x, y)
    torch.testing.assert_close(sinkhorn_divergence(x, y, epsilon=epsilon, iterations=500), expected, atol=3e-6, rtol=0)
    squared = sinkhorn_divergence(x, y, cost="squared-euclidean", epsilon=2 * epsilon, iterations=500)
    torch.testing.assert_close(squared / 2, expected, atol=3e-6, rtol=0)


@pytest.mark.parametrize(
    ("cost", "epsilon"),
    [(cosine_cost, 0.5), (cosine_cost, 0.2), (squared_euclidean_cost, 2.0), (squared_euclidean_cost, 0.8)],
)
def test_pot_finds_the_same_value(cost: Any, epsilon: float) -> None:
    """Three entropic problems solved by POT, each valued <T, C> + epsilon KL(T | a b')."""
    ot = pytest.importorskip("ot", reason="POT is not installed: pip install 'uniter-ot[exact]'")
    x, y = (0.5 * points for points in draw_points(5, 2, 6, 8))
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(2, n, generator=generator, dtype=torch.float64) + 0.1 for n in (6, 8))
    a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)

    def value(u: Tensor, v: Tensor, p: Tensor, q: Tensor) -> Tensor:
        matrix = cost(u[None], v[None])[0]
        plan = ot.sinkhorn(p, q, matrix, epsilon, method="sinkhorn_log", numItermax=20_000, stopThr=1e-10)
        independent = p[:, None] * q
        return (plan * matrix + epsilon * torch.special.xlogy(plan, plan / independent)).sum()

    name = next(key for key, function in COSTS.items() if function is cost)
    solved = sinkhorn_divergence(x, y, word_weights=a, region_weights=b, cost=name, epsilon=epsilon, iterations=2000)
    for pair, (u, v, p, q) in enumerate(zip(x, y, a, b, strict=True)):
        expected = value(u, v, p, q) - value(u, u, p, p) / 2 - value(v, v, q, q) / 2
        torch.testing.assert_close(solved[pair], expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("cost", sorted(COSTS))
def test_gradient(cost: str) -> None:
    x, y = (points.requires_grad_() for points in draw_points(6, 2, 3, 4, width=3))

    def divergence(words: Tensor, regions: Tensor) -> Tensor:
        return sinkhorn_divergence(words, regions, cost=cost, epsilon=0.5, iterations=100)

    assert torch.autograd.gradcheck(divergence, (x, y))


def test_identical_sets_are_a_minimum() -> None:
    points, _ = draw_points(7, 2, 6, 1)
    x = points.clone().requires_grad_()
    sinkhorn_divergence(x, points.flip(1), epsilon=0.1).sum().backward()
    assert x.grad.abs().max() < 1e-6


def test_descent_recovers_the_other_set() -> None:
    """What debiasing is for: words that follow the gradient end where the regions are, and do not shrink together."""
    words, regions = draw_points(8, 1, 6, 6, width=2)
    words = words.clone().requires_grad_()
    for _ in range(200):
        (gradient,) = torch.autograd.grad(
            sinkhorn_divergence(words, regions, cost="squared-euclidean", epsilon=0.5, iterations=30).sum(), words
        )
        words = (words - 1.5 * gradient).detach().requires_grad_()
    assert squared_euclidean_cost(words, regions).amin(1).max() < 0.01


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), epsilon=st.sampled_from([0.5, 0.02]), cost=st.sampled_from(sorted(COSTS)))
def test_absent_points_do_not_matter(seed: int, epsilon: float, cost: str) -> None:
    """Neither to values nor to gradients; NaN may stand there."""
    x, y = draw_points(seed, 3, 5, 7)
    generator = torch.Generator().manual_seed(seed)
    word_mask, region_mask = torch.rand(3, 5, generator=generator) < 0.6, torch.rand(3, 7, generator=generator) < 0.6
    padded = [
        points.masked_fill(~mask[:, :, None], float("nan")).requires_grad_()
        for points, mask in ((x, word_mask), (y, region_mask))
    ]
    value = sinkhorn_divergence(
        *padded, word_mask=word_mask, region_mask=region_mask, cost=cost, epsilon=epsilon, iterations=4
    )
    value.sum().backward()
    for pair in range(3):
        mine, theirs = word_mask[pair], region_mask[pair]
        if not (mine.any() and theirs.any()):
            assert value[pair] == 0
            assert (padded[0].grad[pair] == 0).all()
            assert (padded[1].grad[pair] == 0).all()
            continue
        alone = [points[pair][kept][None].requires_grad_() for points, kept in ((x, mine), (y, theirs))]
        expected = sinkhorn_divergence(*alone, cost=cost, epsilon=epsilon, iterations=4)
        expected.sum().backward()
        torch.testing.assert_close(value[pair], expected[0], atol=1e-11, rtol=0)
        for whole, part, kept in zip(padded, alone, (mine, theirs), strict=True):
            torch.testing.assert_close(whole.grad[pair][kept], part.grad[0], atol=1e-9, rtol=0)
            assert (whole.grad[pair][~kept] == 0).all()


def test_weight_zero_is_absent() -> None:
    x, y = draw_points(9, 1, 3, 4)
    expected = sinkhorn_divergence(x[:, :2], y)
    x[:, 2] = float("nan")
    value = sinkhorn_divergence(x, y, word_weights=torch.tensor([[0.5, 0.5, 0.0]]))
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
def test_nothing_to_compare(shape: tuple[int, int, int]) -> None:
    pairs, words, regions = shape
    value = sinkhorn_divergence(torch.zeros(pairs, words, 2), torch.zeros(pairs, regions, 2))
    assert value.tolist() == [0.0] * pairs


def test_autocast_changes_nothing() -> None:
    x, y = (points.float() for points in draw_points(10, 2, 5, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = sinkhorn_divergence(x, y)
    torch.testing.assert_close(inside, sinkhorn_divergence(x, y), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("words", "settings_", "message"),
    [
        (
            torch.ones(1, 2, 3),
            {"cost": "manhattan"},
            "cost: expected one of cosine, squared-euclidean, got 'manhattan'",
        ),
        (torch.ones(1, 2, 4), {}, "regions: expected features of width 4 as in words, got 3"),
        (torch.full((1, 2, 3), float("nan")), {}, "words: expected finite vectors, got nan for pair 0, row 0"),
        (torch.ones(1, 2, 3), {"epsilon": -1.0}, "epsilon: expected a finite number above 0"),
        (1e12 * torch.ones(1, 2, 3), {"cost": "squared-euclidean", "epsilon": 1e-20}, "epsilon: 1e-20 is too small"),
        (torch.ones(1, 2, 3), {"word_weights": torch.ones(1, 2)}, "word_weights: expected weights that add up to 1"),
    ],
)
def test_what_is_refused(words: Tensor, settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sinkhorn_divergence(words, torch.ones(1, 2, 3), **settings_)
