"""Unbalanced Sinkhorn: closed forms, its limits, POT as the oracle.

Axes: B pairs, W words, R regions.
"""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniter_ot.sinkhorn import sinkhorn
from uniter_ot.unbalanced import unbalanced_sinkhorn


@pytest.mark.parametrize("reach", [0.01, 1.0, 100.0])
@pytest.mark.parametrize(("word", "region", "cost"), [(1.0, 1.0, 0.7), (3.0, 0.2, 0.7), (0.5, 0.5, -0.3)])
def test_one_word_and_one_region(word: float, region: float, cost: float, reach: float) -> None:
    """The derivative of t C + epsilon KL(t | ab) + reach KL(t | a) + reach KL(t | b) vanishes."""
    epsilon = 0.05
    log_mass = ((epsilon + reach) * math.log(word * region) - cost) / (epsilon + 2 * reach)
    solved = unbalanced_sinkhorn(
        torch.tensor([[[cost]]], dtype=torch.float64),
        word_weights=torch.tensor([[word]]),
        region_weights=torch.tensor([[region]]),
        reach=reach,
        epsilon=epsilon,
        iterations=400,
    )
    assert solved.converged.all()
    torch.testing.assert_close(solved.plan.item(), math.exp(log_mass), atol=1e-12, rtol=1e-6)


@settings(max_examples=200)
@given(data=st.data(), shift=st.floats(-2, 5), reach=st.sampled_from([0.5, 5.0]))
def test_a_costlier_trip_is_made_less(problems: Any, data: st.DataObject, shift: float, reach: float) -> None:
    """Adding s to all costs multiplies the plan by exp(-s / (epsilon + 2 reach))."""
    problem, epsilon = data.draw(problems(longest=(12, 16))), 0.5
    plan, shifted = (
        unbalanced_sinkhorn(
            problem.cost + offset,
            **problem.masks,
            word_weights=2 * problem.word_weights,
            region_weights=problem.region_weights / 3,
            reach=reach,
            epsilon=epsilon,
            iterations=30,
            annealing=0.0,
        ).plan
        for offset in (0.0, shift)
    )
    torch.testing.assert_close(shifted, plan * math.exp(-shift / (epsilon + 2 * reach)), atol=1e-9, rtol=1e-6)


@settings(max_examples=200)
@given(data=st.data(), epsilon=st.sampled_from([0.5, 0.1]))
def test_far_reach_is_balanced_transport(problems: Any, data: st.DataObject, epsilon: float) -> None:
    """Potentials are at most about the range of the costs, so marginals are off by no more than range / reach."""
    problem, reach = data.draw(problems(longest=(12, 16))), 1e6
    balanced = sinkhorn(problem.cost, **problem.masks, **problem.weights, epsilon=epsilon, iterations=20)
    unbalanced = unbalanced_sinkhorn(
        problem.cost, **problem.masks, **problem.weights, reach=reach, epsilon=epsilon, iterations=20
    )
    torch.testing.assert_close(unbalanced.plan, balanced.plan, atol=1e-4, rtol=0)
    torch.testing.assert_close(unbalanced.distance, balanced.distance, atol=1e-4, rtol=0)
    assert unbalanced.word_error.max() < 1e-4


def test_the_balanced_limit_is_approached_steadily(ragged: Any) -> None:
    problem = ragged(1, (4, 7, 9))
    balanced = sinkhorn(problem.cost, **problem.masks, **problem.weights, iterations=500).plan
    off = [
        (unbalanced_sinkhorn(problem.cost, **problem.masks, **problem.weights, reach=reach, iterations=500).plan)
        .sub(balanced)
        .abs()
        .sum((1, 2))
        .mean()
        .item()
        for reach in (0.1, 1.0, 10.0, 100.0, 1000.0)
    ]
    assert off == sorted(off, reverse=True)
    assert off[-1] < 2e-3


def test_no_reach_leaves_the_kernel() -> None:
    """At reach 0 nothing holds the mass but the entropy: T = a b exp(-C / epsilon)."""
    cost = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    solved = unbalanced_sinkhorn(cost, reach=1e-9, epsilon=0.5)
    torch.testing.assert_close(solved.plan, torch.exp(-cost / 0.5) / 12, atol=1e-8, rtol=0)


@pytest.mark.parametrize("reach", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("kind", ["uniform", "cosine", "clusters"])
def test_pot_finds_the_same_plan(ragged: Any, kind: str, reach: float) -> None:
    """POT's default is ours: reg_type="kl", the entropy relative to a b'."""
    ot = pytest.importorskip("ot", reason="POT is not installed: pip install 'uniter-ot[exact]'")
    problem = ragged(3, (3, 8, 11), kind=kind, keep=1.0)
    masses = {"word_weights": 2 * problem.word_weights, "region_weights": 0.7 * problem.region_weights}
    solved = unbalanced_sinkhorn(problem.cost, **masses, reach=reach, epsilon=0.2, iterations=500)
    assert solved.converged.all()
    for pair in range(3):
        words, regions = problem.word_weights[pair] > 0, problem.region_weights[pair] > 0
        expected = ot.unbalanced.sinkhorn_unbalanced(
            masses["word_weights"][pair][words].numpy(),
            masses["region_weights"][pair][regions].numpy(),
            problem.cost[pair][words][:, regions].numpy(),
            0.2,
            reach,
            reg_type="kl",
            numItermax=100_000,
            stopThr=1e-14,
        )
        torch.testing.assert_close(solved.plan[pair][words][:, regions], torch.from_numpy(expected), atol=1e-8, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), reach=st.sampled_from([0.1, 1.0, 30.0]), iterations=st.integers(1, 30))
def test_what_has_converged_stays(problems: Any, data: st.DataObject, reach: float, iterations: int) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    arguments = {**problem.masks, **problem.weights, "reach": reach, "epsilon": 0.1}
    solved = unbalanced_sinkhorn(problem.cost, **arguments, iterations=iterations)
    settled = unbalanced_sinkhorn(problem.cost, **arguments, iterations=iterations + 30)
    moved = (solved.plan - settled.plan).abs().sum((1, 2))
    assert (moved[solved.converged] <= 0.1 * settled.plan.sum((1, 2))[solved.converged]).all()


def test_masses_need_not_agree() -> None:
    """One word asks for ten times what the regions offer; the more reach, the more of it is met."""
    cost = torch.zeros(1, 1, 2)
    masses = {"word_weights": torch.tensor([[10.0]]), "region_weights": torch.tensor([[0.5, 0.5]])}
    total = unbalanced_sinkhorn(cost, **masses, epsilon=0.01, reach=1.0).plan.sum().item()
    assert total == pytest.approx(math.sqrt(10), rel=0.02)  # the geometric mean, without an entropy


@pytest.mark.parametrize("reach", [0.0, -1.0, float("inf"), float("nan")])
def test_reach_is_above_zero(reach: float) -> None:
    with pytest.raises(ValueError, match="reach: expected a finite number above 0"):
        unbalanced_sinkhorn(torch.ones(1, 1, 1), reach=reach)


def test_gains_that_would_overflow_are_refused() -> None:
    with pytest.raises(ValueError, match=r"reach: expected at least 0\.05 for a cost as low as -3"):
        unbalanced_sinkhorn(torch.full((1, 1, 1), -3.0), reach=0.01)
    assert unbalanced_sinkhorn(torch.full((1, 1, 1), -3.0), reach=0.06).plan.isfinite().all()
