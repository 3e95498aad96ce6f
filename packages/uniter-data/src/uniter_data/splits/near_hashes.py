"""Finding hashes that differ in a few bits among millions, without comparing each with each.

Multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012): cut 64 bits into 4 bands of 16. If two hashes differ in at
most d bits, in some band they differ in at most d // 4. So for each band the hashes are sorted by its value, and only
those are compared whose value is that of the wanted hash with up to d // 4 bits flipped: for d of 4 to 7, 17 values
of 65,536.
"""

# P hashes that are looked for, N hashes among which

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["HashIndex"]

BANDS = 4
BITS = 16  # of a band
LIMIT = 15  # largest distance: up to 3 flipped bits of a band, 697 values
COMPARED = 1 << 21  # pairs at once

Hits = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]


class HashIndex:
    """Hashes, ready to be searched.

    Args:
        hashes: (N,) uint64.
    """

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self._hashes = hashes
        self._bands = []
        for band in range(BANDS):
            values = _band(hashes, band)
            order = np.argsort(values, kind="stable")
            starts = np.searchsorted(values[order], np.arange((1 << BITS) + 1))
            self._bands.append((order, starts))

    def near(self, wanted: NDArray[np.uint64], distance: int) -> Iterator[Hits]:
        """Pairs of hashes that differ in at most `distance` bits; a pair may come several times.

        Args:
            wanted: (P,) uint64.
            distance: from 0 to 15.

        Yields:
            Rows in `wanted`, rows in the index, and the bits that differ, of some pairs at a time.

        Raises:
            ValueError: the distance is out of range.

        >>> index = HashIndex(np.array([0, 7, 1 << 63], np.uint64))
        >>> found = index.near(np.array([1], np.uint64), 2)
        >>> sorted({(row, int(bits)) for _, rows, far in found for row, bits in zip(rows.tolist(), far)})
        [(0, 1), (1, 2), (2, 2)]
        """
        if not 0 <= distance <= LIMIT:
            raise ValueError(f"distance: expected from 0 to {LIMIT} bits, got {distance}")
        for band, (order, starts) in enumerate(self._bands):
            values = _band(wanted, band)
            for flip in _flips(distance // BANDS):
                first, last = starts[values ^ flip], starts[(values ^ flip) + 1]
                yield from self._compare(wanted, order, first, last, distance)

    def _compare(
        self,
        wanted: NDArray[np.uint64],
        order: NDArray[np.int64],
        first: NDArray[np.int64],
        last: NDArray[np.int64],
        distance: int,
    ) -> Iterator[Hits]:
        """Compare each wanted hash with those from `first` to `last` of the order, so many pairs at once as fit."""
        counts = last - first
        ends = np.cumsum(counts)
        start = 0
        while start < len(wanted):
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + COMPARED, side="right")))
            some = counts[start:stop]
            ones = np.repeat(np.arange(start, stop), some)
            within = np.arange(len(ones)) - np.repeat(np.cumsum(some) - some, some)
            others = order[np.repeat(first[start:stop], some) + within]
            bits = np.bitwise_count(wanted[ones] ^ self._hashes[others])
            near = bits <= distance
            if near.any():
                yield ones[near], others[near], bits[near]
            start = stop


def _band(hashes: NDArray[np.uint64], band: int) -> NDArray[np.int64]:
    shifted: NDArray[np.uint64] = (hashes >> np.uint64(BITS * band)) & np.uint64((1 << BITS) - 1)
    return shifted.astype(np.int64)


def _flips(most: int) -> list[int]:
    """All values of a band with at most so many bits set."""
    return [sum(1 << bit for bit in bits) for count in range(most + 1) for bits in combinations(range(BITS), count)]
