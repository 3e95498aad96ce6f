"""POT's exact solver as an oracle: what IPOT tends to as its iterations grow."""

import numpy as np
import pytest
import torch

from uniter_ot import cosine_cost, ipot

ot = pytest.importorskip("ot", reason="POT is not installed: pip install 'uniter-ot[exact]'")


def random_cost(words: int, regions: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(6, words + regions, 5, generator=generator, dtype=torch.float64)
    return cosine_cost(points[:, :words], points[:, words:])


def exact_distances(cost: torch.Tensor) -> torch.Tensor:
    _, words, regions = cost.shape
    word_share, region_share = np.full(words, 1 / words), np.full(regions, 1 / regions)
    return torch.tensor([float(ot.emd2(word_share, region_share, c)) for c in cost.numpy()], dtype=torch.float64)


@pytest.mark.parametrize(("words", "regions"), [(5, 5), (7, 3), (4, 11), (12, 9)])
def test_distance_tends_to_the_exact_one(words: int, regions: int) -> None:
    cost = random_cost(words, regions, seed=words * regions)
    exact = exact_distances(cost)
    errors = [(ipot(cost, iterations=n).distance - exact).abs().mean().item() for n in (5, 50, 500, 5000)]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.03
    assert errors[-1] < 1e-4


def test_plan_tends_to_the_exact_one() -> None:
    cost = random_cost(6, 6, seed=0)
    share = np.full(6, 1 / 6)
    exact = torch.stack([torch.from_numpy(ot.emd(share, share, c)) for c in cost.numpy()])
    torch.testing.assert_close(ipot(cost, iterations=3000, beta=0.1).plan, exact, atol=1e-3, rtol=0)


def test_marginal_errors_fall() -> None:
    cost = random_cost(12, 9, seed=1)
    errors = [ipot(cost, iterations=n).region_error.max().item() for n in (10, 100, 1000, 10_000)]
    assert errors == sorted(errors, reverse=True)
    assert ipot(cost, iterations=10_000).converged.all()
