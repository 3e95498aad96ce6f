"""Runs of rows: a pair at a time on the CPU gives what padded batches, the way of other devices, give."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot.runs import Runs

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")),
]


def drawn(seed: int, lengths: list[int], *, longest: int, gap: int, keep: float) -> Runs:
    """Runs of these lengths, rows of no pair between them and at both ends, some points within absent."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor(lengths, dtype=torch.int64)
    starts = (counts + gap).cumsum(0) - counts
    rows = torch.randn(int(counts.sum()) + gap * (len(lengths) + 1), 5, generator=generator, dtype=torch.float64)
    present = torch.arange(longest) < counts[:, None]
    present &= torch.rand(present.shape, generator=generator) <= keep
    weights = torch.rand(present.shape, generator=generator, dtype=torch.float64) + 0.1
    return Runs(rows, starts, weights * present)


sides = st.builds(
    lambda lengths, seed, slack, gap, keep: drawn(seed, lengths, longest=max(lengths) + slack, gap=gap, keep=keep),
    st.lists(st.integers(0, 7), min_size=3, max_size=3),
    st.integers(0, 2**32),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([0.5, 1.0]),
)


def naive_padded(runs: Runs) -> Tensor:
    padded = torch.zeros(*runs.weights.shape, runs.rows.shape[1], dtype=runs.rows.dtype)
    for pair, point in (runs.weights > 0).nonzero().tolist():
        padded[pair, point] = runs.rows[int(runs.starts[pair]) + point]
    return padded


@settings(max_examples=200)
@given(words=sides, regions=sides)
def test_products_and_norms(words: Runs, regions: Runs) -> None:
    x, y = naive_padded(words), naive_padded(regions)
    real = (words.weights > 0)[:, :, None] & (regions.weights > 0)[:, None, :]
    torch.testing.assert_close(words.padded(), x, atol=0, rtol=0)
    torch.testing.assert_close(words.products(regions)[real], (x @ y.mT)[real], atol=1e-12, rtol=0)
    norms = x.norm(dim=2).masked_fill(words.weights == 0, 1)
    torch.testing.assert_close(words.norms(), norms, atol=1e-12, rtol=0)
    scale = torch.rand_like(words.weights)
    torch.testing.assert_close(words.scaled(scale).padded(), x * scale[:, :, None], atol=0, rtol=0)


@settings(max_examples=200)
@given(words=sides, regions=sides, seed=st.integers(0, 2**32))
def test_mixtures_go_back_to_their_rows(words: Runs, regions: Runs, seed: int) -> None:
    x, y = naive_padded(words), naive_padded(regions)
    generator = torch.Generator().manual_seed(seed)
    real = (words.weights > 0)[:, :, None] & (regions.weights > 0)[:, None, :]
    mixture = torch.rand(real.shape, generator=generator, dtype=torch.float64) * real
    own = torch.rand(words.weights.shape, generator=generator, dtype=torch.float64) * real.any(2)
    padded = own[:, :, None] * x + mixture @ y
    expected = torch.zeros_like(words.rows)
    for pair, point in (words.weights > 0).nonzero().tolist():
        expected[int(words.starts[pair]) + point] = padded[pair, point]
    torch.testing.assert_close(words.mixed(regions, mixture, own), expected, atol=1e-12, rtol=0)
    # Padded rows are put back likewise where pairs are not taken one at a time.
    torch.testing.assert_close(words._scattered(padded), expected, atol=1e-12, rtol=0)


@settings(max_examples=200)
@given(words=sides, regions=sides, garbage=st.sampled_from([float("nan"), float("inf")]))
def test_what_is_absent_meets_no_product(words: Runs, regions: Runs, garbage: float) -> None:
    real = (words.weights > 0)[:, :, None] & (regions.weights > 0)[:, None, :]
    mixture, own = real.double(), real.any(2).double()
    used = torch.zeros(len(words.rows), dtype=torch.bool)
    used[words.places[words.weights > 0]] = True
    dirty = Runs(words.rows.masked_fill(~used[:, None], garbage), words.starts, words.weights)
    assert torch.equal(dirty.products(regions)[real], words.products(regions)[real])
    assert torch.equal(dirty.norms(), words.norms())
    assert torch.equal(dirty.padded(), words.padded())
    assert torch.equal(dirty.mixed(regions, mixture, own), words.mixed(regions, mixture, own))
    assert torch.equal(
        regions.mixed(dirty, mixture.mT, mixture.sum(1)), regions.mixed(words, mixture.mT, mixture.sum(1))
    )


@pytest.mark.parametrize("device", DEVICES)
def test_no_rows_at_all(device: str) -> None:
    for length in (0, 3):
        rows = torch.zeros(0, 5, device=device)
        none = Runs(rows, torch.zeros(2, dtype=torch.int64, device=device), torch.zeros(2, length, device=device))
        assert none.padded().shape == (2, length, 5)
        assert none.norms().shape == (2, length)
        assert none.products(none).shape == (2, length, length)
        assert none.mixed(none, none.products(none), none.weights).shape == (0, 5)
        assert none._scattered(none.padded()).shape == (0, 5)


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_gives_the_same(device: str, ragged: Callable) -> None:
    words = drawn(0, [3, 0, 7], longest=8, gap=1, keep=0.7)
    regions = drawn(1, [4, 2, 5], longest=5, gap=0, keep=1.0)
    x, y = (Runs(*(part.to(device) for part in (side.rows, side.starts, side.weights))) for side in (words, regions))
    real = (words.weights > 0)[:, :, None] & (regions.weights > 0)[:, None, :]
    torch.testing.assert_close(x.products(y).cpu() * real, words.products(regions) * real)
    torch.testing.assert_close(x.norms().cpu(), words.norms())
    mixture, own = real.double(), real.any(2).double()
    expected = words.mixed(regions, mixture, own)
    torch.testing.assert_close(x.mixed(y, mixture.to(device), own.to(device)).cpu(), expected)
