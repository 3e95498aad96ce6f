"""IPOT: closed forms, what a plan must satisfy whatever the backend, and agreement with float64.

Axes: B pairs, W words, R regions.
"""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot import TransportPlan, ipot

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
KINDS = ["uniform", "binary", "cosine", "clusters"]

fifty_sweeps = st.sampled_from([{"iterations": 50}, {"iterations": 50, "schedule": "staged"}])
steps = st.fixed_dictionaries(
    {
        "beta": st.sampled_from([0.5, 0.02]),
        "iterations": st.integers(1, 15),
        "inner": st.integers(1, 3),
        "schedule": st.sampled_from(["constant", "staged"]),
        "relaxation": st.sampled_from([1.0, 1.2]),
    }
)


def solve(problem, cost: Tensor | None = None, **settings_: object) -> TransportPlan:  # type: ignore[no-untyped-def]
    return ipot(problem.cost if cost is None else cost, **problem.masks, **settings_)  # type: ignore[arg-type]


# Closed forms.


def test_one_word_spreads_evenly(backend: str) -> None:
    cost = torch.tensor([[[0.3, 1.9, 0.8]]])
    solved = ipot(cost, iterations=1, backend=backend)
    torch.testing.assert_close(solved.plan, torch.full((1, 1, 3), 1 / 3))
    torch.testing.assert_close(solved.distance, cost.mean((1, 2)))


def test_one_region_takes_everything(backend: str) -> None:
    cost = torch.tensor([[[0.3], [1.9], [0.8]]])
    torch.testing.assert_close(ipot(cost, iterations=1, backend=backend).plan, torch.full((1, 3, 1), 1 / 3))


def test_constant_cost_gives_the_independent_plan(backend: str) -> None:
    solved = ipot(torch.full((2, 3, 4), 0.7), backend=backend)
    torch.testing.assert_close(solved.plan, torch.full((2, 3, 4), 1 / 12))
    torch.testing.assert_close(solved.distance, torch.full((2,), 0.7))
    assert solved.converged.all()


@pytest.mark.parametrize("size", [2, 5, 17])
def test_a_permutation_is_found(backend: str, size: int) -> None:
    order = torch.randperm(size, generator=torch.Generator().manual_seed(size))
    solved = ipot(1 - torch.eye(size)[order][None], backend=backend)
    torch.testing.assert_close(solved.plan, torch.eye(size)[order][None] / size, atol=1e-6, rtol=0)
    assert solved.distance.item() < 1e-6
    assert solved.converged.all()


@pytest.mark.parametrize("iterations", [1, 3, 50])
def test_two_by_two(backend: str, iterations: int) -> None:
    """By symmetry T = [[p, q], [q, p]] with p + q = 1/2 and p / q = exp(t (off - on) / beta)."""
    on, off, beta = 0.2, 0.5, 0.5
    ratio = math.exp(iterations * (off - on) / beta)
    p, q = ratio / (2 * (1 + ratio)), 1 / (2 * (1 + ratio))
    solved = ipot(torch.tensor([[[on, off], [off, on]]]), beta=beta, iterations=iterations, backend=backend)
    torch.testing.assert_close(solved.plan, torch.tensor([[[p, q], [q, p]]]))


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), words=st.integers(1, 12), regions=st.integers(1, 16))
@pytest.mark.parametrize("schedule", ["constant", "staged"])
def test_known_optima_and_their_transposes(
    planted: Callable, backend: str, schedule: str, seed: int, words: int, regions: int
) -> None:
    """The words' marginal is the exact one, so a cost and its transpose differ until both have converged.

    A small weight in the wrong place takes long to move; such pairs know by their gap that they have not converged.
    """
    problem = planted(seed, words, regions)
    a, b = problem.word_weights, problem.region_weights
    arguments = {"iterations": 60, "schedule": schedule, "backend": backend}
    straight = ipot(problem.cost, word_weights=a, region_weights=b, **arguments)
    turned = ipot(problem.cost.mT, word_weights=b, region_weights=a, **arguments)
    exact = (problem.plan * problem.cost).sum((1, 2))
    for solved, plan in (straight, problem.plan), (turned, problem.plan.mT):
        misplaced = (solved.round().plan * (plan == 0)).sum((1, 2))
        assert (misplaced <= solved.gap / problem.slack + 1e-12).all()
        assert (solved.lower_bound <= exact + 1e-12).all()
        done = solved.gap < 1e-10
        torch.testing.assert_close(solved.plan[done], plan[done], atol=1e-9, rtol=0)
        torch.testing.assert_close(solved.distance[done], exact[done], atol=1e-9, rtol=0)
        assert solved.converged[done].all()
    both = done & (straight.gap < 1e-10)
    torch.testing.assert_close(turned.plan.mT[both], straight.plan[both], atol=1e-9, rtol=0)


@pytest.mark.parametrize("schedule", ["constant", "staged"])
def test_nearly_all_known_optima_are_found_in_a_hundred_iterations(
    planted: Callable, backend: str, schedule: str
) -> None:
    problem = planted(0, 7, 12, pairs=50)
    solved = ipot(problem.cost, **problem.weights, iterations=100, schedule=schedule, backend=backend)
    assert (solved.gap < 1e-10).sum() >= 48


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 16), width=st.integers(2, 8))
def test_identical_sets_of_points_are_at_no_distance(backend: str, seed: int, size: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(2, size, width, generator=generator, dtype=torch.float64)
    cost = torch.cdist(points, points[:, torch.randperm(size, generator=generator)]).square() / width
    # A proximal point method is beta / (number of steps) times a relative entropy, at most log(size), from the optimum.
    solved = ipot(cost, schedule="staged", iterations=100, backend=backend)
    assert solved.distance.max() <= 0.5 / (20 * (1 + 2 + 4) + 40 * 8) * math.log(size) + 1e-12


# What every plan satisfies.


@settings(max_examples=200)
@given(
    data=st.data(),
    dtype=st.sampled_from(DTYPES),
    beta=st.sampled_from([0.5, 0.1, 0.01]),
    schedule=st.sampled_from(["constant", "staged"]),
    weighted=st.booleans(),
)
def test_marginals_mass_and_sign(
    problems: Callable,
    backend: str,
    data: st.DataObject,
    dtype: torch.dtype,
    beta: float,
    schedule: str,
    weighted: bool,
) -> None:
    problem = data.draw(problems())
    cost = problem.cost.to(dtype)
    weights = problem.weights if weighted else {}
    solved = solve(problem, cost, beta=beta, iterations=20, schedule=schedule, backend=backend, **weights)
    plan = solved.plan
    assert plan.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert plan.isfinite().all()
    assert (plan >= 0).all()

    both = problem.real.any(2).any(1)
    if weighted:
        words, regions = problem.word_weights, problem.region_weights
    else:
        words, regions = (
            mask.double() / mask.sum(1, keepdim=True).clamp_min(1) for mask in (problem.word_mask, problem.region_mask)
        )
    words, regions = (words * both[:, None]).to(plan.dtype), (regions * both[:, None]).to(plan.dtype)
    real = (words > 0)[:, :, None] & (regions > 0)[:, None, :]
    assert (plan[~real] == 0).all()
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    assert ((plan.sum(2) - words) / words.clamp_min(1e-30)).abs().max() <= tolerance
    torch.testing.assert_close(plan.sum((1, 2)), both.to(plan.dtype), atol=tolerance, rtol=0)
    torch.testing.assert_close(solved.region_error, (plan.sum(1) - regions).abs().sum(1), atol=tolerance, rtol=0)
    torch.testing.assert_close(solved.word_error, (plan.sum(2) - words).abs().sum(1), atol=tolerance, rtol=0)
    expected = (plan * cost.to(plan.dtype).masked_fill(~real, 0)).sum((1, 2))
    torch.testing.assert_close(solved.distance, expected, atol=tolerance, rtol=tolerance)
    assert (solved.converged == (torch.maximum(solved.word_error, solved.region_error) <= 1e-3)).all()
    assert (solved.distance[~both] == 0).all()


@settings(max_examples=200)
@given(data=st.data(), steps=steps, weighted=st.booleans())
def test_each_pair_stands_alone(
    problems: Callable, reference_plan: Callable, backend: str, data: st.DataObject, steps: dict, weighted: bool
) -> None:
    """Neither padding, nor holes, nor what a pair is batched with, nor garbage in masked entries changes its plan."""
    problem = data.draw(problems(longest=(12, 16)))
    garbage = problem.cost.masked_fill(~problem.real, float("nan"))
    weights = problem.weights if weighted else {}
    plan = solve(problem, garbage, backend=backend, **steps, **weights).plan
    fifth = steps["iterations"] // 5
    staged = [(fifth, 1), (fifth, 2), (fifth, 4), (steps["iterations"] - 3 * fifth, 8)]
    stages = [stage for stage in staged if stage[0]] if steps["schedule"] == "staged" else [(steps["iterations"], 1)]
    for pair in range(len(plan)):
        words, regions = problem.word_mask[pair], problem.region_mask[pair]
        if weighted:
            words, regions = problem.word_weights[pair] > 0, problem.region_weights[pair] > 0
        if words.any() and regions.any():
            expected = reference_plan(
                problem.cost[pair][words][:, regions][None],
                steps["beta"],
                0,
                steps["inner"],
                stages=stages,
                relaxation=steps["relaxation"],
                word_weights=problem.word_weights[pair][words][None] if weighted else None,
                region_weights=problem.region_weights[pair][regions][None] if weighted else None,
            )
            torch.testing.assert_close(plan[pair][words][:, regions], expected[0], atol=1e-12, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), beta=st.sampled_from([0.5, 0.02]))
def test_order_does_not_matter(problems: Callable, backend: str, data: st.DataObject, beta: float) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    pairs, words, regions = (torch.randperm(n, generator=problem.generator) for n in problem.cost.shape)
    straight = solve(problem, beta=beta, iterations=15, backend=backend).plan
    shuffled = ipot(
        problem.cost[pairs][:, words][:, :, regions],
        word_mask=problem.word_mask[pairs][:, words],
        region_mask=problem.region_mask[pairs][:, regions],
        beta=beta,
        iterations=15,
        backend=backend,
    ).plan
    torch.testing.assert_close(shuffled, straight[pairs][:, words][:, :, regions], atol=1e-12, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), factor=st.floats(1e-3, 1e3), beta=st.sampled_from([0.5, 0.02]), sweeps=fifty_sweeps)
def test_only_the_ratio_of_cost_and_beta_matters(
    problems: Callable, backend: str, data: st.DataObject, factor: float, beta: float, sweeps: dict
) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    straight = solve(problem, beta=beta, backend=backend, **sweeps)
    scaled = solve(problem, problem.cost * factor, beta=beta * factor, backend=backend, **sweeps)
    torch.testing.assert_close(scaled.plan, straight.plan, atol=1e-9, rtol=0)
    torch.testing.assert_close(scaled.distance, straight.distance * factor, atol=1e-9 * factor, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), shift=st.floats(-50, 50), beta=st.sampled_from([0.5, 0.02]), sweeps=fifty_sweeps)
def test_shifting_the_cost_shifts_the_distance(
    problems: Callable, backend: str, data: st.DataObject, shift: float, beta: float, sweeps: dict
) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    straight = solve(problem, beta=beta, backend=backend, **sweeps)
    shifted = solve(problem, problem.cost + shift, beta=beta, backend=backend, **sweeps)
    mass = straight.plan.sum((1, 2))
    torch.testing.assert_close(shifted.plan, straight.plan, atol=1e-9, rtol=0)
    torch.testing.assert_close(shifted.distance, straight.distance + shift * mass, atol=1e-8, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), steps=steps)
def test_log_plan_plus_cost_is_additive(problems: Callable, backend: str, data: st.DataObject, steps: dict) -> None:
    """T = diag(u) exp(-P C / beta) diag(v), P the sum of all powers, and the potentials are log u and log v.

    So log T + P C / beta is a word's number plus a region's number, whatever the schedule.
    """
    problem = data.draw(problems(longest=(12, 16)))
    solved = solve(problem, backend=backend, **steps)
    assert solved.word_potential is not None
    assert solved.region_potential is not None
    fifth = steps["iterations"] // 5
    power = steps["iterations"]
    if steps["schedule"] == "staged":
        power = fifth * (1 + 2 + 4) + (steps["iterations"] - 3 * fifth) * 8
    slope = power / steps["beta"]
    seen = solved.plan > 1e-20
    additive = (solved.plan.clamp_min(1e-300).log() + slope * problem.cost).masked_fill(~seen, 0)
    potentials = slope * (solved.word_potential[:, :, None] + solved.region_potential[:, None, :])
    torch.testing.assert_close(additive, potentials.masked_fill(~seen, 0), atol=1e-9, rtol=1e-12)
    assert (solved.word_potential[~problem.real.any(2)] == 0).all()
    assert (solved.region_potential[~problem.real.any(1)] == 0).all()


# Explicit marginals.


@settings(max_examples=200)
@given(data=st.data(), schedule=st.sampled_from(["constant", "staged"]))
def test_a_weight_of_zero_is_a_mask(problems: Callable, backend: str, data: st.DataObject, schedule: str) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    kept_words, kept_regions = problem.word_weights > 0, problem.region_weights > 0
    kept = kept_words[:, :, None] & kept_regions[:, None, :]
    arguments = {"iterations": 15, "schedule": schedule, "backend": backend}
    # What stands under a mask is ignored, in weights as in costs.
    dirty = {
        "word_weights": problem.word_weights.masked_fill(~problem.word_mask, float("nan")),
        "region_weights": problem.region_weights.masked_fill(~problem.region_mask, -1),
    }
    weighted = ipot(problem.cost.masked_fill(~kept, float("nan")), **dirty, **problem.masks, **arguments)  # type: ignore[arg-type]
    masked = ipot(problem.cost, word_mask=kept_words, region_mask=kept_regions, **problem.weights, **arguments)  # type: ignore[arg-type]
    torch.testing.assert_close(weighted.plan, masked.plan, atol=1e-13, rtol=0)
    torch.testing.assert_close(weighted.distance, masked.distance, atol=1e-12, rtol=0)


@settings(max_examples=200)
@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_equal_weights_are_the_default(
    problems: Callable, backend: str, data: st.DataObject, dtype: torch.dtype
) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    words, regions = (
        (mask.double() / mask.sum(1, keepdim=True).clamp_min(1)).to(dtype)
        for mask in (problem.word_mask, problem.region_mask)
    )
    explicit = solve(problem, iterations=15, word_weights=words, region_weights=regions, backend=backend)
    default = solve(problem, iterations=15, backend=backend)
    tolerance = 1e-13 if dtype == torch.float64 else 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(explicit.plan, default.plan, atol=tolerance, rtol=0)


def test_weights_of_many_magnitudes(backend: str, reference_plan: Callable) -> None:
    weights = torch.logspace(0, -9, 10)[None]
    weights = weights / weights.sum()
    cost = 2 * torch.rand(1, 10, 10, generator=torch.Generator().manual_seed(0))
    solved = ipot(cost, word_weights=weights, region_weights=weights.flip(1), beta=0.1, backend=backend)
    expected = reference_plan(cost, 0.1, 50, word_weights=weights, region_weights=weights.flip(1))
    torch.testing.assert_close(solved.plan.double(), expected, atol=1e-6, rtol=0)


# Numbers: float32 against float64.


@pytest.mark.parametrize(
    ("range_over_beta", "iterations", "plan_error", "distance_error"),
    [
        (4, 50, 2e-7, 1e-6),
        (8, 500, 1e-4, 1e-4),
        *((ratio, 50, 2e-5, 2e-5) for ratio in (8, 23, 60, 400)),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_float32_against_float64(
    costs: Callable,
    reference_plan: Callable,
    backend: str,
    kind: str,
    range_over_beta: float,
    iterations: int,
    plan_error: float,
    distance_error: float,
) -> None:
    """At beta 0.5, plans to 2e-7 and distances to 1e-6 of their size; beyond, distances to 2e-5 of the cost's range."""
    shapes = [(14, 7), (1, 9), (9, 1), (20, 36)] if iterations > 50 else [(14, 7), (1, 9), (9, 1), (20, 36), (60, 100)]
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        for words, regions in shapes:
            cost = costs(kind, (4, words, regions), generator).float()
            beta = 2 / range_over_beta
            solved = ipot(cost, beta=beta, iterations=iterations, backend=backend)
            expected = reference_plan(cost, beta, iterations)
            torch.testing.assert_close(solved.plan.double(), expected, atol=plan_error, rtol=0)
            distance = (expected * cost).sum((1, 2))
            absolute, relative = (1e-9, distance_error) if range_over_beta == 4 else (2 * distance_error, 0)
            torch.testing.assert_close(solved.distance.double(), distance, atol=absolute, rtol=relative)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("range_over_beta", [8.0, 100.0, 400.0])
@pytest.mark.parametrize(
    "settings_", [{}, {"schedule": "staged"}, {"relaxation": 1.33}, {"inner": 3, "relaxation": 1.69}]
)
def test_adversarial_costs_stay_finite(
    backend: str, dtype: torch.dtype, range_over_beta: float, settings_: dict
) -> None:
    """Outliers, blocks, steep ramps and single cheap cells: what makes scaling forms underflow."""
    generator = torch.Generator().manual_seed(3)
    outlier = torch.rand(12, 20, generator=generator) * 0.01
    outlier[3], outlier[:, 5] = 1, 1
    blocks = 1 - torch.block_diag(*[torch.ones(3, 5)] * 4)
    ramp = torch.linspace(0, 1, 12)[:, None] * torch.linspace(1, 0, 20)
    cheap_cell = torch.ones(12, 20)
    cheap_cell[2, 7] = 0
    cost = torch.stack([outlier, blocks, ramp, cheap_cell, ramp**8, (ramp - 0.5).abs()]).to(dtype)
    for iterations in (1, 50, 300):
        solved = ipot(cost, beta=1 / range_over_beta, iterations=iterations, backend=backend, **settings_)
        assert solved.plan.isfinite().all()
        assert solved.distance.isfinite().all()
        assert solved.word_error.max() < 1e-5
        assert solved.gap.isfinite().all()


@settings(max_examples=200)
@given(
    data=st.data(),
    dtype=st.sampled_from(DTYPES),
    range_over_beta=st.floats(0.01, 400),
    offset=st.sampled_from([0.0, 100.0, -1000.0]),
    steps=steps,
    weighted=st.booleans(),
)
def test_finite_input_never_gives_nan(
    problems: Callable,
    backend: str,
    data: st.DataObject,
    dtype: torch.dtype,
    range_over_beta: float,
    offset: float,
    steps: dict,
    weighted: bool,
) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    cost = (problem.cost + offset).to(dtype)
    weights = problem.weights if weighted else {}
    solved = solve(problem, cost, backend=backend, **(steps | {"beta": 2 / range_over_beta}), **weights)
    for result in (solved.plan, solved.distance, solved.region_error, solved.word_potential, solved.region_potential):
        assert result is not None
        assert result.isfinite().all()
    assert solved.word_error.max() <= 1e-5


def test_half_precision_costs_are_solved_in_float32(costs: Callable, backend: str) -> None:
    cost = costs("cosine", (4, 9, 13), torch.Generator().manual_seed(1)).half()
    plan = ipot(cost, backend=backend).plan
    torch.testing.assert_close(plan, ipot(cost.float(), backend=backend).plan, atol=0, rtol=0)


def test_more_inner_updates_meet_the_marginals_better(costs: Callable) -> None:
    cost = costs("clusters", (8, 12, 10), torch.Generator().manual_seed(5))
    errors = [ipot(cost, inner=inner).region_error.mean().item() for inner in (1, 2, 5, 20)]
    assert errors == sorted(errors, reverse=True)


# Gradients.


def test_distance_carries_the_envelope_gradient(costs: Callable, backend: str) -> None:
    cost = costs("cosine", (3, 5, 4), torch.Generator().manual_seed(2)).requires_grad_()
    solved = ipot(cost, backend=backend)
    assert not solved.plan.requires_grad
    assert not solved.region_error.requires_grad
    solved.distance.sum().backward()
    torch.testing.assert_close(cost.grad, solved.plan)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (3, 7), (5, 2), (1, 4)])
@pytest.mark.parametrize("schedule", ["constant", "staged"])
def test_gradient_is_the_slope_once_converged(
    planted: Callable, backend: str, shape: tuple[int, int], schedule: str
) -> None:
    """A plan that is the one solution stays so when its costs move a little: the slope is the plan."""
    problem = planted(0, *shape, pairs=2)
    cost = problem.cost.requires_grad_()

    def distance(cost: Tensor) -> Tensor:
        return ipot(cost, **problem.weights, beta=0.1, iterations=100, schedule=schedule, backend=backend).distance

    assert torch.autograd.gradcheck(distance, cost, fast_mode=True)
    # A second derivative there is none, and none is made up.
    (gradient,) = torch.autograd.grad(distance(cost).sum(), cost, create_graph=True)
    assert not gradient.requires_grad


# Edges and the result.


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
def test_nothing_to_carry(backend: str, shape: tuple[int, int, int]) -> None:
    cost = torch.zeros(shape, requires_grad=True)
    solved = ipot(cost, backend=backend)
    assert solved.plan.shape == shape
    assert solved.distance.tolist() == [0.0] * shape[0]
    assert solved.converged.all()
    solved.distance.sum().backward()
    assert cost.grad is not None
    assert cost.grad.shape == shape


def test_input_is_left_as_it_was(backend: str) -> None:
    cost = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    before = cost.clone()
    ipot(cost, backend=backend)
    ipot(cost, beta=1e-3, backend=backend)
    assert torch.equal(cost, before)


def test_autocast_changes_nothing_and_neither_does_a_second_run(costs: Callable, backend: str) -> None:
    cost = costs("clusters", (5, 9, 14), torch.Generator().manual_seed(1)).float()
    once, again = ipot(cost, backend=backend), ipot(cost, backend=backend)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = ipot(cost, backend=backend)
    for other in (again, cast):
        assert torch.equal(other.plan, once.plan)
        assert torch.equal(other.distance, once.distance)
        assert torch.equal(other.region_error, once.region_error)


def test_a_plan_prints_what_one_needs_to_trust_it() -> None:
    text = repr(ipot(torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))))
    assert text.startswith("TransportPlan(2 pairs of 3 x 4, float32, 50 iterations; distance ")
    assert "of 2 converged" in text
    assert repr(ipot(torch.zeros(1, 2, 2))).startswith("TransportPlan(1 pair of 2 x 2")
    assert repr(ipot(torch.zeros(0, 2, 2))) == "TransportPlan(0 pairs of 2 x 2, float32, 50 iterations)"
