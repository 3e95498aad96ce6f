"""Packed points give what padded ones give."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot import alignment_loss, alignment_loss_packed, alignment_plan_packed, cosine_cost, ipot, pad_packed

lengths = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=1, max_size=5)


def packed(counts: list[int], seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sum(counts), 6, generator=generator, dtype=torch.float64), torch.tensor(counts)


@settings(max_examples=100)
@given(counts=lengths, seed=st.integers(0, 2**32))
def test_packed_is_padded(counts: list[tuple[int, int]], seed: int) -> None:
    words, word_lengths = packed([words for words, _ in counts], seed)
    regions, region_lengths = packed([regions for _, regions in counts], seed + 1)
    words.requires_grad_()
    regions.requires_grad_()
    distances = alignment_loss_packed(words, regions, word_lengths, region_lengths, iterations=10)
    gradients = torch.autograd.grad(distances.sum(), (words, regions))
    plan = alignment_plan_packed(words, regions, word_lengths, region_lengths, iterations=10).plan

    word_rows = torch.split(words.detach(), word_lengths.tolist())
    region_rows = torch.split(regions.detach(), region_lengths.tolist())
    word_gradients = torch.split(gradients[0], word_lengths.tolist())
    for pair, (x, y, x_gradient) in enumerate(zip(word_rows, region_rows, word_gradients, strict=True)):
        x = x[None].clone().requires_grad_()
        alone = alignment_loss(x, y[None], iterations=10)
        alone.sum().backward()
        torch.testing.assert_close(distances[pair], alone[0], atol=1e-12, rtol=0)
        torch.testing.assert_close(x_gradient, x.grad[0], atol=1e-12, rtol=0)
        expected = ipot(cosine_cost(x, y[None]), iterations=10).plan[0]
        torch.testing.assert_close(plan[pair, : len(x[0]), : len(y)], expected, atol=1e-12, rtol=0)
    assert not plan.requires_grad


def test_padding_lays_out_and_back() -> None:
    points, counts = packed([3, 0, 2], seed=0)
    points.requires_grad_()
    padded, mask = pad_packed(points, counts)
    assert padded.shape == (3, 3, 6)
    assert mask.sum(1).tolist() == [3, 0, 2]
    assert torch.equal(padded[mask], points)
    assert (padded[~mask] == 0).all()
    padded.square().sum().backward()
    torch.testing.assert_close(points.grad, 2 * points.detach())


@pytest.mark.parametrize("counts", [[], [0], [0, 0]])
def test_no_points_at_all(counts: list[int]) -> None:
    points, lengths_ = torch.zeros(0, 6), torch.tensor(counts, dtype=torch.int64)
    padded, mask = pad_packed(points, lengths_)
    assert padded.shape == (len(counts), 0, 6)
    assert mask.shape == (len(counts), 0)
    assert alignment_loss_packed(points, points, lengths_, lengths_).tolist() == [0.0] * len(counts)


def test_small_length_dtypes() -> None:
    points, counts = packed([3, 1, 2], seed=0)
    assert torch.equal(pad_packed(points, counts.to(torch.int32))[0], pad_packed(points, counts)[0])


@pytest.mark.parametrize(
    ("word_lengths", "error", "message"),
    [
        (torch.tensor([2, 2]), ValueError, "word_lengths: expected lengths that add up to the 5 rows of words, got 4"),
        (torch.tensor([6, -1]), ValueError, "word_lengths: expected no negative length, got -1"),
        (torch.tensor([[5]]), ValueError, r"word_lengths: expected shape \(B,\), got \(1, 1\)"),
        (torch.tensor([2.0, 3.0]), TypeError, "word_lengths: expected an integer tensor .* got torch.float32"),
        ([2, 3], TypeError, "word_lengths: expected an integer tensor .* got list"),
        (torch.tensor([2, 2, 1]), ValueError, "region_lengths: expected 3 pairs as in word_lengths, got 2"),
    ],
)
def test_wrong_lengths(word_lengths: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        alignment_loss_packed(torch.zeros(5, 6), torch.zeros(4, 6), word_lengths, torch.tensor([3, 1]))


def test_wrong_points() -> None:
    counts = torch.tensor([2, 3])
    with pytest.raises(ValueError, match=r"regions: expected shape \(N, H\), got \(5,\)"):
        alignment_loss_packed(torch.zeros(5, 6), torch.zeros(5), counts, counts)
    with pytest.raises(ValueError, match="regions: expected features of width 6 as in words, got 7"):
        alignment_loss_packed(torch.zeros(5, 6), torch.zeros(5, 7), counts, counts)
    with pytest.raises(ValueError, match=r"^lengths: expected"):
        pad_packed(torch.zeros(5, 6), torch.tensor([1]))
