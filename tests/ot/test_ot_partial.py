"""Partial Sinkhorn: mass and caps, its limits, POT as the oracle.

Axes: B pairs, W words, R regions.
"""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniter_ot.partial import partial_sinkhorn
from uniter_ot.sinkhorn import sinkhorn

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
NEEDS_POT = "POT is not installed: pip install 'uniter-ot[exact]'"


@pytest.mark.parametrize("mass", [0.1, 0.5, 1.0])
def test_one_word_takes_what_is_near(mass: float) -> None:
    """Regions fill up in the order of their costs."""
    solved = partial_sinkhorn(torch.tensor([[[0.3, 1.9, 0.8, 1.4]]]), mass=mass, epsilon=0.01)
    expected = {0.1: [0.1, 0, 0, 0], 0.5: [0.25, 0, 0.25, 0], 1.0: [0.25, 0.25, 0.25, 0.25]}[mass]
    torch.testing.assert_close(solved.plan[0, 0], torch.tensor(expected), atol=1e-4, rtol=0)


def test_constant_cost_gives_a_share_of_the_independent_plan() -> None:
    solved = partial_sinkhorn(torch.full((2, 3, 4), 0.7), mass=0.6)
    torch.testing.assert_close(solved.plan, torch.full((2, 3, 4), 0.6 / 12))
    torch.testing.assert_close(solved.distance, torch.full((2,), 0.7 * 0.6))
    torch.testing.assert_close(solved.word_error, torch.full((2,), 0.4))
    assert solved.converged.all()


@settings(max_examples=200)
@given(
    data=st.data(),
    dtype=st.sampled_from(DTYPES),
    mass=st.sampled_from([0.01, 0.5, 0.8, 0.999, 1.0]),
    epsilon=st.sampled_from([0.5, 0.05, 0.005]),
)
def test_mass_and_word_caps_are_exact(
    problems: Any, data: st.DataObject, dtype: torch.dtype, mass: float, epsilon: float
) -> None:
    problem = data.draw(problems())
    solved = partial_sinkhorn(
        problem.cost.to(dtype), **problem.masks, **problem.weights, mass=mass, epsilon=epsilon, iterations=5
    )
    tolerance = 1e-13 if dtype == torch.float64 else 1e-6
    demanded = solved.problem.word_weights
    assert (solved.plan.sum(2) <= demanded * (1 + tolerance)).all()
    expected = mass * solved.problem.real.any(2).any(1).to(solved.plan.dtype)
    torch.testing.assert_close(solved.plan.sum((1, 2)), expected, atol=tolerance, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), mass=st.sampled_from([0.3, 0.8, 1.0]))
def test_region_caps_hold_once_converged(problems: Any, data: st.DataObject, mass: float) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    solved = partial_sinkhorn(problem.cost, **problem.masks, **problem.weights, mass=mass, epsilon=0.2, iterations=40)
    excess = (solved.plan.sum(1) - solved.problem.region_weights).clamp_min(0).sum(1)
    assert (excess[solved.converged] <= 1e-3 * mass).all()


@settings(max_examples=200)
@given(data=st.data(), epsilon=st.sampled_from([0.5, 0.02]), iterations=st.sampled_from([1, 7, 30]))
def test_all_of_the_mass_is_balanced_transport(
    problems: Any, data: st.DataObject, epsilon: float, iterations: int
) -> None:
    """Not only in the limit: sweep by sweep."""
    problem = data.draw(problems(longest=(12, 16)))
    arguments = {**problem.masks, **problem.weights, "epsilon": epsilon, "iterations": iterations}
    whole = partial_sinkhorn(problem.cost, **arguments, mass=1.0)
    balanced = sinkhorn(problem.cost, **arguments)
    torch.testing.assert_close(whole.plan, balanced.plan, atol=1e-10, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), shift=st.floats(-50, 50), mass=st.sampled_from([0.3, 0.8]))
def test_shifting_the_cost_shifts_the_distance(problems: Any, data: st.DataObject, shift: float, mass: float) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    straight, shifted = (
        partial_sinkhorn(problem.cost + offset, **problem.masks, **problem.weights, mass=mass, iterations=20)
        for offset in (0.0, shift)
    )
    torch.testing.assert_close(shifted.plan, straight.plan, atol=1e-9, rtol=0)
    moved = shift * straight.plan.sum((1, 2))
    torch.testing.assert_close(shifted.distance, straight.distance + moved, atol=1e-8, rtol=0)


def test_the_next_share_costs_more_than_the_last(ragged: Any) -> None:
    """The cheapest mass goes first, so the distance is convex in the mass."""
    problem = ragged(4, (6, 9, 12))
    distances = torch.stack(
        [
            partial_sinkhorn(problem.cost, **problem.masks, **problem.weights, mass=tenths / 10, epsilon=0.02).distance
            for tenths in range(1, 11)
        ]
    )
    assert (distances.diff(n=2, dim=0) > -1e-3).all()


@pytest.mark.parametrize("mass", [0.1, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("kind", ["uniform", "cosine", "clusters"])
def test_pot_finds_the_same_plan(ragged: Any, kind: str, mass: float) -> None:
    """POT's entropy is relative to ones, ours to a b', which a change of the cost makes up for."""
    ot = pytest.importorskip("ot", reason=NEEDS_POT)
    problem, epsilon = ragged(3, (2, 8, 11), kind=kind, keep=1.0), 0.2
    solved = partial_sinkhorn(problem.cost, **problem.weights, mass=mass, epsilon=epsilon, iterations=500)
    assert solved.converged.all()
    for pair in range(2):
        words, regions = problem.word_weights[pair] > 0, problem.region_weights[pair] > 0
        a, b = problem.word_weights[pair][words], problem.region_weights[pair][regions]
        cost = problem.cost[pair][words][:, regions] - epsilon * (a.log()[:, None] + b.log())
        expected = ot.partial.entropic_partial_wasserstein(
            a.numpy(), b.numpy(), cost.numpy(), epsilon, m=mass, method="sinkhorn_log", numItermax=5000, stopThr=1e-13
        )
        torch.testing.assert_close(solved.plan[pair][words][:, regions], torch.from_numpy(expected), atol=1e-8, rtol=0)


def test_small_epsilon_tends_to_the_exact_value(ragged: Any) -> None:
    ot = pytest.importorskip("ot", reason=NEEDS_POT)
    problem = ragged(8, (3, 7, 9), keep=1.0)
    uniform = torch.full((7,), 1 / 7).double().numpy(), torch.full((9,), 1 / 9).double().numpy()
    best = [(ot.partial.partial_wasserstein(*uniform, c.numpy(), m=0.6) * c.numpy()).sum() for c in problem.cost]
    solved = partial_sinkhorn(problem.cost, mass=0.6, epsilon=0.005, iterations=1000)
    assert solved.converged.all()
    torch.testing.assert_close(solved.distance, torch.tensor(best), atol=2e-3, rtol=0)


@pytest.mark.parametrize("mass", [0.0, -0.5, 1.0001, float("nan")])
def test_mass_is_a_share(mass: float) -> None:
    with pytest.raises(ValueError, match=r"mass: expected a share in \(0, 1\]"):
        partial_sinkhorn(torch.ones(1, 1, 1), mass=mass)
