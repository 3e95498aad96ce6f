"""Packed points give what padded ones give."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot import alignment_loss, alignment_loss_packed, alignment_plan_packed, cosine_cost, ipot, pad_packed

lengths = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=1, max_size=5)


def packed(counts: list[int], seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(sum(counts), 6, generator=generator, dtype=torch.float64)
    return points.to(dtype), torch.tensor(counts, dtype=torch.int64)


def value_and_gradients(loss, *points: Tensor) -> tuple[Tensor, ...]:  # type: ignore[no-untyped-def]
    points = tuple(tensor.clone().requires_grad_() for tensor in points)
    distances = loss(*points)
    weights = torch.linspace(-1, 2, len(distances), dtype=distances.dtype)
    return distances, *torch.autograd.grad((distances * weights).sum(), points)


@settings(max_examples=200)
@given(
    counts=lengths,
    seed=st.integers(0, 2**32),
    schedule=st.sampled_from(["constant", "staged"]),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
)
def test_packed_is_padded(
    backend: str, counts: list[tuple[int, int]], seed: int, schedule: str, dtype: torch.dtype
) -> None:
    words, word_lengths = packed([words for words, _ in counts], seed, dtype)
    regions, region_lengths = packed([regions for _, regions in counts], seed + 1, dtype)
    arguments = {"iterations": 10, "schedule": schedule, "backend": backend}
    got = value_and_gradients(
        lambda x, y: alignment_loss_packed(x, y, word_lengths, region_lengths, **arguments), words, regions
    )

    def padded_loss(words: Tensor, regions: Tensor) -> Tensor:
        (x, word_mask), (y, region_mask) = pad_packed(words, word_lengths), pad_packed(regions, region_lengths)
        return alignment_loss(x, y, word_mask=word_mask, region_mask=region_mask, **arguments)  # type: ignore[arg-type]

    atol = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-3}[dtype]
    expected = value_and_gradients(padded_loss, words, regions)
    assert [tensor.dtype for tensor in got] == [tensor.dtype for tensor in expected]
    torch.testing.assert_close(got, expected, atol=atol, rtol=0)

    solved = alignment_plan_packed(words, regions, word_lengths, region_lengths, **arguments)
    assert not solved.plan.requires_grad
    torch.testing.assert_close(solved.distance, got[0].detach(), atol=atol, rtol=0)
    word_rows, region_rows = words.split(word_lengths.tolist()), regions.split(region_lengths.tolist())
    for pair, (x, y) in enumerate(zip(word_rows, region_rows, strict=True)):
        alone = ipot(cosine_cost(x[None], y[None]), **arguments).plan[0]
        torch.testing.assert_close(solved.plan[pair, : len(x), : len(y)], alone, atol=atol, rtol=0)


@settings(max_examples=200)
@given(counts=lengths, seed=st.integers(0, 2**32), gap=st.integers(0, 2))
def test_both_sides_may_lie_in_one_matrix(backend: str, counts: list[tuple[int, int]], seed: int, gap: int) -> None:
    """As an encoder keeps its units: words and regions of a sample in turn, and other units between them."""
    words, word_lengths = packed([words for words, _ in counts], seed)
    regions, region_lengths = packed([regions for _, regions in counts], seed + 1)
    rows, word_starts, region_starts = [torch.full((gap, 6), float("nan"), dtype=torch.float64)], [], []
    for x, y in zip(words.split(word_lengths.tolist()), regions.split(region_lengths.tolist()), strict=True):
        word_starts.append(sum(map(len, rows)))
        region_starts.append(word_starts[-1] + len(x))
        rows += [x, y, rows[0]]
    units = torch.cat(rows)

    def interleaved(units: Tensor) -> Tensor:
        return alignment_loss_packed(
            units,
            units,
            word_lengths,
            region_lengths,
            word_starts=torch.tensor(word_starts),
            region_starts=torch.tensor(region_starts),
            max_words=11,
            max_regions=12,
            iterations=10,
            backend=backend,
        )

    distances, gradient = value_and_gradients(interleaved, units)
    expected = value_and_gradients(
        lambda x, y: alignment_loss_packed(x, y, word_lengths, region_lengths, iterations=10, backend=backend),
        words,
        regions,
    )
    torch.testing.assert_close(distances, expected[0], atol=1e-12, rtol=0)
    word_gradients, region_gradients = (
        torch.cat([gradient[start : start + count] for start, count in zip(starts, counts_.tolist(), strict=True)])
        for starts, counts_ in ((word_starts, word_lengths), (region_starts, region_lengths))
    )
    torch.testing.assert_close((word_gradients, region_gradients), expected[1:], atol=1e-12, rtol=0)
    assert gradient.isfinite().all()
    assert (gradient[units.isnan()] == 0).all()


def test_one_point_may_serve_several_pairs(backend: str) -> None:
    """Runs may overlap: the gradients of all pairs add up."""
    points, _ = packed([4], seed=0)
    starts, counts, fours = torch.tensor([0, 1, 1]), torch.tensor([2, 3, 3]), torch.tensor([4, 4, 4])

    def overlapping(words: Tensor, regions: Tensor) -> Tensor:
        origins = {"word_starts": starts, "region_starts": torch.zeros_like(starts)}
        return alignment_loss_packed(words, regions, counts, fours, **origins, backend=backend)

    got = value_and_gradients(overlapping, points, points.flip(0).clone())

    def repeated(words: Tensor, regions: Tensor) -> Tensor:
        rows = torch.cat([words[:2], words[1:], words[1:]])
        return alignment_loss_packed(rows, regions.repeat(3, 1), counts, fours, backend=backend)

    expected = value_and_gradients(repeated, points, points.flip(0).clone())
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5)])
def test_gradient_is_the_slope_once_converged(backend: str, shape: tuple[int, int]) -> None:
    words, counts = packed([shape[0]] * 2, seed=0)
    owner = torch.arange(shape[1]) % shape[0]
    regions = torch.cat([words[owner], words[shape[0] + owner]]) + 0.05 * packed([2 * shape[1]], seed=1)[0]
    assert torch.autograd.gradcheck(
        lambda x, y: alignment_loss_packed(
            x, y, counts, torch.tensor([shape[1]] * 2), beta=0.1, iterations=400, schedule="staged", backend=backend
        ),
        (words.requires_grad_(), regions.requires_grad_()),
        fast_mode=True,
        atol=1e-4 if shape[0] != shape[1] else 1e-6,
    )


def test_autocast_changes_nothing_and_neither_does_a_second_run(backend: str) -> None:
    words, word_lengths = packed([3, 0, 7, 2], seed=0, dtype=torch.float32)
    regions, region_lengths = packed([4, 2, 5, 1], seed=1, dtype=torch.float32)

    def run() -> tuple[Tensor, ...]:
        return value_and_gradients(
            lambda x, y: alignment_loss_packed(x, y, word_lengths, region_lengths, backend=backend), words, regions
        )

    expected, again = run(), run()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = run()
    torch.testing.assert_close(again, expected, atol=0, rtol=0)
    torch.testing.assert_close(cast, expected, atol=0, rtol=0)


def test_differentiating_twice_is_refused() -> None:
    words, counts = packed([2, 1], seed=0)
    words.requires_grad_()
    distances = alignment_loss_packed(words, words.detach().flip(0), counts, counts)
    (gradient,) = torch.autograd.grad(distances.sum(), words, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        gradient.sum().backward()


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
        (torch.tensor([True, True]), TypeError, "word_lengths: expected an integer tensor .* got torch.bool"),
        ([2, 3], TypeError, "word_lengths: expected an integer tensor .* got list"),
        (torch.tensor([2, 2, 1]), ValueError, "region_lengths: expected 3 pairs as in word_lengths, got 2"),
    ],
)
def test_wrong_lengths(word_lengths: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        alignment_loss_packed(torch.zeros(5, 6), torch.zeros(4, 6), word_lengths, torch.tensor([3, 1]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_words": 2}, ValueError, "word_lengths: expected at most 2, the longest as said, got 3"),
        ({"max_regions": 1}, ValueError, "region_lengths: expected at most 1, the longest as said, got 3"),
        (
            {"word_starts": torch.tensor([0, 3])},
            ValueError,
            "word_starts: expected runs within 5 rows, got rows 3 to 6",
        ),
        ({"word_starts": torch.tensor([-1, 0])}, ValueError, "word_starts: .* got rows -1 to 1 for pair 0"),
        ({"region_starts": torch.tensor([9, 3])}, ValueError, "region_starts: expected runs within 4 rows, got rows 9"),
        ({"word_starts": torch.tensor([0])}, ValueError, "word_starts: expected 2 as in word_lengths, got 1"),
        ({"word_starts": torch.tensor([0.0, 2.0])}, TypeError, "word_starts: expected an integer tensor"),
        ({"region_starts": [0, 3]}, TypeError, "region_starts: expected an integer tensor .* got list"),
        ({"beta": 0}, ValueError, "beta: expected a finite number above 0, got 0"),
        ({"backend": "gpu"}, ValueError, "backend: expected one of auto, torch, cpp, triton, got 'gpu'"),
        ({"schedule": "linear"}, ValueError, "schedule: expected one of constant, staged, got 'linear'"),
    ],
)
def test_wrong_settings(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    counts = torch.tensor([2, 3]), torch.tensor([3, 1])
    with pytest.raises(error, match=message):
        alignment_loss_packed(torch.zeros(5, 6), torch.zeros(4, 6), *counts, **arguments)  # type: ignore[arg-type]


def test_wrong_points() -> None:
    counts = torch.tensor([2, 3])
    with pytest.raises(ValueError, match=r"regions: expected shape \(N, H\), got \(5,\)"):
        alignment_loss_packed(torch.zeros(5, 6), torch.zeros(5), counts, counts)
    with pytest.raises(ValueError, match="regions: expected features of width 6 as in words, got 7"):
        alignment_loss_packed(torch.zeros(5, 6), torch.zeros(5, 7), counts, counts)
    for short in torch.tensor([1]), torch.zeros(0, dtype=torch.int64):
        with pytest.raises(
            ValueError, match=r"^lengths: expected lengths that add up to the 5 rows of points, got [01]"
        ):
            pad_packed(torch.zeros(5, 6), short)
