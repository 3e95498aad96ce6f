"""What the entropic solvers have in common: sinkhorn, unbalanced_sinkhorn and partial_sinkhorn.

Axes: B pairs, W words, R regions.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot.partial import partial_sinkhorn
from uniter_ot.plan import TransportPlan
from uniter_ot.sinkhorn import sinkhorn
from uniter_ot.unbalanced import unbalanced_sinkhorn

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]

Solver = Callable[..., TransportPlan]
pytestmark = pytest.mark.parametrize("solver", [sinkhorn, unbalanced_sinkhorn, partial_sinkhorn])


@settings(max_examples=200)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), epsilon=st.sampled_from([0.5, 0.05, 0.005]))
def test_a_plan_is_what_its_result_says(
    solver: Solver, problems: Any, data: st.DataObject, dtype: torch.dtype, epsilon: float
) -> None:
    problem = data.draw(problems())
    weights = problem.weights if data.draw(st.booleans()) else {}
    cost = problem.cost.to(dtype)
    solved = solver(cost, **problem.masks, **weights, epsilon=epsilon, iterations=10)
    plan, asked = solved.plan, solved.problem
    assert plan.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert plan.isfinite().all()
    assert (plan >= 0).all()
    assert (plan[~asked.real] == 0).all()
    assert (asked.real <= problem.real).all()
    torch.testing.assert_close(solved.word_error, (plan.sum(2) - asked.word_weights).abs().sum(1))
    torch.testing.assert_close(solved.region_error, (plan.sum(1) - asked.region_weights).abs().sum(1))
    torch.testing.assert_close(solved.distance, (plan * asked.real_cost).sum((1, 2)))
    assert solved.iterations == 10
    empty = ~problem.real.any(2).any(1)
    assert (solved.distance[empty] == 0).all()
    assert solved.converged[empty].all()


@settings(max_examples=200)
@given(data=st.data(), epsilon=st.sampled_from([0.3, 0.02]))
def test_each_pair_stands_alone(solver: Solver, problems: Any, data: st.DataObject, epsilon: float) -> None:
    """Neither padding, nor holes, nor what a pair is batched with, nor garbage at absent points changes its plan."""
    problem = data.draw(problems(longest=(12, 16)))
    garbage = problem.cost.masked_fill(~problem.real, float("nan"))
    solved = solver(garbage, **problem.masks, **problem.weights, epsilon=epsilon, iterations=10)
    for pair in range(len(solved.plan)):
        words, regions = problem.word_mask[pair], problem.region_mask[pair]
        if words.any() and regions.any():
            alone = solver(
                problem.cost[pair][words][:, regions][None],
                word_weights=problem.word_weights[pair][words][None],
                region_weights=problem.region_weights[pair][regions][None],
                epsilon=epsilon,
                iterations=10,
            )
            torch.testing.assert_close(solved.plan[pair][words][:, regions], alone.plan[0], atol=1e-11, rtol=0)
            assert solved.converged[pair] == alone.converged[0]


@settings(max_examples=200)
@given(data=st.data(), epsilon=st.sampled_from([0.3, 0.02]))
def test_order_does_not_matter(solver: Solver, problems: Any, data: st.DataObject, epsilon: float) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    pairs, words, regions = (torch.randperm(n, generator=problem.generator) for n in problem.cost.shape)
    straight = solver(problem.cost, **problem.masks, **problem.weights, epsilon=epsilon, iterations=10).plan
    shuffled = solver(
        problem.cost[pairs][:, words][:, :, regions],
        word_mask=problem.word_mask[pairs][:, words],
        region_mask=problem.region_mask[pairs][:, regions],
        word_weights=problem.word_weights[pairs][:, words],
        region_weights=problem.region_weights[pairs][:, regions],
        epsilon=epsilon,
        iterations=10,
    ).plan
    torch.testing.assert_close(shuffled, straight[pairs][:, words][:, :, regions], atol=1e-11, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), factor=st.floats(1e-3, 1e3), epsilon=st.sampled_from([0.3, 0.02]))
def test_only_ratios_to_the_cost_matter(
    solver: Solver, problems: Any, data: st.DataObject, factor: float, epsilon: float
) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    reach = (1.0, factor) if solver is unbalanced_sinkhorn else None
    straight, scaled = (
        solver(
            problem.cost * unit,
            **problem.masks,
            **problem.weights,
            epsilon=epsilon * unit,
            iterations=10,
            **({"reach": reach[i]} if reach else {}),
        )
        for i, unit in enumerate((1.0, factor))
    )
    torch.testing.assert_close(scaled.plan, straight.plan, atol=1e-10, rtol=0)
    torch.testing.assert_close(scaled.distance, straight.distance * factor, atol=1e-10 * factor, rtol=0)


@settings(max_examples=200)
@given(data=st.data())
def test_transposition_after_convergence(solver: Solver, problems: Any, data: st.DataObject) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    straight = solver(problem.cost, **problem.masks, **problem.weights, epsilon=1.0, iterations=60, annealing=0.0)
    turned = solver(
        problem.cost.mT,
        word_mask=problem.region_mask,
        region_mask=problem.word_mask,
        word_weights=problem.region_weights,
        region_weights=problem.word_weights,
        epsilon=1.0,
        iterations=60,
        annealing=0.0,
    )
    assert straight.converged.all()
    torch.testing.assert_close(turned.plan.mT, straight.plan, atol=1e-8, rtol=0)
    torch.testing.assert_close(turned.distance, straight.distance, atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    ("range_over_epsilon", "plan_error", "distance_error"), [(8, 1e-6, 2e-6), (40, 5e-6, 3e-6), (400, 5e-5, 2e-5)]
)
@pytest.mark.parametrize("kind", ["uniform", "binary", "cosine", "clusters"])
def test_float32_against_float64(
    solver: Solver, costs: Any, kind: str, range_over_epsilon: float, plan_error: float, distance_error: float
) -> None:
    """Plans as shares of a word's mass."""
    for words, regions in [(14, 7), (1, 9), (9, 1), (20, 36)]:
        cost = costs(kind, (8, words, regions), torch.Generator().manual_seed(7)).float()
        epsilon = 2 / range_over_epsilon
        solved, reference = (solver(c, epsilon=epsilon) for c in (cost, cost.double()))
        torch.testing.assert_close(solved.plan.double() * words, reference.plan * words, atol=plan_error, rtol=0)
        torch.testing.assert_close(
            solved.distance.double(), reference.distance, atol=distance_error, rtol=distance_error
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("range_over_epsilon", [8.0, 100.0, 400.0])
def test_adversarial_costs_stay_finite(solver: Solver, dtype: torch.dtype, range_over_epsilon: float) -> None:
    """Outliers, blocks, steep ramps, single cheap cells, one value throughout, large offsets of either sign."""
    generator = torch.Generator().manual_seed(3)
    outlier = torch.rand(12, 20, generator=generator) * 0.01
    outlier[3], outlier[:, 5] = 1, 1
    blocks = 1 - torch.block_diag(*[torch.ones(3, 5)] * 4)
    ramp = torch.linspace(0, 1, 12)[:, None] * torch.linspace(1, 0, 20)
    cheap_cell = torch.ones(12, 20)
    cheap_cell[2, 7] = 0
    constant = torch.full((12, 20), 0.3)
    cost = torch.stack([outlier, blocks, ramp, cheap_cell, ramp**8, constant, ramp + 30, ramp - 30]).to(dtype)
    for iterations in (1, 50, 300):
        for annealing in (0.0, 0.5):
            solved = solver(cost, epsilon=1 / range_over_epsilon, iterations=iterations, annealing=annealing)
            assert solved.plan.isfinite().all()
            assert solved.distance.isfinite().all()
            if solver is sinkhorn:
                assert solved.word_error.max() < 1e-6
                assert solved.word_potential.isfinite().all()
                assert solved.region_potential.isfinite().all()


def test_half_precision_costs_are_solved_in_float32(solver: Solver, costs: Any) -> None:
    cost = costs("cosine", (4, 9, 13), torch.Generator().manual_seed(1)).half()
    expected = solver(cost.float()).plan
    torch.testing.assert_close(solver(cost).plan, expected, atol=0, rtol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(solver(cost).plan, expected, atol=0, rtol=0)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
def test_nothing_to_carry(solver: Solver, shape: tuple[int, int, int]) -> None:
    solved = solver(torch.zeros(shape))
    assert solved.plan.shape == shape
    assert solved.distance.tolist() == [0.0] * shape[0]
    assert solved.converged.all()


def test_the_distance_carries_the_plan_as_its_gradient(solver: Solver, ragged: Any) -> None:
    problem = ragged(2, (3, 5, 4))
    cost = problem.cost.masked_fill(~problem.real, float("nan")).requires_grad_()
    solved = solver(cost, **problem.masks)
    assert not solved.plan.requires_grad
    assert not solved.region_error.requires_grad
    solved.distance.sum().backward()
    torch.testing.assert_close(cost.grad, solved.plan, atol=0, rtol=0)


def test_too_few_iterations_are_reported(solver: Solver, costs: Any) -> None:
    cost = costs("cosine", (4, 12, 17), torch.Generator().manual_seed(4))
    assert not solver(cost, iterations=1).converged.any()
    assert solver(cost, iterations=200).converged.all()


def test_input_is_left_as_it_was(solver: Solver) -> None:
    cost = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    before = cost.clone()
    solver(cost)
    assert torch.equal(cost, before)


@pytest.mark.parametrize(
    ("cost", "settings_", "error", "message"),
    [
        (torch.ones(1, 2, 2), {"epsilon": 0.0}, ValueError, "epsilon: expected a finite number above 0, got 0"),
        (torch.ones(1, 2, 2), {"epsilon": float("nan")}, ValueError, "epsilon"),
        (torch.ones(1, 2, 2), {"iterations": 0}, ValueError, "iterations: expected at least 1, got 0"),
        (torch.ones(1, 2, 2), {"iterations": 2.5}, TypeError, "iterations: expected an int"),
        (torch.ones(1, 2, 2), {"annealing": 1.0}, ValueError, r"annealing: expected a share .* got 1\.0"),
        (torch.ones(1, 2, 2), {"annealing": -0.1}, ValueError, "annealing"),
        (torch.ones(1, 2, 2).long(), {}, TypeError, "cost: expected a floating-point dtype"),
        (torch.ones(2, 2), {}, ValueError, r"cost: expected shape \(B, W, R\)"),
        (torch.tensor([[[1.0, float("nan")]]]), {}, ValueError, "cost: .* got nan for pair 0, word 0, region 1"),
        (torch.tensor([[[1.0], [float("-inf")]]]), {}, ValueError, "cost: .* got -inf for pair 0, word 1, region 0"),
        (torch.full((1, 2, 2), 1e30), {"epsilon": 1e-10}, ValueError, "epsilon: 1e-10 is too small"),
        (torch.ones(1, 2, 2), {"epsilon": 1e-40}, ValueError, "epsilon: 1e-40 is too small"),
        (torch.ones(1, 2, 2), {"word_mask": torch.ones(1, 2)}, TypeError, "word_mask: expected a boolean tensor"),
        (torch.ones(1, 2, 2), {"region_weights": -torch.ones(1, 2)}, ValueError, "region_weights: .* at least 0"),
    ],
)
def test_what_is_refused(
    solver: Solver, cost: Tensor, settings_: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        solver(cost, **settings_)
