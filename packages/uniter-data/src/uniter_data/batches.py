"""Batches by real units: pairs in a seeded order, as many as fit, the same for any number of workers and processes."""

# T pairs of the data set, B pairs of a batch

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from heapq import heapify, heapreplace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from uniter_core import key_of, permutation, uniforms, unit_keys
from uniter_data.partners import Partners
from uniter_data.shuffling import BlockShuffle

__all__ = ["Batch", "Pairs", "Sizes", "UnitBatches"]


class Pairs(Protocol):
    """What the batches need to know of a data set (`PairDataset` knows it)."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def text_lengths(self) -> NDArray[np.int64]:
        """(T,) word pieces of each text, [CLS] and [SEP] counted."""

    @property
    def image_rows(self) -> NDArray[np.int64]:
        """(T,) row of each text's image."""

    @property
    def region_lengths(self) -> NDArray[np.int64]:
        """(I,) regions of each image."""

    @property
    def groups(self) -> NDArray[np.int64]:
        """(T,) images of one group are never each other's mismatched partner."""


class Sizes(Protocol):
    """Units of what a batch shows for each pair, where that is more than the pair (`RandomNegatives`: its group)."""

    @property
    def largest(self) -> int:
        """Most units that may be shown for a pair."""

    def units(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """(T,) units shown for every pair, by the keys (T,) of the pairs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """One global batch, divided into parts of nearly equal units.

    Attributes:
        parts: for each part, the texts (k,).
        image_rows: for each part, the rows of the images shown with them (k,).
        matched: for each part, whether they belong together (k,) bool.
        keys: for each part, the keys of the pairs' random draws (k,).
        position: where the stream stands after this batch.
    """

    parts: tuple[NDArray[np.int64], ...]
    image_rows: tuple[NDArray[np.int64], ...]
    matched: tuple[NDArray[np.bool_], ...]
    keys: tuple[NDArray[np.int64], ...]
    position: dict[str, int]


class UnitBatches:
    """An endless stream of batches whose real units (words and regions of the pairs shown) add up to at most `units`.

    Epochs follow one another without a gap: a batch that reaches the end of one is filled up from the next, so that
    every batch is nearly full and each pair of an epoch comes exactly once. Order, partners and keys are pure
    functions of (seed, epoch, index); neither `parts` nor who reads them changes what a global batch holds.

    Args:
        dataset: the pairs.
        units: most real units of a batch.
        seed: of all draws.
        mismatch_probability: share of the pairs that show an image of another group.
        parts: arrays that a batch is divided into, one a process and accumulation step; none is ever empty.
        sizes: units of what is shown for each pair; None = the pair's own.
        shuffle_block: images of a block of neighbours, for a local order (`BlockShuffle`), in which the mismatched
            images are neighbours as well; 0 = all pairs are shuffled with all.

    Raises:
        ValueError: `units` may be too few for a pair in every part, or there is no image to mismatch with.
    """

    def __init__(
        self,
        dataset: Pairs,
        *,
        units: int,
        seed: int,
        mismatch_probability: float = 0.0,
        parts: int = 1,
        sizes: Sizes | None = None,
        shuffle_block: int = 0,
    ) -> None:
        if not 0 <= mismatch_probability <= 1:
            raise ValueError(f"mismatch_probability: expected 0 to 1, got {mismatch_probability}")
        if parts < 1:
            raise ValueError(f"parts: expected at least 1, got {parts}")
        if shuffle_block < 0:
            raise ValueError(f"shuffle_block: expected 0 or a number of images, got {shuffle_block}")
        if sizes and mismatch_probability:
            raise ValueError("sizes: expected none where pairs are mismatched")
        largest = sizes.largest if sizes else _largest_pair(dataset, mismatched=mismatch_probability > 0)
        if units < parts * largest:
            raise ValueError(
                f"units: expected at least {parts * largest} for {parts} part(s), as the largest "
                f"{'group' if sizes else 'pair'} of {dataset.name} may have {largest} words and regions; got {units}"
            )
        self._dataset = dataset
        self._units = units
        self._seed = seed
        self._mismatch = mismatch_probability
        self._parts = parts
        self._sizes = sizes
        self._partners = Partners.of(dataset.image_rows, dataset.groups) if mismatch_probability else None
        self._blocks = BlockShuffle.of(dataset.image_rows, dataset.groups, shuffle_block) if shuffle_block else None
        self._epoch_number = 0
        self._pair = 0  # of the epoch's order, the next to be shown
        self._epoch = lru_cache(maxsize=2)(self._draw_epoch)

    def __iter__(self) -> "UnitBatches":
        return self

    def __next__(self) -> Batch:
        pieces = []
        room = self._units
        while True:
            epoch = self._epoch(self._epoch_number)
            stop = epoch.reach(self._pair, room)
            piece = epoch.between(self._pair, stop)
            pieces.append(piece)
            room -= int(piece.units.sum())
            if stop < len(epoch.texts):
                self._pair = stop
                break
            self._epoch_number, self._pair = self._epoch_number + 1, 0
        return self._batch(_Pairs.joined(pieces), epoch=self._epoch_number, pair=self._pair)

    def seek(self, position: Mapping[str, int]) -> None:
        """Go on where a batch's `position` says.

        Raises:
            ValueError: it is no position in this data set's stream.
        """
        epoch, pair = position.get("epoch", -1), position.get("pair", -1)
        if epoch < 0 or not 0 <= pair < len(self._dataset.text_lengths):
            raise ValueError(
                f"position: expected an epoch and a pair below {len(self._dataset.text_lengths)}, the pairs of "
                f"{self._dataset.name}; got {dict(position)}"
            )
        self._epoch_number, self._pair = epoch, pair

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch alone, the last one as short as it comes out; the stream stays where it is.

        Raises:
            ValueError: batches are divided into parts: the last one may have too few pairs for all.
        """
        if self._parts != 1:
            raise ValueError(f"parts: an epoch alone is given in 1 part, got {self._parts}")
        return self._epoch_batches(number)

    def _epoch_batches(self, number: int) -> Iterator[Batch]:
        epoch = self._epoch(number)
        start = 0
        while start < len(epoch.texts):
            stop = epoch.reach(start, self._units)
            over = stop == len(epoch.texts)
            yield self._batch(epoch.between(start, stop), epoch=number + over, pair=0 if over else stop)
            start = stop

    def _draw_epoch(self, number: int) -> "_Pairs":
        """All pairs of an epoch, in its order."""
        data = self._dataset
        count = len(data.text_lengths)
        keys = unit_keys(torch.tensor([key_of(self._seed, "pairs", number)]), torch.tensor([count]))
        rows, matched = data.image_rows, np.ones(count, dtype=np.bool_)
        order_key = key_of(self._seed, "order", number)
        places = self._blocks.places(order_key, keys.numpy()) if self._blocks else None
        if self._partners:
            matched = uniforms(keys, "mismatched").numpy() >= self._mismatch
            partners = self._partners.choose(uniforms(keys, "partner").numpy())
            if self._blocks and places is not None:
                partners = self._blocks.partners(order_key, keys.numpy(), places, partners)
            rows = np.where(matched, rows, partners)
        order = permutation(order_key, count).numpy() if places is None else places.argsort(kind="stable")
        units = self._sizes.units(keys.numpy()) if self._sizes else data.text_lengths + data.region_lengths[rows]
        return _Pairs(
            texts=order, image_rows=rows[order], matched=matched[order], keys=keys.numpy()[order], units=units[order]
        )

    def _batch(self, pairs: "_Pairs", *, epoch: int, pair: int) -> Batch:
        parts = _divide(pairs.units, self._parts)
        return Batch(
            parts=tuple(pairs.texts[part] for part in parts),
            image_rows=tuple(pairs.image_rows[part] for part in parts),
            matched=tuple(pairs.matched[part] for part in parts),
            keys=tuple(pairs.keys[part] for part in parts),
            position={"epoch": epoch, "pair": pair},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pairs:
    """Pairs in an order, with the units of each."""

    texts: NDArray[np.int64]
    image_rows: NDArray[np.int64]
    matched: NDArray[np.bool_]
    keys: NDArray[np.int64]
    units: NDArray[np.int64]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return self.units.cumsum()

    def reach(self, start: int, room: int) -> int:
        """The end of the longest run of pairs from `start` that fits into so many units."""
        before = int(self._ends[start - 1]) if start else 0
        return int(np.searchsorted(self._ends, before + room, side="right"))

    def between(self, start: int, stop: int) -> "_Pairs":
        """The pairs `start:stop`."""
        return _Pairs(
            texts=self.texts[start:stop],
            image_rows=self.image_rows[start:stop],
            matched=self.matched[start:stop],
            keys=self.keys[start:stop],
            units=self.units[start:stop],
        )

    @staticmethod
    def joined(pieces: "list[_Pairs]") -> "_Pairs":
        """The pairs of all pieces, in order."""
        return _Pairs(
            texts=np.concatenate([piece.texts for piece in pieces]),
            image_rows=np.concatenate([piece.image_rows for piece in pieces]),
            matched=np.concatenate([piece.matched for piece in pieces]),
            keys=np.concatenate([piece.keys for piece in pieces]),
            units=np.concatenate([piece.units for piece in pieces]),
        )


def _largest_pair(dataset: Pairs, *, mismatched: bool) -> int:
    """Most units of a pair that may be shown."""
    shown = dataset.region_lengths[dataset.image_rows]
    if mismatched:
        return int(dataset.text_lengths.max() + shown.max())
    return int((dataset.text_lengths + shown).max())


def _divide(units: NDArray[np.int64], parts: int) -> list[NDArray[np.int64]]:
    """Indices of the pairs of each part: the largest pair first, each to the part with the fewest units so far.

    >>> [part.tolist() for part in _divide(np.array([3, 9, 4, 2]), 2)]
    [[1], [0, 2, 3]]
    """
    part_of = np.zeros(len(units), dtype=np.int64)
    if parts > 1:
        loads = [(0, part) for part in range(parts)]
        heapify(loads)
        for pair in np.argsort(-units, kind="stable").tolist():
            load, part = loads[0]
            part_of[pair] = part
            heapreplace(loads, (load + int(units[pair]), part))
    return [np.flatnonzero(part_of == part) for part in range(parts)]
