"""How an uncompressed, sharded Zarr v3 array lies in its files: rows one after another, an index at each shard's end.

A shard holds `shard_chunks` chunks of `chunk_rows` whole rows each, in order from byte 0, each followed by the CRC-32C
of its bytes; then the index (offset and length of every chunk as little-endian uint64, 2^64 - 1 twice where a chunk
lies beyond the array's end) and the CRC-32C of the index. Such a file can be mapped, and any Zarr library reads it.
"""

import math
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec

__all__ = ["CHECKSUM_BYTES", "RowLayout", "crc32c"]

CHECKSUM_BYTES = 4
CHUNK_BYTES = 1 << 18  # what a remote reader fetches for one image: small; a whole number of pages
SHARD_CHUNKS = 512  # 128 MiB a shard: one object in a bucket, one map of the 65,530 a Linux process may hold
ABSENT = np.iinfo(np.uint64).max  # marks, in the index, a chunk that is not stored: it is all zeros
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


@dataclass(frozen=True, kw_only=True)
class RowLayout:
    """The layout of one array of rows.

    Attributes:
        dtype: of the elements, little-endian.
        row_shape: shape of one row; () for a flat array.
        chunk_rows: rows of a chunk.
        shard_chunks: chunks of a shard.
        checksum: whether a CRC-32C follows each chunk.
    """

    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    chunk_rows: int
    shard_chunks: int = SHARD_CHUNKS
    checksum: bool = True

    @classmethod
    def of(cls, dtype: str, *row_shape: int, rows: int | None = None) -> "RowLayout":
        """The layout in which this library writes; `rows`, where known, spares a small array the padding of its chunk.

        >>> RowLayout.of("float16", 2048).chunk_rows
        64
        """
        row_bytes = np.dtype(dtype).itemsize * math.prod(row_shape)
        chunk_rows = max(1, CHUNK_BYTES // row_bytes)
        if rows is not None:
            chunk_rows = max(1, min(chunk_rows, rows))
        return cls(dtype=np.dtype(dtype).newbyteorder("<"), row_shape=row_shape, chunk_rows=chunk_rows)

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> "RowLayout | None":
        """The layout that an array's zarr.json describes; None where its shards cannot be mapped."""
        try:
            shape, shard = metadata["shape"], metadata["chunk_grid"]["configuration"]["chunk_shape"]
            (codec,) = metadata["codecs"]
            inner = codec["configuration"]["chunk_shape"]
            codecs = [_plain(c) for c in codec["configuration"]["codecs"]]
            mapped = (
                codec["name"] == "sharding_indexed"
                and codec["configuration"].get("index_location", "end") == "end"
                and [_plain(c) for c in codec["configuration"]["index_codecs"]] == [_BYTES, {"name": "crc32c"}]
                and codecs in ([_BYTES], [_BYTES, {"name": "crc32c"}], [{"name": "bytes"}, {"name": "crc32c"}])
                and inner[1:] == shard[1:] == shape[1:]
                and metadata["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
                and not metadata["fill_value"]
            )
            dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        except (KeyError, TypeError, ValueError):
            return None
        if not mapped:
            return None
        return cls(
            dtype=dtype,
            row_shape=tuple(shape[1:]),
            chunk_rows=inner[0],
            shard_chunks=shard[0] // inner[0],
            checksum=len(codecs) == 2,
        )

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * math.prod(self.row_shape)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a stored chunk, its checksum included."""
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

    def shard_size(self, rows: int, shard: int) -> int:
        """Bytes of a shard of an array of so many rows, written without gaps."""
        stored = min(self.shard_rows, rows - shard * self.shard_rows)
        return -(-stored // self.chunk_rows) * self.chunk_bytes + self.index_bytes

    def key(self, shard: int) -> str:
        """A shard's path below its array.

        >>> RowLayout.of("float16", 256).key(3)
        'c/3/0'
        """
        return "/".join(["c", str(shard), *("0" for _ in self.row_shape)])

    def index(self, chunks: int) -> bytes:
        """The index of a shard whose first `chunks` chunks are stored one after another."""
        entries = np.full((self.shard_chunks, 2), ABSENT, dtype="<u8")
        entries[:chunks, 0] = np.arange(chunks) * self.chunk_bytes
        entries[:chunks, 1] = self.chunk_bytes
        raw = entries.tobytes()
        return raw + crc32c(np.frombuffer(raw, np.uint8)).to_bytes(CHECKSUM_BYTES, "little")

    def parse_index(self, shard: NDArray[np.uint8], path: str) -> NDArray[np.uint64]:
        """The index (chunks, 2) of a shard's bytes.

        Raises:
            ValueError: the file was cut short or its index damaged.
        """
        raw = shard[-self.index_bytes :]
        if len(raw) == self.index_bytes:
            stored = int.from_bytes(raw[-CHECKSUM_BYTES:].tobytes(), "little")
            entries = raw[:-CHECKSUM_BYTES].copy().view("<u8").reshape(-1, 2)
            present = entries[entries[:, 0] != ABSENT]
            inside = bool((present.sum(axis=1) <= len(shard) - self.index_bytes).all())
            if crc32c(raw[:-CHECKSUM_BYTES]) == stored and inside and bool((present[:, 1] == self.chunk_bytes).all()):
                return entries
        raise ValueError(f"{path} is cut short or its index is damaged ({len(shard)} bytes): copy or write it again")

    def create(self, group: zarr.Group, name: str, rows: int) -> None:
        """Write the metadata of an array of so many rows, its shards written or to be written."""
        group.create_array(
            name,
            shape=(rows, *self.row_shape),
            chunks=(self.chunk_rows, *self.row_shape),
            shards=(self.shard_rows, *self.row_shape),
            dtype=self.dtype,
            compressors=Crc32cCodec() if self.checksum else None,
            filters=None,
            fill_value=0,
        )


def crc32c(data: NDArray[np.uint8], start: int = 0) -> int:
    """CRC-32C of contiguous bytes, continued from that of the bytes before them."""
    return int(google_crc32c.extend(start, data))


def _plain(codec: dict[str, Any]) -> dict[str, Any]:
    """A codec's description without the empty configuration that some writers add."""
    return {key: value for key, value in codec.items() if key != "configuration" or value}
