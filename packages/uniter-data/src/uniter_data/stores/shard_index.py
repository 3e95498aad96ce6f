"""The shards of a stored array, as a reader finds them: which there are, and where their chunks lie."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.layout import RowLayout
from uniter_data.stores.sources import ByteSource, LocalSource

__all__ = ["ShardIndex"]

MAPPED_BYTES = 1 << 31  # of an array that are mapped before they are let go of: else a worker seems to grow for ever
AROUND = 1 << 16  # bytes that the system maps around each page that is wanted


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
        self._mapped = 0

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
        return self._sizes([self.layout.key(shard)])[0]

    def bounds(self, shard: int) -> NDArray[np.int64]:
        """(shard_chunks, 2) first byte of each of a shard's chunks and the one after its last; -1 where it is absent.

        Raises:
            ValueError: the shard is missing, was cut short, or its index is damaged.
        """
        if shard not in self._bounds:
            self._find([shard])
        return self._bounds[shard]

    def read(self, shard: int, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Ranges of a shard's bytes, fetched together.

        Raises:
            ValueError: the shard is missing, shorter, or cannot be read.
        """
        name = self.layout.key(shard)
        return self._read_many({name: ranges})[name]

    def fetch(self, chunks: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], memoryview | None]]:
        """The stored bytes of chunks of any shards, fetched together.

        Args:
            chunks: (shard, number of the chunk in it), sorted.

        Yields:
            Each of them and its bytes; None where it is absent.

        Raises:
            ValueError: a shard is missing, cut short, or cannot be read.
        """
        self._find(sorted({shard for shard, _ in chunks if shard not in self._bounds}))
        ranges = {
            self.layout.key(shard): self.bounds(shard)[[number for _, number in group]].tolist()
            for shard, group in groupby(chunks, key=itemgetter(0))
        }
        wanted = {name: [(start, stop) for start, stop in bounds if start >= 0] for name, bounds in ranges.items()}
        found = {name: iter(parts) for name, parts in self._read_many(wanted).items()}
        stored = (next(found[name]) if start >= 0 else None for name, bounds in ranges.items() for start, _ in bounds)
        yield from zip(chunks, stored, strict=True)

    def count(self, size: int, stretches: int) -> bool:
        """Note that so many bytes were read, in so many stretches; now and then let go of what is mapped and say so."""
        self._mapped += size + stretches * AROUND
        if self._mapped <= MAPPED_BYTES or not isinstance(self.source, LocalSource):
            return False
        self.source.release()
        self._mapped = 0
        return True

    def check(self) -> None:
        """Look at every shard: its size where that tells whether it is whole, else its index.

        Raises:
            ValueError: one is missing, cut short, or its index is damaged.
        """
        for shard in range(self.num_shards):
            if self.layout.compressed or self.size(shard) != self.layout.shard_size(self.rows, shard):
                self.bounds(shard)

    def forget(self, shard: int) -> None:
        """Have a shard's bytes fetched anew, as they turned out wrong."""
        self._bounds.pop(shard, None)
        self.source.forget(self.layout.key(shard))

    def _find(self, shards: Sequence[int]) -> None:
        """Read the indices of some shards together."""
        names = [self.layout.key(shard) for shard in shards]
        sizes = self._sizes(names)
        ranges = [[(max(0, size - self.layout.index_bytes), size)] for size in sizes]
        found = self._read_many(dict(zip(names, ranges, strict=True)))
        for shard, name, size in zip(shards, names, sizes, strict=True):
            try:
                self._bounds[shard] = self.layout.parse_index(found[name][0], size, self.path(shard))
            except ValueError:
                self.forget(shard)
                raise

    def _sizes(self, names: Sequence[str]) -> list[int]:
        try:
            return self.source.sizes(names)
        except OSError as error:
            raise self._failure(error) from error

    def _read_many(self, wanted: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, list[memoryview]]:
        try:
            return self.source.read_many(wanted)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> ValueError:
        where = error.filename or self.source.location
        return ValueError(f"{where} cannot be opened ({error.strerror or error}): copy or write it again")
