"""One reading of ranges of a remote object: what the cache has of it, what has to be fetched, and cutting it out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uniter_data.stores.cache import BlockCache

__all__ = ["BlockReading", "RangeReading", "Version"]

SPAN_BYTES = 2 << 20  # of neighbouring blocks that one request fetches: 32 requests are done in time at 10 Mbit/s


@dataclass(frozen=True, kw_only=True)
class Version:
    """An object as it was found.

    Attributes:
        url: of the object.
        size: in bytes.
        stamp: what tells this content from another; empty where the server says nothing that could.
    """

    url: str
    size: int
    stamp: str

    @property
    def key(self) -> str:
        """The name of this content in the cache."""
        return f"{self.url}\n{self.size}\n{self.stamp}"


class RangeReading:
    """Fetches just the ranges.

    Args:
        ranges: first byte, and the one after the last, of each.

    Attributes:
        lacking: ranges that have to be fetched.
    """

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        self.lacking = list(ranges)
        self._fetched: dict[tuple[int, int], memoryview] = {}

    def add(self, span: tuple[int, int], raw: bytes) -> None:
        """Take what was fetched of a range that lacked."""
        self._fetched[span] = memoryview(raw)

    def cut(self) -> list[memoryview]:
        """The bytes of each range."""
        return [self._fetched[span] for span in self.lacking]


class BlockReading:
    """Fetches, of the whole blocks that the ranges touch, those that the cache lacks, and leaves them there.

    Args:
        version: of the object.
        ranges: first byte, and the one after the last, of each.
        cache: of blocks.

    Attributes:
        lacking: runs of neighbouring blocks that have to be fetched, as ranges.
    """

    def __init__(self, version: Version, ranges: Sequence[tuple[int, int]], cache: BlockCache) -> None:
        self._key = version.key
        self._ranges = ranges
        self._cache = cache
        self._size = size = cache.block_bytes
        self._blocks: dict[int, memoryview] = {}
        missing = []
        for block in sorted({block for span in ranges for block in self._touched(*span)}):
            found = cache.get(self._key, block, min(size, version.size - block * size))
            if found is None:
                missing.append(block)
            else:
                self._blocks[block] = found
        self.lacking = [
            (first * size, min(stop * size, version.size)) for first, stop in _runs(missing, SPAN_BYTES // size)
        ]

    def add(self, span: tuple[int, int], raw: bytes) -> None:
        """Take what was fetched of a run that lacked."""
        for start in range(0, len(raw), self._size):
            block, piece = (span[0] + start) // self._size, raw[start : start + self._size]
            self._cache.put(self._key, block, piece)
            self._blocks[block] = memoryview(piece)

    def cut(self) -> list[memoryview]:
        """The bytes of each range; copied only where they lie in several blocks."""
        return [self._cut(start, stop) for start, stop in self._ranges]

    def _cut(self, start: int, stop: int) -> memoryview:
        touched = self._touched(start, stop)
        if len(touched) == 1:
            joined = self._blocks[touched[0]]
        else:
            joined = memoryview(b"".join(self._blocks[block] for block in touched))
        return joined[start - touched.start * self._size : stop - touched.start * self._size]

    def _touched(self, start: int, stop: int) -> range:
        """Numbers of the blocks that a range touches."""
        first = start // self._size
        return range(first, -(-stop // self._size) if start < stop else first)


def _runs(numbers: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Runs of neighbours among sorted numbers, none of more than `most`.

    >>> list(_runs([3, 4, 5, 6, 9], 3))
    [(3, 6), (6, 7), (9, 10)]
    """
    first = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1 or at - first == most:
            yield numbers[first], numbers[at - 1] + 1
            first = at
