"""The exact solver: planted solutions, POT itself, duality, threads.

Axes: B pairs, W words, R regions.
"""

import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniter_ot.exact import exact
from uniter_ot.sinkhorn import sinkhorn

ot = pytest.importorskip("ot", reason="POT is not installed: pip install 'uniter-ot[exact]'")

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize(("words", "regions"), [(1, 1), (1, 6), (6, 1), (5, 9), (9, 5), (30, 50)])
def test_a_planted_plan_is_found(planted: Any, words: int, regions: int) -> None:
    problem = planted(words, words, regions)
    solved = exact(problem.cost, **problem.weights)
    torch.testing.assert_close(solved.plan, problem.plan, atol=1e-14, rtol=0)
    torch.testing.assert_close(solved.lower_bound, solved.distance, atol=1e-12, rtol=0)
    assert solved.converged.all()


@pytest.mark.parametrize("size", [2, 5, 17])
def test_a_permutation_is_found(size: int) -> None:
    order = torch.randperm(size, generator=torch.Generator().manual_seed(size))
    solved = exact(1 - torch.eye(size)[order][None])
    assert torch.equal(solved.plan * size, torch.eye(size)[order][None])
    assert solved.distance.item() == 0


@settings(max_examples=200)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), shift=st.sampled_from([0.0, -5.0]))
def test_marginals_duality_and_vertices(problems: Any, data: st.DataObject, dtype: torch.dtype, shift: float) -> None:
    """Holes, ragged sizes, garbage at absent points, negative costs; what is solved is proved to be solved."""
    problem = data.draw(problems())
    cost = (problem.cost + shift).to(dtype)
    garbage = cost.masked_fill(~problem.real, float("nan"))
    solved = exact(garbage, **problem.masks, **problem.weights, threads=1)
    assert solved.plan.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    asked = solved.problem
    assert (solved.plan >= 0).all()
    assert (solved.plan[~asked.real] == 0).all()
    assert solved.word_error.max() <= tolerance
    assert solved.region_error.max() <= tolerance
    assert solved.converged.all()
    f, g = solved.word_potential, solved.region_potential
    slack = asked.real_cost - f[:, :, None] - g[:, None, :]
    assert (slack[asked.real] >= -tolerance).all()
    torch.testing.assert_close(
        (asked.word_weights * f).sum(1) + (asked.region_weights * g).sum(1), solved.distance, atol=tolerance, rtol=0
    )
    assert (solved.gap <= tolerance).all()
    points = (asked.word_weights > 0).sum(1) + (asked.region_weights > 0).sum(1)
    assert ((solved.plan > 0).sum((1, 2)) <= (points - 1).clamp_min(0)).all()


@settings(max_examples=200)
@given(data=st.data())
def test_each_pair_is_what_pot_says_of_it_alone(problems: Any, data: st.DataObject) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    solved = exact(problem.cost, **problem.masks, **problem.weights, threads=1)
    for pair, cost in enumerate(problem.cost):
        words, regions = problem.word_weights[pair] > 0, problem.region_weights[pair] > 0
        if words.any() and regions.any():
            a, b = problem.word_weights[pair][words].numpy(), problem.region_weights[pair][regions].numpy()
            expected = float(ot.emd2(a, b, cost[words][:, regions].numpy()))
            assert solved.distance[pair].item() == pytest.approx(expected, abs=1e-12)
        else:
            assert solved.distance[pair] == 0


@settings(max_examples=200)
@given(data=st.data())
def test_no_plan_costs_less(problems: Any, data: st.DataObject) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    best = exact(problem.cost, **problem.masks, **problem.weights, threads=1).distance
    other = sinkhorn(problem.cost, **problem.masks, **problem.weights, epsilon=0.1, iterations=5).round()
    assert (other.distance >= best - 1e-12).all()


def test_transposition(ragged: Any) -> None:
    problem = ragged(2, (5, 7, 9))
    straight = exact(problem.cost, **problem.masks, **problem.weights)
    turned = exact(
        problem.cost.mT,
        word_mask=problem.region_mask,
        region_mask=problem.word_mask,
        word_weights=problem.region_weights,
        region_weights=problem.word_weights,
    )
    torch.testing.assert_close(turned.distance, straight.distance, atol=1e-14, rtol=0)


def test_threads_change_nothing(costs: Any) -> None:
    cost = costs("cosine", (40, 9, 14), torch.Generator().manual_seed(0))
    one, four = (exact(cost, threads=threads) for threads in (1, 4))
    assert torch.equal(one.plan, four.plan)
    assert torch.equal(one.region_potential, four.region_potential)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
def test_nothing_to_carry(shape: tuple[int, int, int]) -> None:
    solved = exact(torch.zeros(shape))
    assert solved.plan.shape == shape
    assert solved.distance.tolist() == [0.0] * shape[0]
    assert solved.converged.all()


def test_giving_up_is_reported(costs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["uniter_ot.exact"], "LARGEST_PIVOTS", 3)
    with pytest.warns(UserWarning, match="numItermax reached before optimality"):
        solved = exact(costs("uniform", (1, 20, 20), torch.Generator().manual_seed(0)), threads=1)
    assert not solved.converged.any()


def test_the_distance_carries_the_plan_as_its_gradient(ragged: Any) -> None:
    problem = ragged(3, (3, 5, 4))
    cost = problem.cost.masked_fill(~problem.real, float("nan")).requires_grad_()
    solved = exact(cost, **problem.masks)
    solved.distance.sum().backward()
    torch.testing.assert_close(cost.grad, solved.plan, atol=0, rtol=0)


def test_gradient(planted: Any) -> None:
    problem = planted(4, 3, 5, pairs=2)
    cost = problem.cost.requires_grad_()
    assert torch.autograd.gradcheck(lambda c: exact(c, **problem.weights).distance, (cost,))


def test_without_pot_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ImportError, match=r"pip install 'uniter-ot\[exact\]'"):
        exact(torch.ones(1, 2, 2))


@pytest.mark.parametrize(
    ("cost", "settings_", "error", "message"),
    [
        (torch.tensor([[[1.0, float("inf")]]]), {}, ValueError, "cost: .* got inf for pair 0, word 0, region 1"),
        (torch.ones(1, 2, 2).long(), {}, TypeError, "cost: expected a floating-point dtype"),
        (torch.ones(1, 2, 2), {"threads": 0}, ValueError, "threads: expected at least 1, got 0"),
        (torch.ones(1, 2, 2), {"threads": 1.5}, TypeError, "threads: expected an int"),
        (torch.ones(1, 2, 2), {"word_weights": torch.ones(1, 2)}, ValueError, "word_weights: .* add up to 1"),
    ],
)
def test_what_is_refused(cost: torch.Tensor, settings_: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        exact(cost, **settings_)
