"""The fused loss against plain autograd with the plan held, and its conduct at the edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot import AlignmentLoss, alignment_loss, cosine_cost, ipot


def points(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def plain_loss(words: Tensor, regions: Tensor, **arguments: object) -> Tensor:
    """The same distance through ordinary operations; `ipot` holds its plan."""
    return ipot(cosine_cost(words, regions), **arguments).distance  # type: ignore[arg-type]


def value_and_gradients(loss, words: Tensor, regions: Tensor, **arguments: object) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[no-untyped-def]
    words, regions = words.clone().requires_grad_(), regions.clone().requires_grad_()
    distances = loss(words, regions, **arguments)
    weights = torch.linspace(-1, 2, len(distances), dtype=distances.dtype)
    return distances, *torch.autograd.grad((distances * weights).sum(), (words, regions))


@settings(max_examples=100)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 30), st.integers(1, 9)),
    keep=st.sampled_from([0.3, 0.8, 1.0]),
    beta=st.sampled_from([0.5, 0.1, 0.02]),
    seed=st.integers(0, 2**32),
)
def test_equals_plain_autograd(shape: tuple[int, int, int, int], keep: float, beta: float, seed: int) -> None:
    pairs, words_, regions_, width = shape
    generator = torch.Generator().manual_seed(seed)
    words = torch.randn(pairs, words_, width, generator=generator, dtype=torch.float64)
    regions = torch.randn(pairs, regions_, width, generator=generator, dtype=torch.float64)
    masks = {
        "word_mask": torch.rand(pairs, words_, generator=generator) <= keep,
        "region_mask": torch.rand(pairs, regions_, generator=generator) <= keep,
    }
    expected = value_and_gradients(plain_loss, words, regions, beta=beta, iterations=10, **masks)
    got = value_and_gradients(alignment_loss, words, regions, beta=beta, iterations=10, **masks)
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-9)

    garbage_words = words.masked_fill(~masks["word_mask"][:, :, None], float("nan"))
    garbage_regions = regions.masked_fill(~masks["region_mask"][:, :, None], float("inf"))
    dirty = value_and_gradients(alignment_loss, garbage_words, garbage_regions, beta=beta, iterations=10, **masks)
    torch.testing.assert_close(dirty, got, atol=0, rtol=0)


def test_float32_gradient_is_accurate() -> None:
    words, regions = points(16, 14, 64), points(16, 7, 64, seed=1)
    expected = value_and_gradients(plain_loss, words, regions)
    got = value_and_gradients(alignment_loss, words.float(), regions.float())
    for ours, reference in zip(got, expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - reference).abs().max() <= 1e-5 * reference.abs().max()


def test_gradient_is_the_slope_where_the_plan_stays() -> None:
    """Two words on two regions, converged: the plan is a vertex, so finite differences see the held plan."""
    words = torch.tensor([[[1.0, 0.2], [0.1, 1.0]]], dtype=torch.float64, requires_grad=True)
    regions = torch.tensor([[[0.9, -0.1], [0.3, 1.2]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, y: alignment_loss(x, y, iterations=400), (words, regions))


def test_clamped_norms_have_the_gradient_of_the_clamp() -> None:
    words, regions = points(2, 3, 4), points(2, 5, 4, seed=1)
    words[0, 1] = 0
    words[1, 2] *= 1e-7
    regions[1, 0] = 0
    expected = value_and_gradients(plain_loss, words, regions)
    got = value_and_gradients(alignment_loss, words, regions)
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-7)
    assert all(tensor.isfinite().all() for tensor in got)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_float32_inside(dtype: torch.dtype) -> None:
    words, regions = points(3, 5, 8, dtype=dtype), points(3, 4, 8, seed=1, dtype=dtype)
    distances, word_gradient, region_gradient = value_and_gradients(alignment_loss, words, regions)
    expected = value_and_gradients(alignment_loss, words.float(), regions.float())
    assert distances.dtype == torch.float32
    torch.testing.assert_close(distances, expected[0], atol=0, rtol=0)
    assert word_gradient.dtype == region_gradient.dtype == dtype
    torch.testing.assert_close((word_gradient, region_gradient), (expected[1].to(dtype), expected[2].to(dtype)))


def test_mixed_dtypes_compute_in_the_wider() -> None:
    words, regions = points(2, 3, 4, dtype=torch.bfloat16), points(2, 5, 4, seed=1)
    distances, word_gradient, region_gradient = value_and_gradients(alignment_loss, words, regions)
    assert (distances.dtype, word_gradient.dtype, region_gradient.dtype) == (
        torch.float64,
        torch.bfloat16,
        torch.float64,
    )


def test_autocast_changes_nothing() -> None:
    words, regions = points(3, 5, 8, dtype=torch.float32), points(3, 4, 8, seed=1, dtype=torch.float32)
    expected = value_and_gradients(alignment_loss, words, regions)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = value_and_gradients(alignment_loss, words, regions)
    torch.testing.assert_close(got, expected, atol=0, rtol=0)


@pytest.mark.parametrize("shape", [(2, 0, 3), (2, 3, 0), (0, 3, 3)])
def test_empty_sides(shape: tuple[int, int, int]) -> None:
    pairs, words, regions = shape
    got = value_and_gradients(alignment_loss, points(pairs, words, 4), points(pairs, regions, 4, seed=1))
    assert all((tensor == 0).all() for tensor in got)


def test_only_what_needs_a_gradient_gets_one() -> None:
    words, regions = points(2, 3, 4), points(2, 5, 4, seed=1).requires_grad_()
    alignment_loss(words, regions).sum().backward()
    assert words.grad is None
    assert regions.grad is not None
    assert not alignment_loss(words, regions.detach()).requires_grad


def test_differentiating_twice_is_refused() -> None:
    words = points(1, 2, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(alignment_loss(words, points(1, 3, 3)).sum(), words, create_graph=True)
    with pytest.raises(RuntimeError, match="alignment_loss cannot be differentiated twice"):
        gradient.sum().backward()


def test_module_is_the_function() -> None:
    words, regions = points(2, 3, 4), points(2, 5, 4, seed=1)
    mask = torch.tensor([[True, False, True], [True, True, True]])
    loss = AlignmentLoss(beta=0.2, iterations=7)
    expected = alignment_loss(words, regions, word_mask=mask, beta=0.2, iterations=7)
    assert torch.equal(loss(words, regions, word_mask=mask), expected)
    assert repr(loss) == "AlignmentLoss(beta=0.2, iterations=7)"


def test_training_with_it_aligns() -> None:
    regions = points(1, 4, 6, dtype=torch.float32)
    words = points(1, 4, 6, seed=1, dtype=torch.float32).requires_grad_()
    optimiser = torch.optim.Adam([words], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        loss = alignment_loss(words, regions).sum()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.02
