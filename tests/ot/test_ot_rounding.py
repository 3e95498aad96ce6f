"""Rounding onto the polytope: exact marginals, little moved, against POT. B pairs, W words, R regions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot.rounding import round_to_marginals


@st.composite
def marginals(draw: st.DrawFn) -> tuple[Tensor, Tensor, torch.Generator]:
    """Explicit or equal weights, float64, with holes; some pairs lack one side."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    pairs, words, regions = draw(st.integers(1, 4)), draw(st.integers(1, 40)), draw(st.integers(1, 60))
    keep, equal = draw(st.sampled_from([0.2, 0.7, 1.0])), draw(st.booleans())
    weights = []
    for length in (words, regions):
        mass = torch.ones(pairs, length) if equal else torch.rand(pairs, length, generator=generator) + 1e-3
        mass = mass.double() * (torch.rand(pairs, length, generator=generator) <= keep)
        weights.append(mass / mass.sum(1, keepdim=True).clamp_min(1e-300))
    present = (weights[0] > 0).any(1) & (weights[1] > 0).any(1)
    return weights[0] * present[:, None], weights[1] * present[:, None], generator


@st.composite
def plans(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """A plan with something wrong about its marginals, and the marginals; float64."""
    a, b, generator = draw(marginals())
    kind = draw(st.sampled_from(["noisy", "random", "sparse", "nothing", "too much"]))
    noise = torch.rand(len(a), a.shape[1], b.shape[1], generator=generator, dtype=torch.float64)
    independent = a[:, :, None] * b[:, None, :]
    plan = {
        "noisy": independent * (1 + 0.01 * noise),
        "random": noise / noise.sum((1, 2), keepdim=True),
        "sparse": independent * (noise > 0.8) * 3,
        "nothing": torch.zeros_like(independent),
        "too much": independent * (5 + noise),
    }[kind]
    return plan * (independent > 0), a, b


def marginal_error(plan: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """(B,) L1, both sides together, in float64."""
    plan = plan.double()
    return (plan.sum(2) - a).abs().sum(1) + (plan.sum(1) - b).abs().sum(1)


@settings(max_examples=200, deadline=None)
@given(plans())
def test_marginals_become_exact(case: tuple[Tensor, Tensor, Tensor]) -> None:
    plan, a, b = case
    for dtype, tolerance in ((torch.float64, 4e-15), (torch.float32, 2e-7)):
        rounded = round_to_marginals(plan.to(dtype), a.to(dtype), b.to(dtype))
        assert rounded.dtype == dtype
        assert (rounded >= 0).all()
        assert marginal_error(rounded, a, b).max() <= tolerance
        assert (rounded[(a[:, :, None] * b[:, None, :]) == 0] == 0).all()


@settings(max_examples=200, deadline=None)
@given(plans())
def test_moves_at_most_twice_the_violation(case: tuple[Tensor, Tensor, Tensor]) -> None:
    """Lemma 7 of Altschuler et al. 2017."""
    plan, a, b = case
    moved = (round_to_marginals(plan, a, b) - plan).abs().sum((1, 2))
    assert (moved <= 2 * marginal_error(plan, a, b) + 1e-14).all()


@settings(max_examples=200, deadline=None)
@given(plans())
def test_rounding_twice_changes_nothing(case: tuple[Tensor, Tensor, Tensor]) -> None:
    plan, a, b = case
    once = round_to_marginals(plan, a, b)
    torch.testing.assert_close(round_to_marginals(once, a, b), once, atol=1e-15, rtol=1e-13)
    narrow = round_to_marginals(plan.float(), a.float(), b.float())
    torch.testing.assert_close(round_to_marginals(narrow, a.float(), b.float()), narrow, atol=1e-8, rtol=1e-6)


@settings(max_examples=200, deadline=None)
@given(plans(), st.integers(0, 2**32))
def test_costs_no_less_than_the_exact_plan(case: tuple[Tensor, Tensor, Tensor], seed: int) -> None:
    ot = pytest.importorskip("ot", reason="POT is not installed: pip install 'uniter-ot[exact]'")
    plan, a, b = case
    cost = torch.rand(plan.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    distances = (round_to_marginals(plan.float(), a.float(), b.float()) * cost).sum((1, 2))
    for pair, distance in enumerate(distances):
        if a[pair].any():
            exact = ot.emd2(a[pair].numpy(), b[pair].numpy(), cost[pair].numpy())
            assert distance >= exact - 2e-7


def test_zeros_become_the_independent_plan() -> None:
    a, b = torch.tensor([[0.25, 0.75, 0.0]]), torch.tensor([[0.5, 0.0, 0.5]])
    rounded = round_to_marginals(torch.zeros(1, 3, 3), a, b)
    torch.testing.assert_close(rounded, a[:, :, None] * b[:, None, :])


def test_what_stands_at_absent_points_is_ignored() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    plan = torch.tensor([[[0.5, 0.5], [float("nan"), float("inf")]]])
    assert round_to_marginals(plan, a, b).tolist() == [[[0.5, 0.5], [0.0, 0.0]]]


def test_a_pair_without_one_side_stays_empty() -> None:
    rounded = round_to_marginals(torch.rand(2, 2, 3), torch.full((2, 2), 0.5), torch.tensor([[1 / 3] * 3, [0.0] * 3]))
    assert rounded[0].sum() == pytest.approx(1)
    assert (rounded[1] == 0).all()
    assert round_to_marginals(torch.rand(1, 0, 3), torch.rand(1, 0), torch.full((1, 3), 1 / 3)).shape == (1, 0, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.rand(2, 3), torch.rand(1, 2), torch.rand(1, 3)), r"plan: expected shape \(B, W, R\)"),
        ((torch.rand(1, 2, 3), torch.rand(1, 3), torch.rand(1, 3)), r"word_weights: expected shape \(1, 2\)"),
        ((torch.rand(1, 2, 3), torch.full((1, 2), 0.5), torch.ones(1, 3)), "region_weights: .* a sum of 3 for pair 0"),
        ((torch.rand(1, 1, 1), torch.full((1, 1), 0.5), torch.ones(1, 1)), "word_weights: expected a balanced problem"),
    ],
)
def test_refuses(arguments: tuple[Tensor, Tensor, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        round_to_marginals(*arguments)


def test_refuses_integers() -> None:
    with pytest.raises(TypeError, match="plan: expected a floating-point dtype"):
        round_to_marginals(torch.ones(1, 1, 1, dtype=torch.int64), torch.ones(1, 1), torch.ones(1, 1))
