"""Reading many stretches of an array's rows at once: copied from mapped shards, or decoded chunk by chunk."""

import json
from collections import OrderedDict, defaultdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.layout import RowLayout
from uniter_data.stores.locations import is_remote, join, read_text
from uniter_data.stores.shard_index import ShardIndex
from uniter_data.stores.sources import open_source
from uniter_data.stores.zarr_source import open_array

__all__ = ["ChunkedRows", "MappedRows", "Rows", "ZarrRows", "open_rows"]

OPEN_SHARDS = 256  # each map holds a file descriptor, of which a process usually has 1,024


class Rows(Protocol):
    """An array whose first axis is read in stretches."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements."""

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """Rows `starts[i]:stops[i]` for all i, one stretch after another, in an array of their own."""


def open_rows(location: str, *, check: bool = True) -> "MappedRows | ChunkedRows | ZarrRows":
    """Open one array of a store.

    Args:
        location: path or URL of the array.
        check: look whether all shards of a local array are there and whole.

    Raises:
        ValueError: it is missing, or a shard of it is missing or cut short.
    """
    try:
        metadata = json.loads(read_text(join(location, "zarr.json")))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{location} is not a readable Zarr v3 array ({error}): copy or write the store again"
        ) from error
    layout = RowLayout.from_metadata(metadata)
    if layout is None:
        return ZarrRows(location)
    index = ShardIndex(open_source(location), layout, rows=metadata["shape"][0])
    if check and not is_remote(location):
        index.check()
    return ChunkedRows(index) if layout.compressed or is_remote(location) else MappedRows(index)


class MappedRows:
    """Rows of a local, uncompressed array, copied straight out of the mapped shards; their checksums are not compared.

    Args:
        index: of the array, its source local.
    """

    def __init__(self, index: ShardIndex) -> None:
        self.index = index
        self.shape = (index.rows, *index.layout.row_shape)
        self.dtype = index.layout.dtype.newbyteorder("=")
        self._open: OrderedDict[int, list[NDArray[Any]] | NDArray[Any]] = OrderedDict()

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """See `Rows.read`."""
        ends = np.cumsum(stops - starts).tolist()
        out = np.empty((ends[-1] if ends else 0, *self.shape[1:]), dtype=self.dtype)
        chunk_rows, shard_chunks = self.index.layout.chunk_rows, self.index.layout.shard_chunks
        # in the order in which the disk holds them
        for row, stop, end in sorted(zip(starts.tolist(), stops.tolist(), ends, strict=True)):
            at = end - (stop - row)
            while row < stop:
                chunk, first = divmod(row, chunk_rows)
                shard, number = divmod(chunk, shard_chunks)
                size = min(stop - row, chunk_rows - first)
                out[at : at + size] = self._shard(shard)[number][first : first + size]
                row += size
                at += size
        return out

    def _shard(self, shard: int) -> list[NDArray[Any]] | NDArray[Any]:
        """Views of the shard's chunks."""
        chunks = self._open.get(shard)
        if chunks is None:
            chunks = self._open[shard] = self._view_chunks(shard)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)
        return chunks

    def _view_chunks(self, shard: int) -> list[NDArray[Any]] | NDArray[Any]:
        layout = self.index.layout
        starts = self.index.bounds(shard)[:, 0]
        (raw,) = self.index.read(shard, [(0, self.index.size(shard))])
        present = int((starts >= 0).sum())
        if (starts[:present] == np.arange(present) * layout.chunk_bytes).all():  # without gaps, as this library writes
            chunks = np.frombuffer(raw, np.uint8, present * layout.chunk_bytes).reshape(present, layout.chunk_bytes)
            rows = chunks[:, : layout.chunk_rows * layout.row_bytes].view(layout.dtype)
            return rows.reshape(present, *layout.chunk_shape)
        absent = np.zeros(layout.chunk_shape, layout.dtype)
        return [
            absent if start < 0 else np.ndarray(layout.chunk_shape, layout.dtype, raw, offset=start)
            for start in starts.tolist()
        ]


class ChunkedRows:
    """Rows of a compressed or a remote array: the chunks they lie in are fetched together, compared with their
    checksums, and decoded, each once a call.

    Args:
        index: of the array.
    """

    def __init__(self, index: ShardIndex) -> None:
        self.index = index
        self.shape = (index.rows, *index.layout.row_shape)
        self.dtype = index.layout.dtype.newbyteorder("=")

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """See `Rows.read`.

        Raises:
            ValueError: a shard is missing or cut short, or a chunk damaged; the message names it.
        """
        ends = np.cumsum(stops - starts).tolist()
        out = np.empty((ends[-1] if ends else 0, *self.shape[1:]), dtype=self.dtype)
        chunk_rows, shard_chunks = self.index.layout.chunk_rows, self.index.layout.shard_chunks
        wanted: defaultdict[int, defaultdict[int, list[tuple[int, int, int]]]] = defaultdict(lambda: defaultdict(list))
        for row, stop, end in zip(starts.tolist(), stops.tolist(), ends, strict=True):
            at = end - (stop - row)
            while row < stop:
                chunk, first = divmod(row, chunk_rows)
                shard, number = divmod(chunk, shard_chunks)
                size = min(stop - row, chunk_rows - first)
                wanted[shard][number].append((first, size, at))
                row += size
                at += size
        space = np.empty(self.index.layout.chunk_shape, self.index.layout.dtype)
        for shard in sorted(wanted):
            self._copy(shard, wanted[shard], space, out)
        return out

    def _copy(
        self, shard: int, wanted: dict[int, list[tuple[int, int, int]]], space: NDArray[Any], out: NDArray[Any]
    ) -> None:
        """Fill `out` with pieces (first row, number of rows, place in `out`) of a shard's chunks."""
        numbers = sorted(wanted)
        bounds = self.index.bounds(shard)[numbers]
        present = [number for number, (start, _) in zip(numbers, bounds.tolist(), strict=True) if start >= 0]
        ranges = [(start, stop) for start, stop in bounds.tolist() if start >= 0]
        for number in set(numbers).difference(present):
            for _, size, at in wanted[number]:
                out[at : at + size] = 0
        for number, raw in zip(present, self.index.read(shard, ranges), strict=True):
            try:
                rows = self.index.layout.decode(raw, space)
            except ValueError as error:
                chunk = shard * self.index.layout.shard_chunks + number
                raise ValueError(
                    f"{self.index.path(shard)}, chunk {chunk} is damaged: {error}; copy or write the store again"
                ) from error
            for first, size, at in wanted[number]:
                out[at : at + size] = rows[first : first + size]


class ZarrRows:
    """Rows of an array laid out in another way, through zarr-python.

    Args:
        location: path or URL of the array.
    """

    def __init__(self, location: str) -> None:
        self._array = open_array(location)
        self.shape: tuple[int, ...] = self._array.shape
        self.dtype: np.dtype[Any] = self._array.dtype

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """See `Rows.read`."""
        stretches = [self._array[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
        return np.concatenate([np.empty((0, *self.shape[1:]), self.dtype), *stretches])
