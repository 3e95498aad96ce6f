"""The duality bounds: below and above the exact distance whatever the potential and the plan. B, W, R as ever."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot.bounds import dual_lower_bound, primal_upper_bound
from uniter_ot.problem import Problem, pose

ot = pytest.importorskip("ot", reason="POT is not installed: pip install 'uniter-ot[exact]'")

HUGE = 1e10


@st.composite
def problems(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> tuple[Problem, torch.Generator]:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    pairs, words, regions = draw(st.integers(1, 3)), draw(st.integers(1, 25)), draw(st.integers(1, 30))
    cost = torch.randn(pairs, words, regions, generator=generator, dtype=torch.float64).to(dtype)
    cost = draw(st.sampled_from([1.0, 1e-3, 1e3])) * cost + draw(st.sampled_from([0.0, 1.0]))
    keep = draw(st.sampled_from([0.3, 1.0]))
    word_mask = torch.rand(pairs, words, generator=generator) <= keep
    region_mask = torch.rand(pairs, regions, generator=generator) <= keep
    if draw(st.booleans()):
        return pose(cost, word_mask=word_mask, region_mask=region_mask), generator
    weights = [torch.rand(mask.shape, generator=generator) * mask + 1e-3 * mask for mask in (word_mask, region_mask)]
    a, b = (mass / mass.sum(1, keepdim=True).clamp_min(1e-30) for mass in weights)
    masks = {"word_mask": word_mask, "region_mask": region_mask}
    return pose(cost, word_weights=a, region_weights=b, **masks), generator


def exact(problem: Problem, pair: int) -> tuple[float, Tensor]:
    """The exact distance and the regions' exact potential (R,), 0 where absent, of a pair with both sides."""
    a, b = problem.word_weights[pair].double(), problem.region_weights[pair].double()
    rows, columns = (a > 0).nonzero()[:, 0], (b > 0).nonzero()[:, 0]
    a, b = a[rows] / a.sum(), b[columns] / b.sum()
    cost = problem.cost[pair].double()[rows][:, columns]
    lowest = cost.min().item()  # POT calls problems of negative costs infeasible
    distance, log = ot.emd2(a.numpy(), b.numpy(), (cost - lowest).numpy(), log=True)
    potential = torch.zeros(problem.cost.shape[2], dtype=torch.float64)
    potential[columns] = torch.as_tensor(log["v"])
    return float(distance) + lowest, potential


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from(["small", "large", "huge", "one-sided"]))
def test_any_potential_bounds_from_below(case: tuple[Problem, torch.Generator], kind: str) -> None:
    problem, generator = case
    potential = torch.randn(problem.region_weights.shape, generator=generator, dtype=torch.float64)
    potential = {
        "small": potential,
        "large": 100 * potential,
        "huge": HUGE * potential + HUGE,
        "one-sided": potential.abs().pow(8) + 1e6,
    }[kind]
    bound = dual_lower_bound(problem, potential)
    assert bound.dtype == torch.float64
    assert bound.isfinite().all()
    for pair in range(len(bound)):
        if problem.real[pair].any():
            scale = problem.real_cost[pair].abs().max().item()
            assert bound[pair] <= exact(problem, pair)[0] + 1e-12 * scale
        else:
            assert bound[pair] == 0


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([torch.float32, torch.float64]).flatmap(problems))
def test_exact_potentials_make_it_tight(case: tuple[Problem, torch.Generator]) -> None:
    problem, _ = case
    solutions = [exact(problem, p) if problem.real[p].any() else None for p in range(len(problem.cost))]
    potential = torch.zeros_like(problem.region_weights, dtype=torch.float64)
    for pair, solution in enumerate(solutions):
        if solution is not None:
            potential[pair] = solution[1]
    bound = dual_lower_bound(problem, potential)
    for pair, solution in enumerate(solutions):
        if solution is not None:
            scale = problem.real_cost[pair].abs().max().item()
            assert bound[pair].item() == pytest.approx(solution[0], abs=1e-9 * scale)
            assert bound[pair] <= solution[0] + 1e-12 * scale


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([torch.float32, torch.float64]).flatmap(problems))
def test_any_plan_bounds_from_above(case: tuple[Problem, torch.Generator]) -> None:
    problem, generator = case
    noise = torch.rand(problem.cost.shape, generator=generator)
    bound = primal_upper_bound(problem, noise / noise.sum((1, 2), keepdim=True))
    for pair in range(len(bound)):
        if problem.real[pair].any():
            scale = problem.real_cost[pair].abs().max().item()
            assert bound[pair] >= exact(problem, pair)[0] - 1e-12 * scale
        else:
            assert bound[pair] == 0


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from([-1e6, 1e-3, 3.0]))
def test_a_constant_in_the_potential_does_not_matter(case: tuple[Problem, torch.Generator], constant: float) -> None:
    problem, generator = case
    potential = torch.randn(problem.region_weights.shape, generator=generator, dtype=torch.float64)
    bounds = dual_lower_bound(problem, potential), dual_lower_bound(problem, potential + constant)
    torch.testing.assert_close(*bounds, atol=1e-8, rtol=1e-9)


def test_one_region_is_always_tight() -> None:
    problem = pose(torch.tensor([[[0.2], [0.6]]], dtype=torch.float64))
    assert dual_lower_bound(problem, torch.tensor([[7.0]])).item() == pytest.approx(0.4, abs=1e-15)
    assert primal_upper_bound(problem, torch.zeros(1, 2, 1)).item() == pytest.approx(0.4, abs=1e-15)


def test_absent_points_never_matter() -> None:
    cost = torch.rand(1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    small = dual_lower_bound(pose(cost[:, :3, :4]), torch.arange(4.0)[None] / 10)
    cost[:, 3], cost[:, :, 4] = float("nan"), -1e30
    masks = {"word_mask": torch.arange(4)[None] < 3, "region_mask": torch.arange(5)[None] < 4}
    padded = dual_lower_bound(pose(cost, **masks), torch.tensor([[0.0, 0.1, 0.2, 0.3, float("nan")]]))
    torch.testing.assert_close(padded, small, atol=1e-7, rtol=0)


def test_no_gradient_comes_through() -> None:
    problem = pose(torch.rand(1, 2, 2, requires_grad=True))
    assert not dual_lower_bound(problem, torch.zeros(1, 2, requires_grad=True)).requires_grad
    assert not primal_upper_bound(problem, torch.zeros(1, 2, 2)).requires_grad


@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 0, 3), (2, 3, 0)])
def test_empty_shapes(shape: tuple[int, int, int]) -> None:
    problem = pose(torch.rand(shape))
    assert dual_lower_bound(problem, torch.zeros(shape[0], shape[2])).tolist() == [0.0] * shape[0]
    assert primal_upper_bound(problem, torch.zeros(shape)).tolist() == [0.0] * shape[0]


def test_refuses_what_it_cannot_bound() -> None:
    with pytest.raises(ValueError, match=r"region_potential: expected shape \(1, 3\), got \(1, 2\)"):
        dual_lower_bound(pose(torch.rand(1, 2, 3)), torch.zeros(1, 2))
    unbalanced = pose(torch.rand(1, 2, 2), word_weights=torch.ones(1, 2), normalised=False)
    with pytest.raises(ValueError, match="word_weights: expected a balanced problem"):
        dual_lower_bound(unbalanced, torch.zeros(1, 2))
    with pytest.raises(ValueError, match="word_weights: expected a balanced problem"):
        primal_upper_bound(unbalanced, torch.zeros(1, 2, 2))
