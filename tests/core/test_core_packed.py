"""Samples and packed batches: the worked layout, invariants, and what is refused."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uniter_core import Sample, pack
from uniter_core.segments import segment

WIDTH = 5


def make_sample(words: int, regions: int, *, width: int = WIDTH, **changes: object) -> Sample:
    arrays = {
        "token_ids": torch.arange(words),
        "region_features": torch.rand(regions, width),
        "region_boxes": torch.rand(regions, 7),
    }
    return Sample(**(arrays | changes))


sizes = st.tuples(st.integers(0, 6), st.integers(0, 5)).filter(sum)


def test_the_worked_layout() -> None:
    batch = pack([make_sample(2, 1), make_sample(0, 2), make_sample(3, 0)])
    assert (batch.num_samples, batch.num_units, batch.max_seqlen) == (3, 8, 3)
    assert batch.token_positions.tolist() == [0, 1, 0, 1, 2]
    assert batch.token_types.tolist() == [0] * 5
    assert batch.region_types.tolist() == [1] * 3
    assert batch.cu_seqlens.tolist() == [0, 3, 5, 8]
    assert batch.cu_seqlens.dtype == torch.int32
    assert batch.word_units.tolist() == [0, 1, 5, 6, 7]
    assert batch.region_units.tolist() == [2, 3, 4]
    assert batch.gather.tolist() == [0, 1, 5, 6, 7, 2, 3, 4]
    assert batch.cls_units.tolist() == [0, 3, 5]
    assert batch.word_samples.tolist() == [0, 0, 2, 2, 2]
    assert batch.region_samples.tolist() == [0, 1, 1]
    assert not batch.region_masked.any()


@given(st.lists(sizes, min_size=1, max_size=8))
def test_units_are_words_then_regions_sample_after_sample(shapes: list[tuple[int, int]]) -> None:
    """Against the definition, written with Python lists."""
    batch = pack([make_sample(*shape) for shape in shapes])
    expected = [(s, kind, i) for s, shape in enumerate(shapes) for kind in (0, 1) for i in range(shape[kind])]
    words = [(s, 0, i) for s, shape in enumerate(shapes) for i in range(shape[0])]
    regions = [(s, 1, i) for s, shape in enumerate(shapes) for i in range(shape[1])]
    assert [(words + regions)[row] for row in batch.gather.tolist()] == expected
    assert [expected[unit] for unit in batch.word_units.tolist()] == words
    assert [expected[unit] for unit in batch.region_units.tolist()] == regions
    assert batch.token_positions.tolist() == [i for _, _, i in words]


@given(st.lists(sizes, min_size=1, max_size=6), st.data())
def test_some_samples_of_a_batch_are_a_batch_of_them(shapes: list[tuple[int, int]], data: st.DataObject) -> None:
    samples = [make_sample(*shape) for shape in shapes]
    chosen = data.draw(st.lists(st.integers(0, len(shapes) - 1), min_size=1, max_size=8))
    found, expected = pack(samples).select(chosen), pack([samples[row] for row in chosen])
    for name in ("token_ids", "token_positions", "region_features", "region_boxes", "text_lengths", "region_lengths"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


@given(st.lists(st.integers(1, 9), max_size=12))
def test_segments_put_equal_lengths_side_by_side(lengths: list[int]) -> None:
    segments = segment(lengths)
    assert list(segments.lengths) == sorted(lengths)
    assert [length for count, length in segments.groups for _ in range(count)] == sorted(lengths)
    assert len({length for _, length in segments.groups}) == len(segments.groups)
    owner = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths, dtype=torch.int64))
    expected = [sample for sample in segments.samples for _ in range(lengths[sample])]
    assert owner[segments.arrange].tolist() == expected
    assert segments.arrange[segments.restore].tolist() == list(range(sum(lengths)))
    assert segments.cu_seqlens.tolist() == [0, *torch.tensor(sorted(lengths)).cumsum(0).tolist()]


def test_types_and_half_precision_are_kept() -> None:
    typed = make_sample(2, 2, token_types=torch.tensor([1, 0]), region_types=torch.tensor([2, 1]))
    half = make_sample(1, 1, region_features=torch.zeros(1, WIDTH, dtype=torch.float16))
    assert pack([typed, make_sample(1, 1)]).token_types.tolist() == [1, 0, 0]
    assert pack([make_sample(1, 1), typed]).region_types.tolist() == [1, 2, 1]
    assert pack([half, half]).region_features.dtype == torch.float16


def test_moving_keeps_what_was_derived_and_checks_nothing_again() -> None:
    batch = pack([make_sample(2, 1), make_sample(1, 2)])
    moved = batch.to("meta")  # no value can be looked at there, just as a GPU must not be waited for
    assert moved.gather.is_meta
    assert moved.segments.restore.is_meta
    assert moved.cu_seqlens.is_meta
    assert moved.max_seqlen == 3
    assert moved.segments.groups == batch.segments.groups
    assert torch.equal(batch.to("cpu").gather, batch.gather)
    assert not batch.gather.is_meta


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_ids": torch.zeros(2, 2)}, r"token_ids of sample 'a' must be \(W,\)"),
        ({"token_ids": torch.zeros(2)}, r"token_ids of sample 'a' must be \(2,\) int64, got \(2,\) torch.float32"),
        ({"region_features": torch.zeros(3)}, r"region_features of sample 'a' must be \(R, D\), floating"),
        ({"region_features": torch.zeros(3, WIDTH).long()}, "region_features"),
        ({"region_boxes": torch.zeros(3, 6)}, r"region_boxes of sample 'a' must be \(3, 7\), got \(3, 6\)"),
        ({"region_labels": torch.zeros(2, 4)}, r"region_labels of sample 'a' must be \(3, C\)"),
        ({"region_types": torch.zeros(2).long()}, "region_types"),
        ({"gold_regions": torch.zeros(3).long()}, "gold_regions"),
        ({"token_kinds": torch.zeros(2).int()}, "token_kinds"),
    ],
)
def test_bad_samples_are_refused(changes: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_sample(2, 3, id="a", **changes)


def test_empty_things_are_refused() -> None:
    with pytest.raises(ValueError, match="neither words nor regions"):
        make_sample(0, 0)
    with pytest.raises(ValueError, match="at least one sample"):
        pack([])
    with pytest.raises(ValueError, match="differ in the width of region_features: 'a' has 5, 'b' has 6"):
        pack([make_sample(1, 1, id="a"), make_sample(1, 1, width=6, id="b")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_positions": torch.zeros(4).long()}, r"token_positions must be \(3,\) torch.int64, got \(4,\)"),
        ({"region_masked": torch.zeros(3).long()}, "region_masked must be"),
        ({"region_boxes": torch.zeros(3, 5)}, "region_boxes must be"),
        ({"region_features": torch.zeros(3, 2, 1)}, r"region_features must be \(R, D\), floating"),
        ({"text_lengths": torch.tensor([2, 2])}, r"text_lengths must be counts that add up to 3, got \[2, 2\]"),
        ({"region_lengths": torch.tensor([4, -1])}, "region_lengths must be counts"),
        ({"text_lengths": torch.tensor([3, 0]), "region_lengths": torch.tensor([3, 0])}, "sample 1 of the batch"),
    ],
)
def test_bad_batches_are_refused(changes: dict[str, torch.Tensor], message: str) -> None:
    batch = pack([make_sample(2, 1), make_sample(1, 2)])
    with pytest.raises(ValueError, match=message):
        replace(batch, **changes)


def test_half_precision_features_are_packed_under_autocast() -> None:
    sample = make_sample(2, 3)
    half = replace(sample, region_features=sample.region_features.half())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert pack([half, half]).region_features.dtype == torch.float16


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [0, 1], [0, 1, 2, 0], [1, 2], [0, 1, 2, 3]])
def test_regions_fetched_together_are_packed_like_any_others(order: list[int]) -> None:
    together = torch.arange(24.0).reshape(6, 4)
    features = [*together.split([1, 3, 2]), torch.full((2, 4), -1.0)]
    samples = [
        Sample(
            token_ids=torch.tensor([1, 2]), region_features=features[i], region_boxes=torch.zeros(len(features[i]), 7)
        )
        for i in order
    ]
    packed = pack(samples).region_features
    assert packed.equal(torch.cat([features[i] for i in order]))
    assert (packed.data_ptr() == together.data_ptr()) == (order == [0, 1, 2])  # then nothing is copied
