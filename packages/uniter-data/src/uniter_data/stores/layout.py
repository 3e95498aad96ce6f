"""How a sharded Zarr v3 array lies in its files: chunks of whole rows one after another, an index at each shard's end.

A shard holds `shard_chunks` chunks of `chunk_rows` whole rows each, in order from byte 0, each followed by the CRC-32C
of its bytes; then the index (offset and length of every chunk as little-endian uint64, 2^64 - 1 twice where a chunk
lies beyond the array's end) and the CRC-32C of the index. Any Zarr library reads such a file; one whose chunks are not
compressed can be mapped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec

from uniter_data.stores import compression

__all__ = ["CHECKSUM_BYTES", "RowLayout", "is_sealed"]

CHECKSUM_BYTES = 4
CHUNK_BYTES = 1 << 18  # what a remote reader fetches for one image: small; a whole number of pages
# Of a compressed chunk: about an image. Of 2048 float16 features, 64 rows take 3 % fewer bytes, but an image, which has
# 10 to 100 rows and begins anywhere, then costs a sixth more; 32 rows take 3 % more bytes, and an image costs 5 % less.
COMPRESSED_ROWS = 48
COMPRESSED_ELEMENTS = COMPRESSED_ROWS << 11
SHARD_CHUNKS = 512  # 128 MiB a shard: one object in a bucket, one map of the 65,530 a Linux process may hold
_ABSENT = np.iinfo(np.uint64).max  # marks, in the index, a chunk that is not stored: it is all zeros
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_CHECKSUM = {"name": "crc32c"}


@dataclass(frozen=True, kw_only=True)
class RowLayout:
    """The layout of one array of rows.

    Attributes:
        dtype: of the elements, little-endian.
        row_shape: shape of one row; () for a flat array.
        chunk_rows: rows of a chunk.
        shard_chunks: chunks of a shard.
        checksum: whether a CRC-32C follows each chunk.
        compressed: whether each chunk is a Blosc frame, which a checksum always follows.
    """

    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    chunk_rows: int
    shard_chunks: int = SHARD_CHUNKS
    checksum: bool = True
    compressed: bool = False

    @classmethod
    def of(cls, dtype: str, *row_shape: int, compressed: bool = False, most: int | None = None) -> "RowLayout":
        """The layout in which this library writes.

        Args:
            dtype: of the elements.
            row_shape: of a row.
            compressed: whether to compress the chunks.
            most: rows that a chunk needs at most; spares a small array the padding of its chunk.

        >>> RowLayout.of("float16", 2048).chunk_rows
        64
        """
        width = math.prod(row_shape)
        fitting = CHUNK_BYTES // (np.dtype(dtype).itemsize * width)
        if compressed:
            fitting = min(COMPRESSED_ROWS, COMPRESSED_ELEMENTS // width)
        if most is not None:
            fitting = min(fitting, most)
        return cls(
            dtype=np.dtype(dtype).newbyteorder("<"),
            row_shape=row_shape,
            chunk_rows=max(1, fitting),
            compressed=compressed,
        )

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> "RowLayout | None":
        """The layout that an array's zarr.json describes; None where it is one of another kind."""
        try:
            shape, shard = metadata["shape"], metadata["chunk_grid"]["configuration"]["chunk_shape"]
            (codec,) = metadata["codecs"]
            inner = codec["configuration"]["chunk_shape"]
            to_bytes, *codecs = [_plain(c) for c in codec["configuration"]["codecs"]]
            compressed = [c["name"] for c in codecs] == ["blosc", "crc32c"]
            known = (
                codec["name"] == "sharding_indexed"
                and codec["configuration"].get("index_location", "end") == "end"
                and [_plain(c) for c in codec["configuration"]["index_codecs"]] == [_BYTES, _CHECKSUM]
                and to_bytes in (_BYTES, {"name": "bytes"})
                and (compressed or codecs in ([], [_CHECKSUM]))
                and inner[1:] == shard[1:] == shape[1:]
                and metadata["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
                and not metadata["fill_value"]
            )
            dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        except (KeyError, TypeError, ValueError):
            return None
        if not known:
            return None
        return cls(
            dtype=dtype,
            row_shape=tuple(shape[1:]),
            chunk_rows=inner[0],
            shard_chunks=shard[0] // inner[0],
            checksum=bool(codecs),
            compressed=compressed,
        )

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * math.prod(self.row_shape)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of a chunk's rows."""
        return (self.chunk_rows, *self.row_shape)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a stored chunk that is not compressed, its checksum included."""
        return self.chunk_rows * self.row_bytes + CHECKSUM_BYTES * self.checksum

    @property
    def shard_rows(self) -> int:
        """Rows of a shard."""
        return self.chunk_rows * self.shard_chunks

    @property
    def index_bytes(self) -> int:
        """Bytes of a shard's index, its checksum included."""
        return 16 * self.shard_chunks + CHECKSUM_BYTES

    def num_shards(self, rows: int) -> int:
        """Shards of an array of so many rows."""
        return -(-rows // self.shard_rows)

    def num_chunks(self, rows: int, shard: int) -> int:
        """Chunks of a shard of an array of so many rows."""
        return -(-min(self.shard_rows, rows - shard * self.shard_rows) // self.chunk_rows)

    def shard_size(self, rows: int, shard: int) -> int:
        """Bytes of a shard of an array of so many rows, not compressed and written without gaps."""
        return self.num_chunks(rows, shard) * self.chunk_bytes + self.index_bytes

    def key(self, shard: int) -> str:
        """A shard's path below its array.

        >>> RowLayout.of("float16", 256).key(3)
        'c/3/0'
        """
        return "/".join(["c", str(shard), *("0" for _ in self.row_shape)])

    def index(self, lengths: Sequence[int]) -> bytes:
        """The index of a shard whose first chunks are stored one after another, in so many bytes each."""
        entries = np.full((self.shard_chunks, 2), _ABSENT, dtype="<u8")
        entries[: len(lengths), 0] = np.cumsum(lengths) - lengths
        entries[: len(lengths), 1] = lengths
        return _sealed(entries.tobytes())

    def parse_index(self, raw: memoryview, size: int, path: str) -> NDArray[np.int64]:
        """Where a shard's chunks lie.

        Args:
            raw: the last `index_bytes` of the shard.
            size: bytes of the shard.
            path: of the shard, for messages.

        Returns:
            (shard_chunks, 2) first byte of each chunk and the one after its last; -1 twice where it is absent.

        Raises:
            ValueError: the file was cut short or its index damaged.
        """
        if len(raw) == self.index_bytes and is_sealed(raw):
            entries = np.frombuffer(raw[:-CHECKSUM_BYTES], "<u8").reshape(-1, 2)
            present = entries[:, 0] != _ABSENT
            offsets, lengths = entries[present].T
            fitting = lengths > CHECKSUM_BYTES if self.compressed else lengths == self.chunk_bytes
            end = np.uint64(size - self.index_bytes)
            if fitting.all() and (lengths <= end).all() and (offsets <= end - lengths).all():
                bounds = np.full(entries.shape, -1, dtype=np.int64)
                bounds[present, 0], bounds[present, 1] = offsets, offsets + lengths
                return bounds
        raise ValueError(f"{path} is cut short or its index is damaged ({size} bytes): copy or write it again")

    def encode(self, rows: NDArray[Any]) -> list[memoryview]:
        """The bytes to store for a chunk (chunk_rows, *row_shape), C-contiguous: in parts, so that none is copied."""
        data = rows.reshape(-1).view(np.uint8).data
        if self.compressed:
            data = memoryview(compression.compress(rows))
        return [data, memoryview(_checksum(data))] if self.checksum else [data]

    def stored_bytes(self, start: bytes) -> int:
        """How many bytes a stored chunk has that starts so; 0 where that cannot be told."""
        if not self.compressed:
            return self.chunk_bytes
        frame = compression.frame_bytes(np.frombuffer(start, np.uint8))
        return frame + CHECKSUM_BYTES if frame else 0

    def check(self, stored: memoryview) -> None:
        """Compare a stored chunk with its checksum.

        Raises:
            ValueError: they differ.
        """
        if not self.compressed and len(stored) != self.chunk_bytes:
            raise ValueError(f"it has {len(stored)} bytes, expected {self.chunk_bytes}")
        if self.checksum and not is_sealed(stored):
            raise ValueError("its bytes differ from their checksum")

    def decode(self, stored: memoryview, space: NDArray[Any]) -> NDArray[Any]:
        """The rows (chunk_rows, *row_shape) of a stored chunk, after `check`.

        Args:
            stored: its bytes.
            space: array of that shape, to decompress into; rows that are not compressed are a view of the bytes.

        Raises:
            ValueError: the bytes are not those that were written.
        """
        self.check(stored)
        payload = np.frombuffer(stored, np.uint8)[: -CHECKSUM_BYTES if self.checksum else None]
        if not self.compressed:
            return np.ndarray(self.chunk_shape, self.dtype, buffer=payload)
        compression.decompress(payload, space)
        return space

    def create(self, group: zarr.Group, name: str, rows: int) -> None:
        """Write the metadata of an array of so many rows, its shards written or to be written."""
        compressors = [Crc32cCodec()] if self.checksum else []
        if self.compressed:
            compressors.insert(0, compression.codec(self.dtype.itemsize, self.chunk_rows * self.row_bytes))
        group.create_array(
            name,
            shape=(rows, *self.row_shape),
            chunks=self.chunk_shape,
            shards=(self.shard_rows, *self.row_shape),
            dtype=self.dtype,
            compressors=compressors or None,
            filters=None,
            fill_value=0,
        )


def is_sealed(raw: memoryview) -> bool:
    """Whether bytes end with the CRC-32C of those before them."""
    return _checksum(raw[:-CHECKSUM_BYTES]) == raw[-CHECKSUM_BYTES:]


def _checksum(data: memoryview) -> bytes:
    return int(google_crc32c.value(np.frombuffer(data, np.uint8))).to_bytes(CHECKSUM_BYTES, "little")


def _sealed(raw: bytes) -> bytes:
    return raw + _checksum(memoryview(raw))


def _plain(codec: dict[str, Any]) -> dict[str, Any]:
    """A codec's description without the empty configuration that some writers add."""
    return {key: value for key, value in codec.items() if key != "configuration" or value}
