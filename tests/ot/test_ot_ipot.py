"""IPOT: closed forms, what a plan must satisfy, and agreement with float64. B pairs, W words, R regions."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot import TransportPlan, cosine_cost, ipot

Reference = Callable[..., Tensor]

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


class Problem(NamedTuple):
    """A ragged batch of costs with masks that have holes; `generator` stands where drawing the costs left it."""

    cost: Tensor
    word_mask: Tensor
    region_mask: Tensor
    generator: torch.Generator

    @property
    def masks(self) -> dict[str, Tensor]:
        return {"word_mask": self.word_mask, "region_mask": self.region_mask}

    @property
    def real(self) -> Tensor:
        return self.word_mask[:, :, None] & self.region_mask[:, None, :]


def draw_costs(kind: str, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Costs in about [0, 2], float64, of several natures."""
    pairs, words, regions = shape
    if kind == "uniform":
        return 2 * torch.rand(shape, generator=generator, dtype=torch.float64)
    if kind == "binary":
        return 2 * (torch.rand(shape, generator=generator, dtype=torch.float64) > 0.5).double()
    points = torch.randn(pairs, words + regions, 8, generator=generator, dtype=torch.float64)
    if kind == "clusters":
        points = 0.1 * points + points[:, :1] * (1 - 2 * (torch.arange(words + regions) % 3 == 0)[:, None].double())
    return cosine_cost(points[:, :words], points[:, words:])


@st.composite
def problems(draw: st.DrawFn, *, longest: tuple[int, int] = (64, 128)) -> Problem:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, longest[0])), draw(st.integers(1, longest[1])))
    cost = draw_costs(draw(st.sampled_from(["uniform", "binary", "cosine", "clusters"])), shape, generator)
    keep = draw(st.sampled_from([0.2, 0.7, 1.0]))  # 0.2 leaves some pairs without words or regions
    word_mask = torch.rand(shape[0], shape[1], generator=generator) <= keep
    region_mask = torch.rand(shape[0], shape[2], generator=generator) <= keep
    return Problem(cost, word_mask, region_mask, generator)


def solve(problem: Problem, cost: Tensor | None = None, **settings_: float) -> TransportPlan:
    return ipot(problem.cost if cost is None else cost, **problem.masks, **settings_)  # type: ignore[arg-type]


# Closed forms.


def test_one_word_spreads_evenly() -> None:
    cost = torch.tensor([[[0.3, 1.9, 0.8]]])
    solved = ipot(cost, iterations=1)
    torch.testing.assert_close(solved.plan, torch.full((1, 1, 3), 1 / 3))
    torch.testing.assert_close(solved.distance, cost.mean((1, 2)))


def test_one_region_takes_everything() -> None:
    cost = torch.tensor([[[0.3], [1.9], [0.8]]])
    torch.testing.assert_close(ipot(cost, iterations=1).plan, torch.full((1, 3, 1), 1 / 3))


def test_constant_cost_gives_the_independent_plan() -> None:
    solved = ipot(torch.full((2, 3, 4), 0.7))
    torch.testing.assert_close(solved.plan, torch.full((2, 3, 4), 1 / 12))
    torch.testing.assert_close(solved.distance, torch.full((2,), 0.7))
    assert solved.converged.all()


@pytest.mark.parametrize("size", [2, 5, 17])
def test_a_permutation_is_found(size: int) -> None:
    order = torch.randperm(size, generator=torch.Generator().manual_seed(size))
    solved = ipot(1 - torch.eye(size)[order][None])
    torch.testing.assert_close(solved.plan, torch.eye(size)[order][None] / size, atol=1e-6, rtol=0)
    assert solved.distance.item() < 1e-6
    assert solved.converged.all()


@pytest.mark.parametrize("iterations", [1, 3, 50])
def test_two_by_two(iterations: int) -> None:
    """By symmetry T = [[p, q], [q, p]] with p + q = 1/2 and p / q = exp(t (off - on) / beta)."""
    on, off, beta = 0.2, 0.5, 0.5
    ratio = math.exp(iterations * (off - on) / beta)
    p, q = ratio / (2 * (1 + ratio)), 1 / (2 * (1 + ratio))
    solved = ipot(torch.tensor([[[on, off], [off, on]]]), beta=beta, iterations=iterations)
    torch.testing.assert_close(solved.plan, torch.tensor([[[p, q], [q, p]]]))


# What every plan satisfies.


@settings(max_examples=200)
@given(problem=problems(), dtype=st.sampled_from(DTYPES), beta=st.sampled_from([0.5, 0.1, 0.01]))
def test_marginals_mass_and_sign(problem: Problem, dtype: torch.dtype, beta: float) -> None:
    cost = problem.cost.to(dtype)
    solved = solve(problem, cost, beta=beta, iterations=20)
    plan = solved.plan
    assert plan.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert plan.isfinite().all()
    assert (plan >= 0).all()
    assert (plan[~problem.real] == 0).all()

    both = problem.real.any(2).any(1)
    words = problem.real.any(2).to(plan.dtype)
    regions = problem.real.any(1).to(plan.dtype)
    word_share = words / words.sum(1, keepdim=True).clamp_min(1)
    region_share = regions / regions.sum(1, keepdim=True).clamp_min(1)
    word_counts = words.sum(1, keepdim=True)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    assert ((plan.sum(2) - word_share) * word_counts).abs().max() <= tolerance
    torch.testing.assert_close(plan.sum((1, 2)), both.to(plan.dtype), atol=tolerance, rtol=0)
    torch.testing.assert_close(solved.region_error, (plan.sum(1) - region_share).abs().sum(1))
    torch.testing.assert_close(solved.word_error, (plan.sum(2) - word_share).abs().sum(1))
    real_cost = cost.to(plan.dtype).masked_fill(~problem.real, 0)
    torch.testing.assert_close(solved.distance, (plan * real_cost).sum((1, 2)))
    assert (solved.converged == (torch.maximum(solved.word_error, solved.region_error) <= 1e-3)).all()
    assert (solved.distance[~both] == 0).all()


@settings(max_examples=60)
@given(problem=problems(longest=(12, 16)), inner=st.integers(1, 3), beta=st.sampled_from([0.5, 0.02]))
def test_each_pair_stands_alone(reference_plan: Reference, problem: Problem, inner: int, beta: float) -> None:
    """Neither padding, nor holes, nor what a pair is batched with, nor garbage in masked entries changes its plan."""
    garbage = problem.cost.masked_fill(~problem.real, float("nan"))
    plan = solve(problem, garbage, beta=beta, inner=inner, iterations=15).plan
    for pair in range(len(plan)):
        words, regions = problem.word_mask[pair], problem.region_mask[pair]
        alone = problem.cost[pair][words][:, regions][None]
        if alone.numel():
            expected = reference_plan(alone, beta, 15, inner)[0]
            torch.testing.assert_close(plan[pair][words][:, regions], expected, atol=1e-12, rtol=0)


@settings(max_examples=60)
@given(problem=problems(longest=(12, 16)), beta=st.sampled_from([0.5, 0.02]))
def test_order_does_not_matter(problem: Problem, beta: float) -> None:
    pairs, words, regions = (torch.randperm(n, generator=problem.generator) for n in problem.cost.shape)
    straight = solve(problem, beta=beta, iterations=15).plan
    shuffled = ipot(
        problem.cost[pairs][:, words][:, :, regions],
        word_mask=problem.word_mask[pairs][:, words],
        region_mask=problem.region_mask[pairs][:, regions],
        beta=beta,
        iterations=15,
    ).plan
    torch.testing.assert_close(shuffled, straight[pairs][:, words][:, :, regions], atol=1e-12, rtol=0)


@settings(max_examples=60)
@given(problem=problems(longest=(12, 16)), factor=st.floats(1e-3, 1e3), beta=st.sampled_from([0.5, 0.02]))
def test_only_the_ratio_of_cost_and_beta_matters(problem: Problem, factor: float, beta: float) -> None:
    straight = solve(problem, beta=beta)
    scaled = solve(problem, problem.cost * factor, beta=beta * factor)
    torch.testing.assert_close(scaled.plan, straight.plan, atol=1e-9, rtol=0)
    torch.testing.assert_close(scaled.distance, straight.distance * factor, atol=1e-9 * factor, rtol=0)


@settings(max_examples=60)
@given(problem=problems(longest=(12, 16)), shift=st.floats(-50, 50), beta=st.sampled_from([0.5, 0.02]))
def test_shifting_the_cost_shifts_the_distance(problem: Problem, shift: float, beta: float) -> None:
    straight = solve(problem, beta=beta)
    shifted = solve(problem, problem.cost + shift, beta=beta)
    mass = straight.plan.sum((1, 2))
    torch.testing.assert_close(shifted.plan, straight.plan, atol=1e-9, rtol=0)
    torch.testing.assert_close(shifted.distance, straight.distance + shift * mass, atol=1e-8, rtol=0)


@settings(max_examples=60)
@given(problem=problems(longest=(12, 16)), iterations=st.integers(1, 12), inner=st.integers(1, 2))
def test_log_plan_plus_cost_is_additive(problem: Problem, iterations: int, inner: int) -> None:
    """T(t) = diag(u) exp(-t C / beta) diag(v), so log T + t C / beta is a word's number plus a region's number."""
    unmasked = ipot(problem.cost, iterations=iterations, inner=inner).plan
    potential = unmasked.clamp_min(1e-300).log() + iterations * problem.cost / 0.5
    interaction = potential - potential[:, :1] - potential[:, :, :1] + potential[:, :1, :1]
    seen = (unmasked > 1e-20) & (unmasked[:, :1] > 1e-20) & (unmasked[:, :, :1] > 1e-20) & (unmasked[:, :1, :1] > 1e-20)
    assert interaction[seen].abs().amax() < 1e-8 if seen.any() else True


# Numbers.


@pytest.mark.parametrize(
    ("range_over_beta", "iterations", "plan_error", "distance_error"),
    [
        (4, 50, 2e-7, 1e-6),
        (8, 50, 1e-6, 5e-6),
        (8, 500, 5e-6, 2e-5),
        (23, 50, 5e-6, 5e-6),
        (60, 50, 2e-5, 2e-5),
        (400, 50, 2e-5, 2e-5),
    ],
)
@pytest.mark.parametrize("kind", ["uniform", "binary", "cosine", "clusters"])
def test_float32_against_float64(
    reference_plan: Reference,
    kind: str,
    range_over_beta: float,
    iterations: int,
    plan_error: float,
    distance_error: float,
) -> None:
    generator = torch.Generator().manual_seed(7)
    for words, regions in [(14, 7), (1, 9), (9, 1), (20, 36)]:
        cost = draw_costs(kind, (8, words, regions), generator).float()
        beta = 2 / range_over_beta
        solved = ipot(cost, beta=beta, iterations=iterations)
        expected = reference_plan(cost, beta, iterations)
        torch.testing.assert_close(solved.plan.double(), expected, atol=plan_error, rtol=0)
        torch.testing.assert_close(
            solved.distance.double(), (expected * cost).sum((1, 2)), atol=distance_error, rtol=distance_error
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("range_over_beta", [8.0, 100.0, 400.0])
def test_adversarial_costs_stay_finite(dtype: torch.dtype, range_over_beta: float) -> None:
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
        solved = ipot(cost, beta=1 / range_over_beta, iterations=iterations)
        assert solved.plan.isfinite().all()
        assert solved.distance.isfinite().all()
        assert solved.word_error.max() < 1e-5


def test_half_precision_costs_are_solved_in_float32() -> None:
    cost = draw_costs("cosine", (4, 9, 13), torch.Generator().manual_seed(1)).half()
    torch.testing.assert_close(ipot(cost).plan, ipot(cost.float()).plan, atol=0, rtol=0)


def test_more_inner_updates_meet_the_marginals_better() -> None:
    cost = draw_costs("clusters", (8, 12, 10), torch.Generator().manual_seed(5))
    errors = [ipot(cost, inner=inner).region_error.mean().item() for inner in (1, 2, 5, 20)]
    assert errors == sorted(errors, reverse=True)


# Edges and the result.


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
def test_nothing_to_carry(shape: tuple[int, int, int]) -> None:
    solved = ipot(torch.zeros(shape))
    assert solved.plan.shape == shape
    assert solved.distance.tolist() == [0.0] * shape[0]
    assert solved.converged.all()


def test_distance_carries_the_envelope_gradient() -> None:
    cost = draw_costs("cosine", (3, 5, 4), torch.Generator().manual_seed(2)).requires_grad_()
    solved = ipot(cost)
    assert not solved.plan.requires_grad
    assert not solved.region_error.requires_grad
    solved.distance.sum().backward()
    torch.testing.assert_close(cost.grad, solved.plan)


def test_input_is_left_as_it_was() -> None:
    cost = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    before = cost.clone()
    ipot(cost)
    ipot(cost, beta=1e-3)
    assert torch.equal(cost, before)


def test_a_plan_prints_what_one_needs_to_trust_it() -> None:
    text = repr(ipot(torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))))
    assert text.startswith("TransportPlan(2 pairs of 3 x 4, float32, 50 iterations; distance ")
    assert "of 2 converged" in text
    assert repr(ipot(torch.zeros(1, 2, 2))).startswith("TransportPlan(1 pair of 2 x 2")
    assert repr(ipot(torch.zeros(0, 2, 2))) == "TransportPlan(0 pairs of 2 x 2, float32, 50 iterations)"
