"""Appending rows to an array's shards, byte for byte as zarr-python would write them, and going on after a stop."""

from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from uniter_data.stores.layout import CHECKSUM_BYTES, RowLayout, crc32c

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
        self._checksum = 0  # of the rows of the unfinished chunk
        self._file: FileIO | None = None
        self._cut()

    def append(self, block: NDArray[Any]) -> None:
        """Append rows (n, *row_shape)."""
        data = np.ascontiguousarray(block, dtype=self.layout.dtype)
        if data.shape[1:] != self.layout.row_shape:
            raise ValueError(f"{self.folder}: expected rows of shape {self.layout.row_shape}, got {data.shape[1:]}")
        start = 0
        while start < len(data):
            room = self.layout.chunk_rows - self.rows % self.layout.chunk_rows
            self._append_to_chunk(data[start : start + room])
            start += room

    def finish(self) -> None:
        """Fill the last chunk up with zeros and close its shard with an index."""
        missing = -self.rows % self.layout.chunk_rows
        rows = self.rows
        if missing:
            self._append_to_chunk(np.zeros((missing, *self.layout.row_shape), dtype=self.layout.dtype))
        if self.rows % self.layout.shard_rows:
            self._end_shard()
        self.rows = rows

    def close(self) -> None:
        """Let go of the open shard, leaving it as it is."""
        if self._file:
            self._file.close()
            self._file = None

    def _append_to_chunk(self, piece: NDArray[Any]) -> None:
        raw = piece.reshape(-1).view(np.uint8)
        self._write(raw)
        self.rows += len(piece)
        if self.layout.checksum:
            self._checksum = crc32c(raw, self._checksum)
        if self.rows % self.layout.chunk_rows == 0:
            if self.layout.checksum:
                self._write(self._checksum.to_bytes(CHECKSUM_BYTES, "little"))
            self._checksum = 0
        if self.rows % self.layout.shard_rows == 0:
            self._end_shard()

    def _end_shard(self) -> None:
        chunks = (self.rows // self.layout.chunk_rows - 1) % self.layout.shard_chunks + 1
        self._write(self.layout.index(chunks))
        self.close()

    def _write(self, data: "NDArray[np.uint8] | bytes") -> None:
        if self._file is None:
            path = self.folder / self.layout.key(self.rows // self.layout.shard_rows)
            path.parent.mkdir(parents=True, exist_ok=True)
            # unbuffered: nothing is left to be written when a full disk has already been reported
            self._file = FileIO(path, "ab")
        left = data.data if isinstance(data, np.ndarray) else memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _cut(self) -> None:
        """Remove what lies behind the rows that count, and take up the checksum of the unfinished chunk."""
        layout = self.layout
        shard, row = divmod(self.rows, layout.shard_rows)
        chunk, row_of_chunk = divmod(row, layout.chunk_rows)
        last = self.folder / layout.key(shard)
        for path in (self.folder / "c").rglob("*"):
            if path.is_file() and path != last and _number(path, self.folder) > shard:
                path.unlink()
        if row == 0:
            last.unlink(missing_ok=True)
            return
        start = chunk * layout.chunk_bytes
        stop = start + row_of_chunk * layout.row_bytes
        if not last.is_file() or last.stat().st_size < stop:
            raise ValueError(
                f"{last} is shorter than the journal beside it says: remove the partial store and begin anew"
            )
        with last.open("r+b") as file:
            file.truncate(stop)
            file.seek(start)
            self._checksum = crc32c(np.frombuffer(file.read(), np.uint8)) if layout.checksum else 0


def write_rows(group: zarr.Group, folder: Path, name: str, data: NDArray[Any]) -> None:
    """Write a whole array that is in memory."""
    layout = RowLayout.of(data.dtype.name, *data.shape[1:], rows=len(data))
    layout.create(group, name, len(data))
    writer = ShardWriter(folder / name, layout)
    try:
        writer.append(data)
        writer.finish()
    finally:
        writer.close()


def _number(path: Path, folder: Path) -> int:
    return int(path.relative_to(folder).parts[1])
