"""Appending rows to an array's shards, byte for byte as zarr-python would write them, and going on after a stop.

Only whole chunks lie in the shards. The rows of the unfinished one are kept beside them, in `tail`, until it is whole.
"""

from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from uniter_data.stores.compression import HEADER_BYTES
from uniter_data.stores.layout import RowLayout

__all__ = ["ShardWriter", "write_rows"]


class ShardWriter:
    """Appends rows to the shards of one array.

    Args:
        folder: of the array.
        layout: of the array.
        rows: rows that are there already; whatever lies behind them is cut off.

    Raises:
        ValueError: fewer rows are there than said.
    """

    def __init__(self, folder: Path, layout: RowLayout, *, rows: int = 0) -> None:
        self.folder = folder
        self.layout = layout
        self.rows = rows
        self._chunk = np.empty(layout.chunk_shape, layout.dtype)  # the unfinished one
        self._lengths: list[int] = []  # stored bytes of each chunk of the unfinished shard
        self._file: FileIO | None = None
        self._tail = folder / "tail"
        self._new_tail = folder / "tail.partial"
        self._take_up()

    def append(self, block: NDArray[Any]) -> None:
        """Append rows (n, *row_shape). Those of the unfinished chunk are in memory alone until `keep_tail`."""
        data = np.ascontiguousarray(block, dtype=self.layout.dtype)
        if data.shape[1:] != self.layout.row_shape:
            raise ValueError(f"{self.folder}: expected rows of shape {self.layout.row_shape}, got {data.shape[1:]}")
        start = 0
        while start < len(data):
            filled = self.rows % self.layout.chunk_rows
            piece = data[start : start + self.layout.chunk_rows - filled]
            start += len(piece)
            self._fill(filled, piece)

    def keep_tail(self) -> None:
        """Write the rows of the unfinished chunk down; a stop meanwhile leaves those that were written before."""
        filled = self.rows % self.layout.chunk_rows
        if not filled:
            self._tail.unlink(missing_ok=True)
            return
        with _open(self._new_tail, "wb") as file:
            _write_all(file, self._chunk[:filled].reshape(-1).view(np.uint8).data)
        self._new_tail.replace(self._tail)

    def finish(self) -> None:
        """Fill the last chunk up with zeros and close its shard with an index."""
        rows = self.rows
        filled = rows % self.layout.chunk_rows
        if filled:
            self._fill(filled, np.zeros((self.layout.chunk_rows - filled, *self.layout.row_shape), self.layout.dtype))
        if self._lengths:
            self._end_shard()
        self._tail.unlink(missing_ok=True)
        self.rows = rows

    def close(self) -> None:
        """Let go of the open shard, leaving it as it is."""
        if self._file:
            self._file.close()
            self._file = None

    def _fill(self, filled: int, piece: NDArray[Any]) -> None:
        """Put rows behind the `filled` ones of the unfinished chunk, and store it once it is whole."""
        chunk = piece
        if len(piece) < self.layout.chunk_rows:
            self._chunk[filled : filled + len(piece)] = piece
            chunk = self._chunk
        self.rows += len(piece)
        if filled + len(piece) == self.layout.chunk_rows:
            parts = self.layout.encode(chunk)
            for part in parts:
                self._write(part)
            self._lengths.append(sum(map(len, parts)))
            if len(self._lengths) == self.layout.shard_chunks:
                self._end_shard()

    def _end_shard(self) -> None:
        self._write(memoryview(self.layout.index(self._lengths)))
        self._lengths = []
        self.close()

    def _write(self, data: memoryview) -> None:
        if self._file is None:
            self._file = _open(self.folder / self.layout.key((self.rows - 1) // self.layout.shard_rows), "ab")
        _write_all(self._file, data)

    def _take_up(self) -> None:
        """Remove what lies behind the rows that count, and read those of the unfinished chunk."""
        layout = self.layout
        shard, row = divmod(self.rows, layout.shard_rows)
        chunks, filled = divmod(row, layout.chunk_rows)
        last = self.folder / layout.key(shard)
        self._new_tail.unlink(missing_ok=True)
        for path in (self.folder / "c").rglob("*"):
            if path.is_file() and path != last and _number(path, self.folder) > shard:
                path.unlink()
        stored = last.read_bytes() if last.is_file() else b""
        end = 0
        for _ in range(chunks):
            self._lengths.append(layout.stored_bytes(stored[end : end + HEADER_BYTES]))
            end += self._lengths[-1]
        if end > len(stored) or not all(self._lengths) or not self._find_unfinished(filled, memoryview(stored)[end:]):
            raise ValueError(
                f"{last} is shorter than the journal beside it says: remove the partial store and begin anew"
            )
        if filled:
            self.keep_tail()
        if end:
            with last.open("r+b") as file:
                file.truncate(end)
        else:
            last.unlink(missing_ok=True)

    def _find_unfinished(self, filled: int, stored: memoryview) -> bool:
        """Look for the first rows of a chunk that has become whole since they were counted, or else in the tail."""
        if not filled:
            return True
        try:
            length = self.layout.stored_bytes(bytes(stored[:HEADER_BYTES]))
            self._chunk[:] = self.layout.decode(stored[:length], self._chunk)
        except ValueError:
            raw = self._tail.read_bytes() if self._tail.is_file() else b""
            size = filled * self.layout.row_bytes
            if len(raw) < size:
                return False
            self._chunk[:filled] = np.frombuffer(raw[:size], self.layout.dtype).reshape(filled, *self.layout.row_shape)
        return True


def write_rows(group: zarr.Group, folder: Path, name: str, data: NDArray[Any]) -> None:
    """Write a whole array that is in memory."""
    layout = RowLayout.of(data.dtype.name, *data.shape[1:], most=len(data))
    layout.create(group, name, len(data))
    writer = ShardWriter(folder / name, layout)
    try:
        writer.append(data)
        writer.finish()
    finally:
        writer.close()


def _open(path: Path, mode: str) -> FileIO:
    """Unbuffered: nothing is left to be written when a full disk has already been reported."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileIO(path, mode)


def _write_all(file: FileIO, data: memoryview) -> None:
    while data:
        data = data[file.write(data) :]


def _number(path: Path, folder: Path) -> int:
    return int(path.relative_to(folder).parts[1])
