"""The fused loss against plain autograd with the plan held, and its conduct at the edges."""

from collections.abc import Callable

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


@settings(max_examples=200)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 30)),
    width=st.integers(1, 9),
    keep=st.sampled_from([0.3, 0.8, 1.0]),
    arguments=st.fixed_dictionaries(
        {
            "beta": st.sampled_from([0.5, 0.1, 0.02]),
            "iterations": st.sampled_from([1, 10]),
            "schedule": st.sampled_from(["constant", "staged"]),
        }
    ),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_equals_plain_autograd(
    ragged: Callable,
    backend: str,
    shape: tuple[int, int, int],
    width: int,
    keep: float,
    arguments: dict,
    weighted: bool,
    seed: int,
) -> None:
    problem = ragged(seed, shape, keep=keep)
    words, regions = points(*shape[:2], width, seed=seed), points(shape[0], shape[2], width, seed=seed + 1)
    arguments |= problem.masks | (problem.weights if weighted else {}) | {"backend": backend}
    expected = value_and_gradients(plain_loss, words, regions, **arguments)
    got = value_and_gradients(alignment_loss, words, regions, **arguments)
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-9)

    garbage_words = words.masked_fill(~problem.word_mask[:, :, None], float("nan"))
    garbage_regions = regions.masked_fill(~problem.region_mask[:, :, None], float("inf"))
    dirty = value_and_gradients(alignment_loss, garbage_words, garbage_regions, **arguments)
    torch.testing.assert_close(dirty, got, atol=0, rtol=0)


@settings(max_examples=200)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 64), st.integers(1, 128)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**32),
)
def test_padding_changes_nothing(backend: str, shape: tuple[int, int, int], dtype: torch.dtype, seed: int) -> None:
    """Each pair alone, without any padding, gives the row of the batch that it gives behind masks."""
    pairs, longest, most = shape
    generator = torch.Generator().manual_seed(seed)
    word_lengths, region_lengths = (torch.randint(1, n + 1, (pairs,), generator=generator) for n in (longest, most))
    words, regions = (
        points(pairs, longest, 5, seed=seed, dtype=dtype),
        points(pairs, most, 5, seed=seed + 1, dtype=dtype),
    )
    masks = {
        "word_mask": torch.arange(longest) < word_lengths[:, None],
        "region_mask": torch.arange(most) < region_lengths[:, None],
    }
    together = value_and_gradients(alignment_loss, words, regions, iterations=10, backend=backend, **masks)
    atol = 1e-12 if dtype == torch.float64 else 1e-6
    weights = torch.linspace(-1, 2, pairs, dtype=dtype)
    for pair, (m, n) in enumerate(zip(word_lengths.tolist(), region_lengths.tolist(), strict=True)):
        x, y = (
            words[pair : pair + 1, :m].clone().requires_grad_(),
            regions[pair : pair + 1, :n].clone().requires_grad_(),
        )
        distance = alignment_loss(x, y, iterations=10, backend=backend)
        gradients = torch.autograd.grad(distance.sum() * weights[pair], (x, y))
        torch.testing.assert_close(distance[0], together[0][pair], atol=atol, rtol=0)
        torch.testing.assert_close(gradients[0][0], together[1][pair, :m], atol=atol, rtol=1e-5)
        torch.testing.assert_close(gradients[1][0], together[2][pair, :n], atol=atol, rtol=1e-5)
        assert (together[1][pair, m:] == 0).all()
        assert (together[2][pair, n:] == 0).all()


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 12), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_the_same_points_are_at_no_distance(backend: str, seed: int, size: int, scale: float) -> None:
    """Cosines do not see lengths, and the plan not the order."""
    words = points(2, size, 16, seed=seed)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    distance = alignment_loss(words, scale * words[:, order], iterations=50, schedule="staged", backend=backend)
    assert distance.abs().max() < 1e-6


@pytest.mark.parametrize(("pairs", "shape"), [(16, (14, 7)), (4, (60, 100)), (8, (20, 36))])
def test_float32_gradient_is_accurate(backend: str, pairs: int, shape: tuple[int, int]) -> None:
    words, regions = points(pairs, shape[0], 64), points(pairs, shape[1], 64, seed=1)
    expected = value_and_gradients(plain_loss, words, regions, backend="torch")
    got = value_and_gradients(alignment_loss, words.float(), regions.float(), backend=backend)
    for ours, reference in zip(got, expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - reference).abs().max() <= 1e-5 * reference.abs().max()


@pytest.mark.parametrize("shape", [(2, 2, 4), (3, 4, 9), (5, 5, 12), (1, 4, 3)])
@pytest.mark.parametrize("schedule", ["constant", "staged"])
def test_gradient_is_the_slope_once_converged(backend: str, shape: tuple[int, int, int], schedule: str) -> None:
    """Regions are words seen through a little noise: the plan says which, and stays so when points move a little."""
    size, regions_, width = shape
    words = points(2, size, width)
    regions = words[:, torch.arange(regions_) % size] + 0.1 * points(2, regions_, width, seed=1)
    weights = torch.bincount(torch.arange(regions_) % size, minlength=size)[None].expand(2, -1) / regions_
    # Masked points beside the real ones.
    words = torch.cat([words, points(2, 1, width, seed=2)], 1).requires_grad_()
    weights = torch.cat([weights, torch.zeros(2, 1)], 1)
    assert torch.autograd.gradcheck(
        lambda x, y: alignment_loss(
            x, y, word_weights=weights, beta=0.1, iterations=200, schedule=schedule, backend=backend
        ),
        (words, regions.requires_grad_()),
        fast_mode=True,
    )


def test_clamped_norms_have_the_gradient_of_the_clamp(backend: str) -> None:
    words, regions = points(2, 3, 4), points(2, 5, 4, seed=1)
    words[0, 1] = 0
    words[1, 2] *= 1e-7
    regions[1, 0] = 0
    expected = value_and_gradients(plain_loss, words, regions, backend=backend)
    got = value_and_gradients(alignment_loss, words, regions, backend=backend)
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-7)
    assert all(tensor.isfinite().all() for tensor in got)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 3e17])
def test_very_long_and_very_short_vectors(backend: str, scale: float) -> None:
    words, regions = points(2, 3, 4, dtype=torch.float32), points(2, 5, 4, seed=1, dtype=torch.float32)
    got = value_and_gradients(alignment_loss, words * scale, regions * scale, backend=backend)
    assert all(tensor.isfinite().all() for tensor in got)
    if scale > 1:
        torch.testing.assert_close(got[0], alignment_loss(words, regions, backend=backend), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_float32_inside(backend: str, dtype: torch.dtype) -> None:
    words, regions = points(3, 5, 8, dtype=dtype), points(3, 4, 8, seed=1, dtype=dtype)
    distances, word_gradient, region_gradient = value_and_gradients(alignment_loss, words, regions, backend=backend)
    expected = value_and_gradients(alignment_loss, words.float(), regions.float(), backend=backend)
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


def test_autocast_changes_nothing_and_neither_does_a_second_run(backend: str) -> None:
    words, regions = points(9, 5, 8, dtype=torch.float32), points(9, 4, 8, seed=1, dtype=torch.float32)
    expected = value_and_gradients(alignment_loss, words, regions, backend=backend)
    again = value_and_gradients(alignment_loss, words, regions, backend=backend)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = value_and_gradients(alignment_loss, words, regions, backend=backend)
    torch.testing.assert_close(again, expected, atol=0, rtol=0)
    torch.testing.assert_close(cast, expected, atol=0, rtol=0)


def test_deterministic_algorithms_suffice(backend: str) -> None:
    words, regions = points(3, 5, 8), points(3, 4, 8, seed=1)
    expected = value_and_gradients(alignment_loss, words, regions, backend=backend)
    torch.use_deterministic_algorithms(True)
    try:
        got = value_and_gradients(alignment_loss, words, regions, backend=backend)
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(got, expected, atol=0, rtol=0)


def test_strides_do_not_matter(backend: str) -> None:
    words, regions = points(3, 8, 5), points(3, 8, 4, seed=1)
    expected = value_and_gradients(
        alignment_loss, words.mT.contiguous(), regions.mT.contiguous(), backend=backend, iterations=10
    )
    got = value_and_gradients(alignment_loss, words.mT, regions.mT, backend=backend, iterations=10)
    torch.testing.assert_close(got, expected, atol=1e-13, rtol=0)
    broadcast = regions[:1].mT.expand(3, -1, -1)
    alone = [alignment_loss(words[i : i + 1].mT, broadcast[:1], backend=backend, iterations=10) for i in range(3)]
    torch.testing.assert_close(
        alignment_loss(words.mT, broadcast, backend=backend, iterations=10), torch.cat(alone), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("shape", [(2, 0, 3), (2, 3, 0), (0, 3, 3)])
def test_empty_sides(backend: str, shape: tuple[int, int, int]) -> None:
    pairs, words, regions = shape
    got = value_and_gradients(
        alignment_loss, points(pairs, words, 4), points(pairs, regions, 4, seed=1), backend=backend
    )
    assert all((tensor == 0).all() for tensor in got)


def test_only_what_needs_a_gradient_gets_one(backend: str) -> None:
    words, regions = points(2, 3, 4), points(2, 5, 4, seed=1).requires_grad_()
    alignment_loss(words, regions, backend=backend).sum().backward()
    assert words.grad is None
    assert regions.grad is not None
    assert not alignment_loss(words, regions.detach(), backend=backend).requires_grad


def test_differentiating_twice_is_refused(backend: str) -> None:
    words = points(1, 2, 3).requires_grad_()
    distance = alignment_loss(words, points(1, 3, 3), backend=backend)
    (gradient,) = torch.autograd.grad(distance.sum(), words, create_graph=True)
    with pytest.raises(RuntimeError, match=r"alignment_loss cannot be differentiated twice.*grad=\"unrolled\""):
        gradient.sum().backward()


def test_module_is_the_function() -> None:
    words, regions = points(2, 3, 4), points(2, 5, 4, seed=1)
    mask = torch.tensor([[True, False, True], [True, True, True]])
    weights = torch.full((2, 5), 0.2)
    arguments = {"beta": 0.2, "iterations": 7, "schedule": "staged", "backend": "torch"}
    loss = AlignmentLoss(**arguments)  # type: ignore[arg-type]
    expected = alignment_loss(words, regions, word_mask=mask, region_weights=weights, **arguments)  # type: ignore[arg-type]
    assert torch.equal(loss(words, regions, word_mask=mask, region_weights=weights), expected)
    assert repr(loss) == "AlignmentLoss(beta=0.2, iterations=7, schedule='staged', backend='torch')"
    assert repr(AlignmentLoss()) == "AlignmentLoss(beta=0.5, iterations=50)"
    assert repr(AlignmentLoss(grad="unrolled")) == "AlignmentLoss(beta=0.5, iterations=50, grad='unrolled')"


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
