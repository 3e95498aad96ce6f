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
        stretches, total = _places(starts, stops)
        out = np.empty((total, *self.shape[1:]), dtype=self.dtype)
        chunk_rows, shard_chunks = self.index.layout.chunk_rows, self.index.layout.shard_chunks
        for row, stop, at in sorted(stretches):  # in the order in which the disk holds them
            while row < stop:
                chunk, first = divmod(row, chunk_rows)
                shard, number = divmod(chunk, shard_chunks)
                size = min(stop - row, chunk_rows - first)
                chunks = self._open.get(shard)
                if chunks is None:
                    chunks = self._map(shard)
                out[at : at + size] = chunks[number][first : first + size]
                row += size
                at += size
        if self.index.count(out.nbytes, len(stretches)):
            self._open.clear()
        return out

    def _map(self, shard: int) -> list[NDArray[Any]] | NDArray[Any]:
        """Views of the shard's chunks, kept open."""
        chunks = self._open[shard] = self._view_chunks(shard)
        if len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return chunks

    def _view_chunks(self, shard: int) -> list[NDArray[Any]] | NDArray[Any]:
        layout = self.index.layout
        starts = self.index.bounds(shard)[:, 0]
        (raw,) = self.index.read(shard, [(0, self.index.size(shard))])
        count = layout.num_chunks(self.index.rows, shard)
        if (starts[:count] == np.arange(count) * layout.chunk_bytes).all():  # without gaps, as this library writes
            chunks = np.frombuffer(raw, np.uint8, count * layout.chunk_bytes).reshape(count, layout.chunk_bytes)
            rows = chunks[:, : layout.chunk_rows * layout.row_bytes].view(layout.dtype)
            return rows.reshape(count, *layout.chunk_shape)
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
        stretches, total = _places(starts, stops)
        out = np.empty((total, *self.shape[1:]), dtype=self.dtype)
        chunk_rows, shard_chunks = self.index.layout.chunk_rows, self.index.layout.shard_chunks
        pieces: defaultdict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
        for row, stop, at in stretches:
            while row < stop:
                chunk, first = divmod(row, chunk_rows)
                size = min(stop - row, chunk_rows - first)
                pieces[divmod(chunk, shard_chunks)].append((first, size, at))
                row += size
                at += size
        space = np.empty(self.index.layout.chunk_shape, self.index.layout.dtype)
        for chunk_of_shard, raw in self.index.fetch(sorted(pieces)):
            rows = self._decode(*chunk_of_shard, raw, space)
            for first, size, at in pieces[chunk_of_shard]:
                out[at : at + size] = rows[first : first + size]
        self.index.count(out.nbytes, len(pieces))
        return out

    def _decode(self, shard: int, number: int, raw: memoryview | None, space: NDArray[Any]) -> NDArray[Any]:
        layout = self.index.layout
        if raw is None:
            space[:] = 0
            return space
        try:
            return layout.decode(raw, space)
        except ValueError as error:
            self.index.forget(shard)
            raise ValueError(
                f"{self.index.path(shard)}, chunk {shard * layout.shard_chunks + number} is damaged: {error}; "
                "copy or write the store again"
            ) from error


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


def _places(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> tuple[list[tuple[int, int, int]], int]:
    """Each stretch's first row, the one after its last, and its place in the result; and how many rows that has."""
    # plain numbers: numpy takes longer to begin than this takes for a batch
    stretches, at = [], 0
    for row, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        stretches.append((row, stop, at))
        at += stop - row
    return stretches, at
