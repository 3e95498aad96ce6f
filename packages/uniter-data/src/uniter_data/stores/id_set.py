"""A set of ids that grows into the millions: eight bytes of each are kept instead of the string."""

from collections.abc import Container, Sized

import numpy as np
from numpy.typing import NDArray

__all__ = ["IdSet"]

FRESH = 1 << 17  # ids between two sortings


class IdSet(Container[str], Sized):
    """Which ids have been added. Two ids of one hash would count as one: of 5 million, once in a million sets.

    >>> ids = IdSet()
    >>> ids.add("cat"), "cat" in ids, "dog" in ids, len(ids)
    (None, True, False, 1)
    """

    def __init__(self) -> None:
        self._fresh: set[int] = set()
        self._sorted: NDArray[np.int64] = np.empty(0, np.int64)

    def add(self, identifier: str) -> None:
        """Add an id."""
        if identifier not in self:
            self._fresh.add(hash(identifier))
            if len(self._fresh) >= FRESH:
                fresh = np.fromiter(self._fresh, np.int64, len(self._fresh))
                self._sorted = np.sort(np.concatenate([self._sorted, fresh]))
                self._fresh.clear()

    def __contains__(self, identifier: object) -> bool:
        wanted = hash(identifier)
        if wanted in self._fresh:
            return True
        place = int(self._sorted.searchsorted(wanted))
        return place < len(self._sorted) and int(self._sorted[place]) == wanted

    def __len__(self) -> int:
        return len(self._sorted) + len(self._fresh)
