"""Groups for ranking: never of the own group, no candidate twice, drawn by the key alone, counted as they are shown."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data import RandomNegatives, UnitBatches


@dataclass(frozen=True)
class Captioned:
    """Images with some texts each; some images share a group."""

    text_lengths: np.ndarray
    image_rows: np.ndarray
    region_lengths: np.ndarray
    groups: np.ndarray
    name: str = "captioned"


@st.composite
def data_sets(draw: st.DrawFn) -> Captioned:
    images = draw(st.integers(4, 12))
    group_of_image = np.array([0, 1, 2, 3, *draw(st.lists(st.integers(0, 5), min_size=images - 4, max_size=images))])
    rows = np.array([0, 1, 2, 3, *draw(st.lists(st.integers(0, len(group_of_image) - 1), max_size=20))])
    return Captioned(
        text_lengths=np.array(draw(st.lists(st.integers(3, 20), min_size=len(rows), max_size=len(rows)))),
        image_rows=rows,
        region_lengths=np.array(
            draw(st.lists(st.integers(1, 15), min_size=len(group_of_image), max_size=len(group_of_image)))
        ),
        groups=group_of_image[rows],
    )


keys = st.integers(0, 2**62)


@given(data_sets(), st.integers(0, 3), st.integers(0, 3), keys)
def test_negatives_are_distinct_and_of_other_groups(data: Captioned, images: int, texts: int, key: int) -> None:
    if images + texts == 0:
        images = 1
    count = len(data.image_rows)
    drawn = RandomNegatives(data, images=images, texts=texts).draw(np.arange(count), key + np.arange(count))
    assert drawn.image_rows.shape == (count, images)
    assert drawn.texts.shape == (count, texts)
    group_of_image = dict(zip(data.image_rows.tolist(), data.groups.tolist(), strict=True))
    for text in range(count):
        rows, others = drawn.image_rows[text].tolist(), drawn.texts[text].tolist()
        assert len(set(rows)) == images
        assert len(set(others)) == texts
        assert all(group_of_image[row] != data.groups[text] for row in rows)
        assert all(data.groups[other] != data.groups[text] for other in others)


@given(data_sets(), keys, st.data())
def test_negatives_are_a_function_of_text_and_key(data: Captioned, key: int, some: st.DataObject) -> None:
    """Whoever draws them, with whichever other texts."""
    negatives = RandomNegatives(data, images=2, texts=2)
    count = len(data.image_rows)
    all_keys = key + np.arange(count)
    whole = negatives.draw(np.arange(count), all_keys)
    chosen = np.array(some.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=5)))
    part = RandomNegatives(data, images=2, texts=2).draw(chosen, all_keys[chosen])
    np.testing.assert_array_equal(part.image_rows, whole.image_rows[chosen])
    np.testing.assert_array_equal(part.texts, whole.texts[chosen])


def test_every_candidate_is_as_likely() -> None:
    rows = np.arange(8)
    data = Captioned(np.full(8, 5), rows, np.full(8, 3), rows)
    draws = 6000
    drawn = RandomNegatives(data, images=2, texts=1).draw(np.full(draws, 4), np.arange(draws))
    for found in (drawn.image_rows[:, 0], drawn.image_rows[:, 1], drawn.texts[:, 0]):
        counts = np.bincount(found, minlength=8)
        assert counts[4] == 0
        assert np.abs(np.delete(counts, 4) / draws - 1 / 7).max() < 0.02
    together = np.unique(drawn.image_rows, axis=0, return_counts=True)[1]
    assert len(together) == 7 * 6
    assert np.abs(together / draws - 1 / 42).max() < 0.01


def shown(data: Captioned, negatives: RandomNegatives, text: int, key: int, most: int = 99) -> int:
    """Units of a group by definition."""
    drawn = negatives.draw(np.array([text]), np.array([key]))
    words, regions = data.text_lengths[text], data.region_lengths[data.image_rows[text]]
    images = sorted((words + data.region_lengths[drawn.image_rows[0]]).tolist())[-most:]
    texts = sorted((data.text_lengths[drawn.texts[0]] + regions).tolist())[-most:]
    return int(words + regions + sum(images) + sum(texts))


@given(data_sets(), st.integers(0, 2), st.integers(1, 3))
def test_batches_count_groups_as_they_are_shown(data: Captioned, seed: int, parts: int) -> None:
    negatives = RandomNegatives(data, images=2, texts=1)
    budget = parts * negatives.largest + 40
    one, many = (
        UnitBatches(data, units=budget, seed=seed, parts=number, sizes=negatives) for number in (1, parts)
    )  # fmt: skip
    for whole, divided in islice(zip(one, many, strict=True), 4):
        total = sum(
            shown(data, negatives, text, key)
            for text, key in zip(whole.parts[0].tolist(), whole.keys[0].tolist(), strict=True)
        )
        assert budget - negatives.largest <= total <= budget
        assert sorted(np.concatenate(divided.keys).tolist()) == sorted(whole.keys[0].tolist())
        assert all(len(part) for part in divided.parts)


@given(data_sets(), st.integers(1, 2), keys)
def test_pools_count_what_is_kept_at_most(data: Captioned, keep: int, key: int) -> None:
    negatives = RandomNegatives(data, images=3, texts=2, counted=keep)
    all_keys = key + np.arange(len(data.image_rows))
    found = negatives.units(all_keys).tolist()
    assert found == [shown(data, negatives, text, int(each), keep) for text, each in enumerate(all_keys)]
    assert max(found) <= negatives.largest


def test_what_cannot_be_drawn_is_refused() -> None:
    rows = np.array([0, 0, 1, 2])
    data = Captioned(np.full(4, 5), rows, np.full(3, 3), rows)
    with pytest.raises(ValueError, match="expected other images or other texts, got 0 and 0"):
        RandomNegatives(data, images=0, texts=0)
    with pytest.raises(ValueError, match="images: expected at most 2, as some pair of captioned"):
        RandomNegatives(data, images=3, texts=0)
    with pytest.raises(ValueError, match="texts: expected at most 2"):
        RandomNegatives(data, images=0, texts=3)
    negatives = RandomNegatives(data, images=1, texts=1)
    with pytest.raises(ValueError, match="as the largest group of captioned may have 24 words"):
        UnitBatches(data, units=23, seed=0, sizes=negatives)
    with pytest.raises(ValueError, match="sizes: expected none"):
        UnitBatches(data, units=99, seed=0, sizes=negatives, mismatch_probability=0.5)
