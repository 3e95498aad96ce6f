"""Mining by its definition: which pairs are scored, which are the hardest, and what a group then shows."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniter_data import HardTable, MinedNegatives, RandomNegatives, ScoredPairs, UnitBatches, candidate_pairs

keys = st.integers(0, 2**62)


@dataclass(frozen=True)
class Captioned:
    """Images with some texts each; some images share a group, some rows of the store have no text."""

    text_lengths: np.ndarray
    image_rows: np.ndarray
    region_lengths: np.ndarray
    groups: np.ndarray
    name: str = "captioned"


@st.composite
def data_sets(draw: st.DrawFn) -> Captioned:
    group_of_image = np.array([0, 1, 2, 3, 4, 5, *draw(st.lists(st.integers(0, 7), max_size=6))])
    images = len(group_of_image)
    rows = np.array([0, 1, 2, 3, 4, 5, *draw(st.lists(st.integers(0, images - 1), max_size=20))])
    random = np.random.default_rng(draw(st.integers(0, 99)))
    return Captioned(
        text_lengths=random.integers(3, 20, len(rows)),
        image_rows=rows,
        region_lengths=random.integers(1, 15, images),
        groups=group_of_image[rows],
    )


def scored(draw: st.DrawFn, texts: int, images: int) -> ScoredPairs:
    """Distinct pairs, with many equal scores."""
    cells = draw(st.lists(st.integers(0, texts * images - 1), unique=True, max_size=60))
    scores = draw(st.lists(st.integers(-2, 2), min_size=len(cells), max_size=len(cells)))
    return ScoredPairs(
        texts=np.array(cells, dtype=np.int32) // images,
        image_rows=np.array(cells, dtype=np.int32) % images,
        scores=np.array(scores, dtype=np.float32) / 2,
    )


def by_definition(pairs: ScoredPairs, side: str, count: int, keep: int) -> list[list[int]]:
    """Each row's partners sorted, best score first, then the lowest number."""
    own, other = ("texts", "image_rows") if side == "texts" else ("image_rows", "texts")
    rows = []
    for row in range(count):
        mine = [
            (-float(score), int(partner))
            for each, partner, score in zip(getattr(pairs, own), getattr(pairs, other), pairs.scores, strict=True)
            if each == row
        ]
        best = [partner for _, partner in sorted(mine)][:keep]
        rows.append(best + [-1] * (keep - len(best)))
    return rows


@given(st.data(), st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
def test_the_hardest_are_those_with_the_best_scores(data: st.DataObject, texts: int, images: int, keep: int) -> None:
    pairs = data.draw(st.composite(scored)(texts, images))
    for side, count in (("texts", texts), ("image_rows", images)):
        assert pairs.table(side, count=count, keep=keep).tolist() == by_definition(pairs, side, count, keep)


@given(st.data(), st.integers(1, 4), st.integers(1, 4))
def test_parts_may_be_met_in_any_order(data: st.DataObject, keep: int, parts: int) -> None:
    pairs = data.draw(st.composite(scored)(5, 6))
    part_of = np.array(
        data.draw(st.lists(st.integers(0, parts - 1), min_size=len(pairs.texts), max_size=len(pairs.texts))), dtype=int
    )
    for side, count in (("texts", 5), ("image_rows", 6)):
        best = ScoredPairs(texts=pairs.texts[:0], image_rows=pairs.image_rows[:0], scores=pairs.scores[:0])
        for part in data.draw(st.permutations(range(parts))):
            mine = part_of == part
            found = ScoredPairs(
                texts=pairs.texts[mine], image_rows=pairs.image_rows[mine], scores=pairs.scores[mine]
            )  # fmt: skip
            best = ScoredPairs.joined([best, found]).hardest(side, keep)
        whole = pairs.table(side, count=count, keep=keep)
        np.testing.assert_array_equal(best.table(side, count=count, keep=keep), whole)


@given(data_sets(), st.integers(1, 3), keys, st.lists(st.integers(1, 13), max_size=3))
def test_candidates_are_the_drawn_pairs_band_after_band(data: Captioned, count: int, key: int, cuts: list[int]) -> None:
    negatives = RandomNegatives(data, images=count, texts=0)
    texts = len(data.image_rows)
    all_keys = key + np.arange(texts)
    drawn = negatives.draw(np.arange(texts), all_keys).image_rows
    expected = sorted((row, text) for text in range(texts) for row in drawn[text].tolist())
    edges = [0, *sorted(cuts), len(data.region_lengths)]
    found = []
    for first, stop in pairwise(edges):
        of_texts, rows = candidate_pairs(negatives, all_keys, first=first, stop=stop)
        found += zip(rows.tolist(), of_texts.tolist(), strict=True)
    assert found == expected
    assert all(data.groups[text] not in data.groups[data.image_rows == row] for row, text in found)


def mined_for(data: Captioned, images: int, keep: int, key: int) -> HardTable:
    """A table of random scores."""
    negatives = RandomNegatives(data, images=images, texts=0)
    texts, rows = candidate_pairs(
        negatives, key + np.arange(len(data.image_rows)), first=0, stop=len(data.region_lengths)
    )
    scores = np.random.default_rng(key % 1000).random(len(texts), dtype=np.float32)
    pairs = ScoredPairs(texts=texts.astype(np.int32), image_rows=rows.astype(np.int32), scores=scores)
    return HardTable(
        images=pairs.table("texts", count=len(data.image_rows), keep=keep),
        texts=pairs.table("image_rows", count=len(data.region_lengths), keep=keep),
    )


@given(data_sets(), st.integers(0, 1), st.integers(0, 1), st.integers(1, 2), keys)
def test_groups_show_mined_ones_behind_random_ones(
    data: Captioned, images: int, texts: int, hard: int, key: int
) -> None:
    negatives = MinedNegatives(data, images=images, texts=texts, hard=hard)
    every = np.arange(len(data.image_rows))
    random = negatives.draw(every, key + every)
    negatives.table = table = mined_for(data, images=3, keep=2, key=key)
    drawn = negatives.draw(every, key + every)
    for text in every.tolist():
        for shown, before, mined, first, other_groups in (
            (drawn.image_rows[text], random.image_rows[text], table.images[text], images,
             {data.groups[data.image_rows == row][0] for row in drawn.image_rows[text].tolist()}),
            (drawn.texts[text], random.texts[text], table.texts[data.image_rows[text]], texts,
             set(data.groups[drawn.texts[text]].tolist())),
        ):  # fmt: skip
            assert len(set(shown.tolist())) == len(shown) == first + hard
            assert data.groups[text] not in other_groups
            assert shown[:first].tolist() == before[:first].tolist()
            left = set(mined[mined >= 0].tolist()) - set(before.tolist())
            put = [place for place in range(first, first + hard) if shown[place] != before[place]]
            assert len(put) == min(hard, len(left))
            assert {int(shown[place]) for place in put} <= left
    some = every[::2]
    np.testing.assert_array_equal(negatives.draw(some, key + some).texts, drawn.texts[some])


@given(data_sets(), st.integers(1, 2), keys)
@settings(max_examples=50)
def test_units_are_those_shown(data: Captioned, hard: int, key: int) -> None:
    negatives = MinedNegatives(data, images=1, texts=1, hard=hard)
    all_keys = key + np.arange(len(data.image_rows))
    for table in (None, mined_for(data, images=3, keep=2, key=key)):
        negatives.table = table
        drawn = negatives.draw(np.arange(len(all_keys)), all_keys)
        words, regions = data.text_lengths, data.region_lengths[data.image_rows]
        shown = [
            int(
                words[text]
                + regions[text]
                + sum(words[text] + data.region_lengths[row] for row in drawn.image_rows[text])
                + sum(words[other] + regions[text] for other in drawn.texts[text])
            )
            for text in range(len(all_keys))
        ]
        assert negatives.units(all_keys).tolist() == shown
        assert max(shown) <= negatives.largest
    assert sum(len(part) for part in next(UnitBatches(data, units=4000, seed=1, sizes=negatives)).parts) > 0


def test_mined_ones_are_all_as_likely() -> None:
    rows = np.arange(12)
    data = Captioned(np.full(12, 5), rows, np.full(12, 3), rows)
    negatives = MinedNegatives(data, images=1, texts=1, hard=1)
    mined = np.array([[3, 5, 7]] * 12, dtype=np.int32)
    negatives.table = HardTable(images=mined, texts=mined)
    draws = 6000
    drawn = negatives.draw(np.zeros(draws, dtype=np.int64), np.arange(draws))
    for found in (drawn.image_rows[:, 1], drawn.texts[:, 1]):
        shares = np.bincount(found, minlength=12)[[3, 5, 7]] / draws
        assert np.abs(shares - 1 / 3).max() < 0.03


def test_a_table_is_read_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = HardTable(
        images=random.integers(-1, 9, (5, 3), dtype=np.int32), texts=random.integers(-1, 5, (9, 3), dtype=np.int32)
    )
    path = tmp_path / "mined" / "step.npz"
    table.save(path)
    assert [each.name for each in path.parent.iterdir()] == ["step.npz"]
    read = HardTable.load(path, texts=5, images=9)
    np.testing.assert_array_equal(read.images, table.images)
    np.testing.assert_array_equal(read.texts, table.texts)
    assert read.texts.dtype == np.int32
    with pytest.raises(ValueError, match=r"step\.npz: expected hard negatives of 6 texts and 9 images, got those of 5"):
        HardTable.load(path, texts=6, images=9)
    with pytest.raises(ValueError, match=r"nothing\.npz: no hard negatives can be read"):
        HardTable.load(tmp_path / "nothing.npz", texts=5, images=9)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place])
        with pytest.raises(ValueError, match="can be read"):
            HardTable.load(path, texts=5, images=9)
    place = whole.index(table.images.tobytes())
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ValueError, match=r"step\.npz: no hard negatives can be read"):
        HardTable.load(path, texts=5, images=9)
