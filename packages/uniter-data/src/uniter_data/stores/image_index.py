"""Finding images by name among millions: the sorted hashes of their ids, and which row each belongs to."""

# I images

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ImageIndex", "hash_ids"]

BLOCK = 1 << 16  # ids hashed at once


class ImageIndex:
    """The rows of image ids.

    Args:
        hashes: (I,) uint64, sorted.
        order: (I,) the row of each.
    """

    def __init__(self, hashes: NDArray[np.uint64], order: NDArray[np.int64]) -> None:
        self.hashes = hashes
        self.order = order

    @classmethod
    def build(cls, image_ids: Sequence[str]) -> "ImageIndex":
        """The index of the images of these ids.

        Raises:
            ValueError: two ids have one hash. Of 3 million that happens once in four million stores.
        """
        hashes = hash_ids(image_ids)
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        same = np.flatnonzero(hashes[1:] == hashes[:-1])
        if len(same):
            one, other = (image_ids[int(row)] for row in order[same[0] : same[0] + 2])
            raise ValueError(f"images {one!r} and {other!r} have the same hash: rename one")
        return cls(hashes, order)

    def find(self, image_ids: ArrayLike) -> NDArray[np.int64]:
        """The row of each image id, -1 where there is none.

        >>> ImageIndex.build(["cat", "dog"]).find(["dog", "cow"]).tolist()
        [1, -1]
        """
        wanted = hash_ids(np.asarray(image_ids).tolist())
        if not len(self.hashes):
            return np.full(len(wanted), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        return np.where(self.hashes[places] == wanted, self.order[places], -1)


def hash_ids(image_ids: Sequence[str]) -> NDArray[np.uint64]:
    """64 bits of each id, the same for ever: its UTF-8 bytes, eight at a time, stirred into their number.

    h = splitmix64(number of bytes); then, for each 8 bytes as a little-endian word, the last filled up with zeros,
    h = splitmix64(h xor word). Splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).

    >>> hex(hash_ids(["cat"])[0])
    '0x94e5daa6cc184b85'
    """
    found = np.empty(len(image_ids), dtype=np.uint64)
    left = iter(image_ids)
    for start in range(0, len(image_ids), BLOCK):
        found[start : start + BLOCK] = _hash([image_id.encode() for image_id in islice(left, BLOCK)])
    return found


def _hash(ids: list[bytes]) -> NDArray[np.uint64]:
    lengths = np.fromiter(map(len, ids), np.uint64, len(ids))
    columns = -(-int(lengths.max()) // 8)
    words = np.array(ids, dtype=f"S{max(1, columns) * 8}").view("<u8").reshape(len(ids), -1)
    hashes = _splitmix(lengths)
    for column in range(columns):
        hashes = np.where(lengths > 8 * column, _splitmix(hashes ^ words[:, column]), hashes)
    return hashes


def _splitmix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
