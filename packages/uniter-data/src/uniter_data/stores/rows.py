"""Reading many stretches of an array's rows at once: through a memory map where its shards allow, else through Zarr."""

import json
import mmap
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.layout import ABSENT, RowLayout
from uniter_data.stores.locations import is_remote, join, read_text
from uniter_data.stores.zarr_source import open_array

__all__ = ["MappedRows", "Rows", "ZarrRows", "open_rows"]

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


def open_rows(location: str, *, check: bool = True) -> Rows:
    """Open one array of a store.

    Args:
        location: path or URL of the array.
        check: look whether all shards that can be mapped are there and whole.

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
    if layout is None or is_remote(location):
        return ZarrRows(location)
    rows = MappedRows(Path(location), layout, rows=metadata["shape"][0])
    if check:
        rows.check_shards()
    return rows


class MappedRows:
    """Rows of a local, uncompressed array, copied straight out of the mapped shards.

    Args:
        folder: of the array.
        layout: of the array.
        rows: of the array.
    """

    def __init__(self, folder: Path, layout: RowLayout, *, rows: int) -> None:
        self.folder = folder
        self.layout = layout
        self.shape = (rows, *layout.row_shape)
        self.dtype = layout.dtype.newbyteorder("=")
        self._open: OrderedDict[int, list[NDArray[Any]]] = OrderedDict()

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """See `Rows.read`."""
        lengths = stops - starts
        ends = lengths.cumsum()
        out = np.empty((int(ends[-1]) if len(ends) else 0, *self.layout.row_shape), dtype=self.dtype)
        chunk_rows, shard_chunks = self.layout.chunk_rows, self.layout.shard_chunks
        order = np.argsort(starts, kind="stable")  # in the order in which the disk holds them
        for row, stop, at in zip(
            starts[order].tolist(), stops[order].tolist(), (ends - lengths)[order].tolist(), strict=True
        ):
            while row < stop:
                chunk, first = divmod(row, chunk_rows)
                shard, number = divmod(chunk, shard_chunks)
                piece = self._shard(shard)[number][first : first + stop - row]
                out[at : at + len(piece)] = piece
                row += len(piece)
                at += len(piece)
        return out

    def map_shard(self, shard: int) -> NDArray[np.uint8]:
        """All bytes of a shard, mapped.

        Raises:
            ValueError: it is missing.
        """
        path = self.folder / self.layout.key(shard)
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)  # an empty file cannot be mapped
                return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"", np.uint8)
        except OSError as error:
            raise ValueError(f"{path} cannot be opened ({error.strerror}): copy or write the store again") from error

    def check_shards(self) -> None:
        """Look at every shard's size, and into its index where the size is not that of a gapless shard.

        Raises:
            ValueError: one is missing or cut short.
        """
        rows, layout = self.shape[0], self.layout
        for shard in range(layout.num_shards(rows)):
            path = self.folder / layout.key(shard)
            if not path.is_file() or path.stat().st_size != layout.shard_size(rows, shard):
                layout.parse_index(self.map_shard(shard), str(path))

    def _shard(self, shard: int) -> list[NDArray[Any]]:
        """Views of the shard's chunks."""
        chunks = self._open.get(shard)
        if chunks is None:
            chunks = self._open[shard] = self._view_chunks(shard)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)
        return chunks

    def _view_chunks(self, shard: int) -> list[NDArray[Any]]:
        layout = self.layout
        raw = self.map_shard(shard)
        index = layout.parse_index(raw, str(self.folder / layout.key(shard)))
        shape = (layout.chunk_rows, *layout.row_shape)
        absent = np.zeros(shape, layout.dtype)
        return [
            absent if offset == ABSENT else np.ndarray(shape, layout.dtype, buffer=raw, offset=offset)
            for offset in index[:, 0].tolist()
        ]


class ZarrRows:
    """Rows of a compressed or remote array, through zarr-python.

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
