"""Block-shuffled epochs: complete, local, resumable, the same for everybody, and mixed as promised."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data import Batch, UnitBatches
from uniter_data.shuffling import BUFFER_BLOCKS, BlockShuffle


@dataclass(frozen=True)
class Captions:
    """Some captions an image, in a random order; only every other image of the store is named."""

    images: int
    captions: int = 2
    images_per_group: int = 1
    name: str = "drawn"

    @property
    def image_rows(self) -> np.ndarray:
        return np.random.default_rng(self.images).permutation(np.repeat(np.arange(self.images) * 2, self.captions))

    @property
    def groups(self) -> np.ndarray:
        return self.image_rows // 2 // self.images_per_group

    @property
    def text_lengths(self) -> np.ndarray:
        return np.full(self.images * self.captions, 3)

    @property
    def region_lengths(self) -> np.ndarray:
        return np.full(2 * self.images, 2)


def stream(data: Captions, block: int, *, units: int = 60, parts: int = 1, seed: int = 1) -> UnitBatches:
    return UnitBatches(data, units=units, seed=seed, mismatch_probability=0.5, parts=parts, shuffle_block=block)


def flat(batch: Batch, name: str) -> list:
    return np.concatenate(getattr(batch, name)).tolist()


def shown(batches: Iterator[Batch]) -> tuple[np.ndarray, np.ndarray]:
    """(T,) rows of the texts' own images and of those shown, in order."""
    found = list(batches)
    texts, rows = (np.array([x for batch in found for x in flat(batch, name)]) for name in ("parts", "image_rows"))
    return texts, rows


@given(
    images=st.integers(2, 80), block=st.integers(1, 30), group=st.integers(1, 4), stop=st.integers(0, 9),
    parts=st.integers(1, 3),
)  # fmt: skip
def test_an_epoch_is_complete_resumable_and_the_same_for_any_parts(images, block, group, stop, parts) -> None:
    data = Captions(images, images_per_group=group if images > 2 * group else 1)
    whole, divided = stream(data, block), stream(data, block, parts=parts)
    texts, rows = shown(stream(data, block).epoch(0))
    assert sorted(texts) == list(range(len(data.image_rows)))
    groups = dict(zip(data.image_rows.tolist(), data.groups.tolist(), strict=True))
    for text, row in zip(texts.tolist(), rows.tolist(), strict=True):
        assert row == data.image_rows[text] or groups[row] != data.groups[text]
    position = {"epoch": 0, "pair": 0}
    for one, other in islice(zip(whole, divided, strict=True), stop):
        assert sorted(flat(one, "keys")) == sorted(flat(other, "keys"))
        assert one.position == other.position
        position = one.position
    resumed = stream(data, block)
    resumed.seek(position)
    for one, other in islice(zip(whole, resumed, strict=True), 5):
        assert flat(one, "keys") == flat(other, "keys")
        assert flat(one, "image_rows") == flat(other, "image_rows")


def test_no_more_than_the_buffers_blocks_are_under_way() -> None:
    data, block = Captions(6400), 64  # 100 blocks
    texts, rows = shown(stream(data, block, units=600).epoch(0))
    blocks = rows // 2 // block
    for start in range(0, len(texts), 1024):
        # a window of as many pairs as 8 blocks have touches the blocks of the buffer and those that enter it
        assert len(np.unique(blocks[start : start + 1024])) <= BUFFER_BLOCKS + 8 + 2
    mismatched = rows != data.image_rows[texts]
    assert 0.45 < mismatched.mean() < 0.55
    # partners come from all of the buffer, and about evenly
    assert len(np.unique(blocks[:512][mismatched[:512]])) >= BUFFER_BLOCKS - 1


def test_the_mix_is_the_same_at_every_point_of_the_epoch() -> None:
    data, block = Captions(6400), 64
    texts, _ = shown(stream(data, block, units=600).epoch(0))
    blocks = data.image_rows[texts] // 2 // block
    counts = [len(np.unique(blocks[start : start + 100])) for start in range(0, len(blocks), 100)]
    # as many as 100 draws of 16 or 17 blocks find, from the first batch to the last
    assert min(counts) >= 12
    assert max(counts) <= BUFFER_BLOCKS + 2


def test_neighbours_are_parted_and_blocks_come_in_another_order_each_epoch() -> None:
    data, block = Captions(6400, captions=1), 64
    orders = []
    for number in range(2):
        texts, _ = shown(stream(data, block, units=600).epoch(number))
        place = np.empty(6400)
        place[data.image_rows[texts] // 2] = np.arange(6400)
        orders.append(place)
        inside = np.abs(np.diff(place))[np.arange(1, 6400) % block != 0]
        inside = np.minimum(inside, 6400 - inside)  # the circle has no end
        # two points drawn evenly from a stretch are a third of it apart on average
        assert np.mean(inside) == pytest.approx(BUFFER_BLOCKS * block / 3, rel=0.05)
    assert abs(np.corrcoef(*orders)[0, 1]) < 0.1


def test_a_store_of_few_blocks_is_shuffled_as_a_whole() -> None:
    data = Captions(320, captions=1)
    places = BlockShuffle.of(data.image_rows, data.groups, 32).places(7, np.arange(320))
    rank = places.argsort()[:160]
    assert len(np.unique(data.image_rows[rank] // 2 // 32)) == 10
    assert np.histogram(places, 10)[0].min() > 15


def test_where_a_group_fills_the_buffer_partners_come_from_elsewhere() -> None:
    data = Captions(640, images_per_group=320)
    texts, rows = shown(stream(data, 16).epoch(0))
    mismatched = rows != data.image_rows[texts]
    assert mismatched.any()
    assert (rows[mismatched] // 640 != data.image_rows[texts][mismatched] // 640).all()


def test_a_negative_block_is_refused() -> None:
    with pytest.raises(ValueError, match="shuffle_block: expected 0 or a number of images, got -1"):
        stream(Captions(8), -1)
