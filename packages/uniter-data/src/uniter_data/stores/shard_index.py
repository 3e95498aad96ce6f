"""The shards of a stored array, as a reader finds them: which there are, and where their chunks lie."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.layout import RowLayout
from uniter_data.stores.sources import ByteSource

__all__ = ["ShardIndex"]


class ShardIndex:
    """Finds the chunks of an array; each shard's index is read once, when it is first wanted.

    Args:
        source: the array's files.
        layout: of the array.
        rows: of the array.
    """

    def __init__(self, source: ByteSource, layout: RowLayout, *, rows: int) -> None:
        self.source = source
        self.layout = layout
        self.rows = rows
        self._bounds: dict[int, NDArray[np.int64]] = {}

    @property
    def num_shards(self) -> int:
        """Shards that there must be."""
        return self.layout.num_shards(self.rows)

    def path(self, shard: int) -> str:
        """Of a shard, for messages."""
        return f"{self.source.location}/{self.layout.key(shard)}"

    def size(self, shard: int) -> int:
        """Bytes of a shard.

        Raises:
            ValueError: it is missing or cannot be read.
        """
        try:
            return self.source.size(self.layout.key(shard))
        except OSError as error:
            raise ValueError(f"{self.path(shard)} cannot be opened ({_why(error)}): copy or write it again") from error

    def bounds(self, shard: int) -> NDArray[np.int64]:
        """(shard_chunks, 2) first byte of each of a shard's chunks and the one after its last; -1 where it is absent.

        Raises:
            ValueError: the shard is missing, was cut short, or its index is damaged.
        """
        found = self._bounds.get(shard)
        if found is None:
            size = self.size(shard)
            (raw,) = self.read(shard, [(max(0, size - self.layout.index_bytes), size)])
            found = self._bounds[shard] = self.layout.parse_index(raw, size, self.path(shard))
        return found

    def read(self, shard: int, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Ranges of a shard's bytes, fetched together.

        Raises:
            ValueError: the shard is missing, shorter, or cannot be read.
        """
        try:
            return self.source.read(self.layout.key(shard), ranges)
        except OSError as error:
            raise ValueError(f"{self.path(shard)} cannot be read ({_why(error)}): copy or write it again") from error

    def fetch(self, chunks: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], memoryview | None]]:
        """The stored bytes of chunks of any shards, fetched together.

        Args:
            chunks: (shard, number of the chunk in it), sorted.

        Yields:
            Each of them and its bytes; None where it is absent.

        Raises:
            ValueError: a shard is missing, cut short, or cannot be read.
        """
        ranges = {
            self.layout.key(shard): self.bounds(shard)[[number for _, number in group]].tolist()
            for shard, group in groupby(chunks, key=itemgetter(0))
        }
        wanted = {name: [(start, stop) for start, stop in bounds if start >= 0] for name, bounds in ranges.items()}
        try:
            found = {name: iter(parts) for name, parts in self.source.read_many(wanted).items()}
        except OSError as error:
            raise ValueError(
                f"{self.source.location} cannot be read ({_why(error)}): copy or write it again"
            ) from error
        stored = (next(found[name]) if start >= 0 else None for name, bounds in ranges.items() for start, _ in bounds)
        yield from zip(chunks, stored, strict=True)

    def check(self) -> None:
        """Look at every shard: its size where that tells whether it is whole, else its index.

        Raises:
            ValueError: one is missing, cut short, or its index is damaged.
        """
        for shard in range(self.num_shards):
            if self.layout.compressed or self.size(shard) != self.layout.shard_size(self.rows, shard):
                self.bounds(shard)


def _why(error: OSError) -> str:
    return error.strerror or str(error)
