"""POT's exact solver as an oracle: what IPOT tends to as its iterations grow."""

import pytest
import torch
from torch import Tensor

from uniter_ot import cosine_cost, ipot

ot = pytest.importorskip("ot", reason="POT is not installed: pip install 'uniter-ot[exact]'")


def random_cost(words: int, regions: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(6, words + regions, 5, generator=generator, dtype=torch.float64)
    return cosine_cost(points[:, :words], points[:, words:])


def equal(points: int) -> Tensor:
    return torch.full((6, points), 1 / points, dtype=torch.float64)


def exact_plans(cost: Tensor, word_weights: Tensor, region_weights: Tensor) -> Tensor:
    problems = zip(cost.numpy(), word_weights.numpy(), region_weights.numpy(), strict=True)
    return torch.stack([torch.from_numpy(ot.emd(a, b, c)) for c, a, b in problems])


@pytest.mark.parametrize(("words", "regions"), [(5, 5), (7, 3), (4, 11), (12, 9)])
def test_distance_tends_to_the_exact_one(backend: str, words: int, regions: int) -> None:
    cost = random_cost(words, regions, seed=words * regions)
    exact = (exact_plans(cost, equal(words), equal(regions)) * cost).sum((1, 2))
    solved = [ipot(cost, iterations=n, backend=backend) for n in (5, 50, 500, 5000)]
    errors = [(one.distance - exact).abs().mean().item() for one in solved]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.03
    assert errors[-1] < 1e-4
    for one in solved:
        assert (one.lower_bound <= exact + 1e-12).all()
        assert (exact <= one.upper_bound + 1e-12).all()


def test_plan_tends_to_the_exact_one(backend: str) -> None:
    cost = random_cost(6, 6, seed=0)
    solved = ipot(cost, iterations=3000, beta=0.1, backend=backend)
    torch.testing.assert_close(solved.plan, exact_plans(cost, equal(6), equal(6)), atol=1e-3, rtol=0)


def test_explicit_marginals(backend: str) -> None:
    """Random weights, some of them 0: the exact plan is a vertex that random costs single out."""
    cost = random_cost(6, 8, seed=2)
    generator = torch.Generator().manual_seed(0)
    weights = [torch.rand(6, n, generator=generator, dtype=torch.float64) for n in (6, 8)]
    a, b = (w.masked_fill(w < 0.2, 0) / w.masked_fill(w < 0.2, 0).sum(1, keepdim=True) for w in weights)
    exact = exact_plans(cost, a, b)
    solved = ipot(cost, word_weights=a, region_weights=b, iterations=3000, beta=0.1, schedule="staged", backend=backend)
    torch.testing.assert_close(solved.distance, (exact * cost).sum((1, 2)), atol=1e-3, rtol=0)
    torch.testing.assert_close(solved.plan, exact, atol=5e-3, rtol=0)


def test_marginal_errors_fall(backend: str) -> None:
    cost = random_cost(12, 9, seed=1)
    solved = [ipot(cost, iterations=n, backend=backend) for n in (10, 100, 1000, 5000)]
    errors = [one.region_error.max().item() for one in solved]
    assert errors == sorted(errors, reverse=True)
    assert solved[-1].converged.all()
    assert not solved[0].converged.all()
