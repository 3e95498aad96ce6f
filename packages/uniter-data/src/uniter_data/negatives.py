"""Groups for ranking: for each text with its image, other images for the text and other texts for the image.

All are of other groups of the data set, each candidate as likely as the others, no candidate twice; which ones is a
pure function of the pair's key, and so of (seed, epoch, index). `mined_negatives` puts hard ones beside them.
"""

# T texts, B pairs, I other images, K other texts, C candidates

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from uniter_core import uniforms
from uniter_data.batches import Pairs
from uniter_data.partners import Partners

__all__ = ["Negatives", "RandomNegatives", "drawn_in_parts", "group_units"]

AT_ONCE = 1 << 22  # candidates in memory while those of every pair are drawn


@dataclass(frozen=True, kw_only=True, eq=False)
class Negatives:
    """What some pairs are compared with.

    Attributes:
        image_rows: (B, I) rows of images that are not the text's.
        texts: (B, K) texts that are not the image's.
    """

    image_rows: NDArray[np.int64]
    texts: NDArray[np.int64]


class RandomNegatives:
    """Draws the negatives of a data set's pairs.

    Args:
        dataset: the pairs.
        images: I, other images for each text.
        texts: K, other texts for each image.
        counted: of the I and of the K, how many `units` counts, the largest; 0 = all.

    Raises:
        ValueError: a number is negative, both are 0, or some pair has fewer images or texts of other groups.
    """

    def __init__(self, dataset: Pairs, *, images: int, texts: int, counted: int = 0) -> None:
        if min(images, texts, counted) < 0 or images + texts == 0:
            raise ValueError(f"images, texts: expected other images or other texts, got {images} and {texts}")
        rows, sizes = Partners.of(dataset.image_rows, dataset.groups), dataset.region_lengths
        order = np.argsort(dataset.groups, kind="stable")
        in_order = dataset.groups[order]
        first = np.searchsorted(in_order, dataset.groups, side="left")
        own = np.searchsorted(in_order, dataset.groups, side="right") - first
        for what, wanted, there in (
            ("images", images, len(rows.rows) - int(rows.own.max())),
            ("texts", texts, len(order) - int(own.max())),
        ):
            if wanted > there:
                raise ValueError(
                    f"{what}: expected at most {there}, as some pair of {dataset.name} has no more of other groups; "
                    f"got {wanted}"
                )
        self._dataset = dataset
        self._images = _Side(candidates=rows.rows, first=rows.first, own=rows.own, count=images, stream="image")
        self._texts = _Side(candidates=order, first=first, own=own, count=texts, stream="text")
        self._counted = counted
        self._shown = sizes[dataset.image_rows]

    def draw(self, indices: NDArray[np.int64], keys: NDArray[np.int64]) -> Negatives:
        """The negatives of some texts (B,) with their images, by the keys (B,) of the pairs."""
        return Negatives(image_rows=self._images.draw(indices, keys), texts=self._texts.draw(indices, keys))

    @property
    def largest(self) -> int:
        """Units that the largest group may have."""
        images, texts = self._counts
        words, regions = self._dataset.text_lengths, self._shown
        units = (1 + images) * words + images * regions.max() + (1 + texts) * regions + texts * words.max()
        return int(units.max())

    @property
    def width(self) -> int:
        """Numbers drawn for each text."""
        return self._images.width + self._texts.width

    def units(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """(T,) words and regions of every pair's group, by the keys (T,) of the pairs."""
        return group_units(self._dataset, drawn_in_parts(self.draw, keys, width=self.width), most=self._counted)

    @property
    def _counts(self) -> tuple[int, int]:
        most = self._counted or max(self._images.count, self._texts.count)
        return min(self._images.count, most), min(self._texts.count, most)


def drawn_in_parts(
    draw: Callable[[NDArray[np.int64], NDArray[np.int64]], Negatives], keys: NDArray[np.int64], *, width: int
) -> Iterator[tuple[NDArray[np.int64], Negatives]]:
    """Some texts after the other, so many that memory stays flat, with their negatives, until all T had theirs.

    Args:
        draw: indices (B,) and keys (B,) → the negatives.
        keys: (T,) of every pair.
        width: numbers in memory for each text.
    """
    step = max(1, AT_ONCE // width)
    for start in range(0, len(keys), step):
        part = np.arange(start, min(start + step, len(keys)))
        yield part, draw(part, keys[part])


def group_units(
    dataset: Pairs, parts: Iterable[tuple[NDArray[np.int64], Negatives]], *, most: int = 0
) -> NDArray[np.int64]:
    """(T,) words and regions of every pair's group.

    Args:
        dataset: the pairs.
        parts: as `drawn_in_parts` gives them.
        most: of a pair's other images and of its other texts, how many are counted, the largest; 0 = all.
    """
    words, regions = dataset.text_lengths, dataset.region_lengths[dataset.image_rows]
    found = words + regions
    for part, drawn in parts:
        images, texts = (min(most or each.shape[1], each.shape[1]) for each in (drawn.image_rows, drawn.texts))
        found[part] += images * words[part] + _largest_sum(dataset.region_lengths[drawn.image_rows], images)
        found[part] += texts * regions[part] + _largest_sum(words[drawn.texts], texts)
    return found


# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """Candidates of one kind.

    Attributes:
        candidates: (C,) sorted by group.
        first: (T,) where each text's own group begins among them.
        own: (T,) how many of them are of that group.
        count: how many others a text gets.
        stream: of the draws.
    """

    candidates: NDArray[np.int64]
    first: NDArray[np.int64]
    own: NDArray[np.int64]
    count: int
    stream: str

    @cached_property
    def prime(self) -> int:
        """Not below the candidates of other groups that a text has."""
        return _prime_from(len(self.candidates) - int(self.own.min()))

    @cached_property
    def width(self) -> int:
        """Numbers drawn for each text, of which at least `count` are below its candidates."""
        return self.count + self.prime - (len(self.candidates) - int(self.own.max()))

    def draw(self, indices: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B, count) distinct candidates of other groups.

        j ↦ (a j + b) mod p with a ≠ 0 meets every number below the prime p once, any two with equal chance; what lies
        beyond the candidates, little of what lies below p, is passed over.
        """
        first, own = self.first[indices, None], self.own[indices, None]
        slope, start = (
            (uniforms(torch.from_numpy(keys), f"negative {self.stream} {what}").numpy() * size).astype(np.int64)
            for what, size in (("slope", self.prime - 1), ("start", self.prime))
        )
        numbers = ((1 + slope)[:, None] * np.arange(self.width) + start[:, None]) % self.prime
        valid = numbers < len(self.candidates) - own
        valid &= valid.cumsum(axis=1) <= self.count
        drawn = numbers[valid].reshape(len(indices), self.count)
        # what lies behind the text's own group moves up over it
        return self.candidates[np.where(drawn < first, drawn, drawn + own)]


def _largest_sum(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(B,) sum of the `count` largest of each row."""
    if not count:
        return np.zeros(len(sizes), dtype=np.int64)
    found: NDArray[np.int64] = np.partition(sizes, -count, axis=1)[:, -count:].sum(axis=1)
    return found


def _prime_from(number: int) -> int:
    """The smallest prime that is not below `number`.

    >>> [_prime_from(number) for number in (0, 2, 8, 12)]
    [2, 2, 11, 13]
    """
    number = max(number, 2)
    while any(number % divisor == 0 for divisor in range(2, int(number**0.5) + 1)):
        number += 1
    return number
