"""Sinkhorn: closed forms, marginals, what its potentials prove, POT and the exact solver as oracles.

Axes: B pairs, W words, R regions.
"""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniter_ot.exact import exact
from uniter_ot.log_domain import LogDomain, epsilon_schedule
from uniter_ot.problem import pose
from uniter_ot.sinkhorn import sinkhorn

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
NEEDS_POT = "POT is not installed: pip install 'uniter-ot[exact]'"


# Closed forms.


def test_one_word_spreads_as_the_regions_weigh() -> None:
    cost, weights = torch.tensor([[[0.3, 1.9, 0.8]]]), torch.tensor([[0.2, 0.5, 0.3]])
    solved = sinkhorn(cost, region_weights=weights, iterations=1)
    torch.testing.assert_close(solved.plan, weights[:, None, :])
    torch.testing.assert_close(solved.distance, (cost[:, 0] * weights).sum(1))
    assert solved.converged.all()


def test_one_region_takes_everything() -> None:
    cost, weights = torch.tensor([[[0.3], [1.9], [0.8]]]), torch.tensor([[0.2, 0.5, 0.3]])
    torch.testing.assert_close(sinkhorn(cost, word_weights=weights, iterations=1).plan, weights[:, :, None])


def test_constant_cost_gives_the_independent_plan() -> None:
    solved = sinkhorn(torch.full((2, 3, 4), 0.7))
    torch.testing.assert_close(solved.plan, torch.full((2, 3, 4), 1 / 12))
    torch.testing.assert_close(solved.distance, torch.full((2,), 0.7))
    assert solved.converged.all()


@pytest.mark.parametrize("size", [2, 5, 17])
def test_a_permutation_is_found(size: int) -> None:
    order = torch.randperm(size, generator=torch.Generator().manual_seed(size))
    solved = sinkhorn(1 - torch.eye(size)[order][None], epsilon=0.02)
    torch.testing.assert_close(solved.plan, torch.eye(size)[order][None] / size, atol=1e-6, rtol=0)
    assert solved.distance.item() < 1e-6
    assert solved.converged.all()


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.01])
def test_two_by_two(epsilon: float) -> None:
    """By symmetry T = [[p, q], [q, p]] with p + q = 1/2 and p / q = exp((off - on) / epsilon)."""
    on, off = 0.2, 0.5
    p = 1 / (2 + 2 * math.exp(-(off - on) / epsilon))
    solved = sinkhorn(torch.tensor([[[on, off], [off, on]]]), epsilon=epsilon)
    torch.testing.assert_close(solved.plan, torch.tensor([[[p, 0.5 - p], [0.5 - p, p]]]))


def test_diracs_cost_what_lies_between_them() -> None:
    cost = torch.rand(1, 5, 7, generator=torch.Generator().manual_seed(0))
    one_word, one_region = torch.eye(5)[2][None], torch.eye(7)[4][None]
    solved = sinkhorn(cost, word_weights=one_word, region_weights=one_region, iterations=1)
    torch.testing.assert_close(solved.distance, cost[:, 2, 4])
    torch.testing.assert_close(solved.plan, one_word[:, :, None] * one_region[:, None, :])


# Properties.


@settings(max_examples=200)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), epsilon=st.sampled_from([0.5, 0.05, 0.005]))
def test_the_word_marginal_is_exact(problems: Any, data: st.DataObject, dtype: torch.dtype, epsilon: float) -> None:
    problem = data.draw(problems())
    solved = sinkhorn(problem.cost.to(dtype), **problem.masks, **problem.weights, epsilon=epsilon, iterations=5)
    tolerance = 1e-14 if dtype == torch.float64 else 1e-6
    demanded = solved.problem.word_weights
    assert ((solved.plan.sum(2) - demanded).abs() <= tolerance * demanded).all()
    mass = solved.problem.real.any(2).any(1).to(solved.plan.dtype)
    torch.testing.assert_close(solved.plan.sum((1, 2)), mass, atol=tolerance, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), shift=st.floats(-50, 50), epsilon=st.sampled_from([0.3, 0.02]))
def test_shifting_the_cost_shifts_the_distance(
    problems: Any, data: st.DataObject, shift: float, epsilon: float
) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    straight, shifted = (
        sinkhorn(problem.cost + offset, **problem.masks, **problem.weights, epsilon=epsilon, iterations=20)
        for offset in (0.0, shift)
    )
    mass = straight.plan.sum((1, 2))
    torch.testing.assert_close(shifted.plan, straight.plan, atol=1e-9, rtol=0)
    torch.testing.assert_close(shifted.distance, straight.distance + shift * mass, atol=1e-8, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), epsilon=st.sampled_from([0.5, 0.1]))
def test_the_plan_is_that_of_the_potentials(problems: Any, data: st.DataObject, epsilon: float) -> None:
    """log T = log a + log b + (f + g - C) / epsilon at whatever iteration."""
    problem = data.draw(problems(longest=(12, 16)))
    solved = sinkhorn(problem.cost, **problem.masks, **problem.weights, epsilon=epsilon, iterations=7)
    asked = solved.problem
    exponent = (solved.word_potential[:, :, None] + solved.region_potential[:, None, :] - asked.real_cost) / epsilon
    plan = asked.word_weights[:, :, None] * asked.region_weights[:, None, :] * exponent.exp()
    torch.testing.assert_close(solved.plan, plan, atol=1e-12, rtol=1e-9)
    assert (solved.word_potential[asked.word_weights == 0] == 0).all()
    assert (solved.region_potential[asked.region_weights == 0] == 0).all()


@settings(max_examples=200)
@given(data=st.data(), iterations=st.sampled_from([1, 20, 200]))
def test_distance_and_bounds_enclose_the_exact_distance(problems: Any, data: st.DataObject, iterations: int) -> None:
    pytest.importorskip("ot", reason=NEEDS_POT)
    problem, epsilon = data.draw(problems(longest=(12, 16))), 0.1
    solved = sinkhorn(problem.cost, **problem.masks, **problem.weights, epsilon=epsilon, iterations=iterations)
    best = exact(problem.cost, **problem.masks, **problem.weights, threads=1).distance
    assert (solved.lower_bound <= best + 1e-9).all()
    assert (solved.upper_bound >= best - 1e-9).all()
    off = solved.region_error * problem.cost.max()
    assert (solved.distance >= best - off - 1e-9).all()
    size = min(problem.cost.shape[1:])
    assert (solved.distance[solved.converged] <= (best + epsilon * math.log(size) + off + 1e-9)[solved.converged]).all()
    # A minimum is at most epsilon log(1 / b) below the soft one: the dual at the potentials is nearly a bound itself.
    a, b = solved.problem.word_weights, solved.problem.region_weights
    dual = (a * solved.word_potential).sum(1) + (b * solved.region_potential).sum(1)
    lightest = b.masked_fill(b == 0, 1).amin(1)
    assert (solved.lower_bound >= dual + epsilon * lightest.log() - 1e-9).all()


def test_annealing_ends_at_the_same_plan(ragged: Any) -> None:
    problem = ragged(5, (4, 9, 11))
    plans = [
        sinkhorn(problem.cost, **problem.masks, **problem.weights, iterations=3000, annealing=share).plan
        for share in (0.0, 0.5, 0.9)
    ]
    for plan in plans[1:]:
        torch.testing.assert_close(plan, plans[0], atol=1e-10, rtol=0)


def test_annealing_gets_mass_across_between_clusters() -> None:
    """Two antipodal clusters of unequal weight: at a constant epsilon potentials have to walk the distance."""
    generator = torch.Generator().manual_seed(0)
    side = torch.where(torch.arange(56) % 7 < 3, 1.0, -1.0)[:, None]
    points = 0.1 * torch.randn(6, 56, 8, generator=generator) + torch.randn(6, 1, 8, generator=generator) * side
    unit = torch.nn.functional.normalize(points, dim=2).double()
    cost = 1 - unit[:, :20] @ unit[:, 20:].mT
    constant, annealed = (sinkhorn(cost, annealing=share).region_error.max() for share in (0.0, 0.5))
    assert constant > 0.05
    assert annealed < 1e-3


@pytest.mark.parametrize("iterations", [1, 2, 7, 50])
@pytest.mark.parametrize("annealing", [0.0, 0.3, 0.99])
def test_the_schedule_falls_to_epsilon(iterations: int, annealing: float) -> None:
    spread = torch.tensor([[5.0], [0.01], [0.0]])
    schedule = torch.stack(list(epsilon_schedule(spread, epsilon=0.1, iterations=iterations, annealing=annealing)))
    assert len(schedule) == iterations
    assert (schedule[-1] == 0.1).all()
    assert (schedule.diff(dim=0) <= 0).all()
    assert (schedule[:, 1:] == 0.1).all()


def test_half_steps_of_an_empty_pair_are_zero() -> None:
    domain = LogDomain.of(pose(torch.ones(1, 2, 3), word_mask=torch.zeros(1, 2, dtype=torch.bool)))
    epsilon = torch.tensor([[0.1]])
    assert domain.spread.item() == 0
    assert (domain.word_transform(torch.zeros(1, 3), epsilon) == 0).all()
    assert (domain.region_transform(torch.zeros(1, 2), epsilon) == 0).all()
    assert (domain.shares(torch.zeros(1, 3), 0.1) == 0).all()
    assert (domain.plan(torch.zeros(1, 2), torch.zeros(1, 3), 0.1) == 0).all()


# Oracles and gradients.


@pytest.mark.parametrize("epsilon", [0.5, 0.1])
@pytest.mark.parametrize("kind", ["uniform", "cosine"])
def test_pot_finds_the_same_plan(ragged: Any, kind: str, epsilon: float) -> None:
    ot = pytest.importorskip("ot", reason=NEEDS_POT)
    problem = ragged(3, (4, 8, 11), kind=kind, keep=1.0)
    solved = sinkhorn(problem.cost, **problem.weights, epsilon=epsilon, iterations=1000)
    assert solved.converged.all()
    for pair in range(4):
        words, regions = problem.word_weights[pair] > 0, problem.region_weights[pair] > 0
        expected = ot.sinkhorn(
            problem.word_weights[pair][words],
            problem.region_weights[pair][regions],
            problem.cost[pair][words][:, regions],
            epsilon,
            method="sinkhorn_log",
            numItermax=10_000,
            stopThr=1e-12,
        )
        torch.testing.assert_close(solved.plan[pair][words][:, regions], expected, atol=1e-9, rtol=0)


def test_small_epsilon_finds_the_one_optimal_plan(planted: Any) -> None:
    problem = planted(0, 6, 9)
    solved = sinkhorn(problem.cost, **problem.weights, epsilon=0.01)
    torch.testing.assert_close(solved.plan, problem.plan, atol=1e-9, rtol=0)
    assert solved.gap.max() < 1e-9


def test_gradient_of_the_distance_where_the_plan_stands_still(planted: Any) -> None:
    problem = planted(1, 3, 4, pairs=2)
    cost = problem.cost.requires_grad_()
    assert torch.autograd.gradcheck(lambda c: sinkhorn(c, **problem.weights, epsilon=0.01).distance, (cost,))
