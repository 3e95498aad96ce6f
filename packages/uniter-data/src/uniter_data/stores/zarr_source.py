"""Remote arrays for zarr-python, read through the same source as everything else: its retries, its cache."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import zarr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from uniter_data.stores.locations import is_remote
from uniter_data.stores.sources import ByteSource, RemoteSource

__all__ = ["open_array"]

READ_ONLY = "the files of a source are read one by one, not written and not listed"


def open_array(location: str) -> "zarr.Array[Any]":
    """An array of any layout, for reading.

    Args:
        location: path or URL of the array.
    """
    store = _SourceStore(RemoteSource(location)) if is_remote(location) else location
    return zarr.open_array(store, mode="r", zarr_format=3)


class _SourceStore(Store):  # type: ignore[misc]  # zarr's types are not followed
    """The files of a source as zarr-python asks for them; they are only read, and cannot be listed."""

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    def __init__(self, source: ByteSource) -> None:
        super().__init__(read_only=True)
        self._source = source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SourceStore) and other._source.location == self._source.location

    def with_read_only(self, read_only: bool = False) -> "_SourceStore":
        """The same: there is no other way to open it."""
        return self

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """A file or a range of it; None if there is no such file."""
        # in a thread: the source waits for a loop of its own, and zarr's has other chunks to see to
        raw = await asyncio.to_thread(self._read, key, byte_range)
        return None if raw is None else prototype.buffer.from_bytes(raw)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Several of them."""
        return list(await asyncio.gather(*(self.get(key, prototype, wanted) for key, wanted in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return await asyncio.to_thread(self._size, key) is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Not supported, as the class says to zarr."""
        raise NotImplementedError(READ_ONLY)

    async def delete(self, key: str) -> None:
        """Not supported, as the class says to zarr."""
        raise NotImplementedError(READ_ONLY)

    def list(self) -> AsyncIterator[str]:
        """Not supported, as the class says to zarr."""
        raise NotImplementedError(READ_ONLY)

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Not supported, as the class says to zarr."""
        raise NotImplementedError(READ_ONLY)

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Not supported, as the class says to zarr."""
        raise NotImplementedError(READ_ONLY)

    def _size(self, key: str) -> int | None:
        try:
            return self._source.size(key)
        except FileNotFoundError:
            return None

    def _read(self, key: str, wanted: ByteRequest | None) -> bytes | None:
        size = self._size(key)
        if size is None:
            return None
        start, stop = 0, size
        if isinstance(wanted, RangeByteRequest):
            start, stop = wanted.start, min(wanted.end, size)
        elif isinstance(wanted, OffsetByteRequest):
            start = wanted.offset
        elif isinstance(wanted, SuffixByteRequest):
            start = max(0, size - wanted.suffix)
        (raw,) = self._source.read(key, [(start, stop)])
        return bytes(raw)
