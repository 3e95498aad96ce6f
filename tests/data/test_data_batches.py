"""Batches by real units: budget, completeness, partners, parts, resuming."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data import Batch, UnitBatches


@dataclass(frozen=True)
class Lengths:
    """A data set as far as batches look at it."""

    text_lengths: np.ndarray
    image_rows: np.ndarray
    region_lengths: np.ndarray
    groups: np.ndarray
    name: str = "drawn"

    @property
    def largest(self) -> int:
        return int(self.text_lengths.max() + self.region_lengths[self.image_rows].max())


@st.composite
def data_sets(draw: st.DrawFn) -> Lengths:
    images = draw(st.integers(2, 12))
    group_of_image = np.array([0, 1, *draw(st.lists(st.integers(0, 4), min_size=images - 2, max_size=images - 2))])
    # the first texts name images of two groups; the store also holds an image that no text names
    rows = np.array([0, 1, *draw(st.lists(st.integers(0, images - 1), max_size=40))])
    return Lengths(
        text_lengths=np.array(draw(st.lists(st.integers(3, 20), min_size=len(rows), max_size=len(rows)))),
        image_rows=rows,
        region_lengths=np.array([*draw(st.lists(st.integers(1, 15), min_size=images, max_size=images)), 99]),
        groups=group_of_image[rows],
    )


def stream(data: Lengths, *, slack: int = 10, parts: int = 1, mismatch: float = 0.5, seed: int = 0) -> UnitBatches:
    return UnitBatches(data, units=parts * data.largest + slack, seed=seed, mismatch_probability=mismatch, parts=parts)


def flat(batch: Batch, name: str) -> list:
    return np.concatenate(getattr(batch, name)).tolist()


def pairs(batch: Batch) -> list[tuple]:
    """All pairs of a batch, whatever its parts."""
    return sorted(zip(*(flat(batch, name) for name in ("keys", "parts", "image_rows", "matched")), strict=True))


def units(data: Lengths, batch: Batch) -> list[int]:
    return [
        int((data.text_lengths[texts] + data.region_lengths[rows]).sum())
        for texts, rows in zip(batch.parts, batch.image_rows, strict=True)
    ]


def same(one: Batch, other: Batch) -> bool:
    return one.position == other.position and all(
        flat(one, name) == flat(other, name) for name in ("parts", "image_rows", "matched", "keys")
    )


@given(data=data_sets(), parts=st.integers(1, 4), slack=st.integers(0, 200), seed=st.integers(0, 5))
def test_every_batch_keeps_to_the_budget_in_parts_of_near_equal_units(data, parts, slack, seed):
    for batch in islice(stream(data, parts=parts, slack=slack, seed=seed), 20):
        loads = units(data, batch)
        assert len(loads) == parts
        assert all(len(part) for part in batch.parts)
        assert sum(loads) <= parts * data.largest + slack
        assert max(loads) - min(loads) <= data.largest
        # full: not even the smallest pair is sure to fit
        assert sum(loads) + data.largest > parts * data.largest + slack


@given(data=data_sets(), parts=st.integers(1, 3), slack=st.integers(0, 60))
def test_every_pair_of_an_epoch_comes_exactly_once(data, parts, slack):
    shown: Counter = Counter()
    batches = stream(data, parts=parts, slack=slack)
    epochs = 3
    while True:
        batch = next(batches)
        shown.update(flat(batch, "keys"))
        if batch.position["epoch"] >= epochs:
            break
    count = len(data.text_lengths)
    assert max(shown.values()) == 1  # keys name epoch and pair
    assert len(shown) == batch.position["epoch"] * count + batch.position["pair"]


@given(data=data_sets(), number=st.integers(0, 3), mismatch=st.sampled_from([0.0, 0.5, 1.0]))
def test_an_epoch_alone_holds_every_pair_once(data, number, mismatch):
    batches = list(stream(data, mismatch=mismatch).epoch(number))
    texts = [text for batch in batches for text in flat(batch, "parts")]
    assert sorted(texts) == list(range(len(data.text_lengths)))
    assert batches[-1].position == {"epoch": number + 1, "pair": 0}
    if mismatch in (0.0, 1.0):
        assert {fits for batch in batches for fits in flat(batch, "matched")} == {mismatch == 0.0}


@given(data=data_sets())
def test_a_partner_is_an_image_of_the_split_from_another_group(data):
    group_of_image = dict(zip(data.image_rows.tolist(), data.groups.tolist(), strict=True))
    for batch in islice(stream(data), 15):
        for text, row, fits in zip(*(flat(batch, n) for n in ("parts", "image_rows", "matched")), strict=True):
            if fits:
                assert row == data.image_rows[text]
            else:
                assert group_of_image[row] != data.groups[text]


def test_partners_are_drawn_evenly():
    data = Lengths(
        text_lengths=np.full(4000, 5),
        image_rows=np.repeat(np.arange(8), 500),
        region_lengths=np.full(8, 3),
        groups=np.repeat([0, 0, 1, 2], 1000),
    )
    (batch,) = UnitBatches(data, units=40_000, seed=1, mismatch_probability=1.0).epoch(0)
    shown = np.array(flat(batch, "image_rows"))[data.image_rows[flat(batch, "parts")] == 0]
    counts = np.bincount(shown, minlength=8)
    assert counts[:4].sum() == 0  # rows 0 to 3 are one group
    assert (np.abs(counts[4:] - 125) < 50).all()  # five standard deviations


def test_the_share_of_mismatched_pairs_is_the_probability():
    data = Lengths(np.full(4000, 5), np.arange(4000), np.full(4000, 3), np.arange(4000))
    (batch,) = UnitBatches(data, units=40_000, seed=1, mismatch_probability=0.3).epoch(0)
    assert np.mean(batch.matched[0]) == pytest.approx(0.7, abs=0.04)


@given(data=data_sets(), parts=st.integers(1, 3), stop=st.integers(0, 12))
def test_any_position_resumes_with_the_same_continuation(data, parts, stop):
    batches = stream(data, parts=parts)
    position = {"epoch": 0, "pair": 0}
    for batch in islice(batches, stop):
        position = batch.position
    resumed = stream(data, parts=parts)
    next(resumed)
    resumed.seek(position)
    assert all(same(one, other) for one, other in zip(islice(batches, 6), islice(resumed, 6), strict=True))


@given(data=data_sets(), parts=st.integers(2, 4))
def test_a_global_batch_does_not_depend_on_its_parts(data, parts):
    size = {"units": parts * data.largest + 20, "seed": 3, "mismatch_probability": 0.5}
    one, divided = UnitBatches(data, **size), UnitBatches(data, parts=parts, **size)
    for whole, split in islice(zip(one, divided, strict=True), 8):
        assert pairs(whole) == pairs(split)
        assert whole.position == split.position


@given(data=data_sets())
def test_another_seed_gives_another_order_and_other_keys(data):
    one, other = (next(stream(data, seed=seed, slack=500)) for seed in (0, 1))
    assert not set(flat(one, "keys")) & set(flat(other, "keys"))


def test_epochs_differ_in_order_and_partners():
    data = Lengths(np.full(50, 5), np.arange(50), np.full(50, 3), np.arange(50))
    first, second = (next(stream(data, mismatch=1.0, slack=1000).epoch(number)) for number in (0, 1))
    assert flat(first, "parts") != flat(second, "parts")
    assert dict(zip(flat(first, "parts"), flat(first, "image_rows"), strict=True)) != dict(
        zip(flat(second, "parts"), flat(second, "image_rows"), strict=True)
    )


def test_a_data_set_smaller_than_a_batch_is_repeated():
    data = Lengths(np.array([3, 4]), np.array([0, 1]), np.array([2, 2]), np.array([0, 1]))
    batch = next(UnitBatches(data, units=110, seed=0, parts=3))
    assert sum(units(data, batch)) == 110  # ten epochs of 11 units
    assert batch.position == {"epoch": 10, "pair": 0}


def test_bad_settings_are_refused_before_training():
    data = Lengths(np.array([3, 4]), np.array([0, 1]), np.array([2, 9]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"units: expected at least 26 for 2 part\(s\).*drawn.*got 25"):
        UnitBatches(data, units=25, seed=0, parts=2)
    with pytest.raises(ValueError, match="mismatch_probability: expected 0 to 1"):
        UnitBatches(data, units=25, seed=0, mismatch_probability=1.5)
    with pytest.raises(ValueError, match="parts: expected at least 1"):
        UnitBatches(data, units=25, seed=0, parts=0)
    with pytest.raises(ValueError, match="in 1 part, got 2"):
        UnitBatches(data, units=50, seed=0, parts=2).epoch(0)
    with pytest.raises(ValueError, match="position"):
        UnitBatches(data, units=50, seed=0).seek({"epoch": 0, "pair": 2})
    alone = Lengths(np.array([3, 4]), np.array([0, 1]), np.array([2, 9]), np.array([7, 7]))
    with pytest.raises(ValueError, match="belong to one group"):
        UnitBatches(alone, units=50, seed=0, mismatch_probability=0.5)
    torn = Lengths(np.array([3, 4, 3]), np.array([0, 1, 0]), np.array([2, 9]), np.array([7, 8, 8]))
    with pytest.raises(ValueError, match="text 2 puts the image in row 0 into another group"):
        UnitBatches(torn, units=50, seed=0, mismatch_probability=0.5)
