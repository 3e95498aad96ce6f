"""Objects below a URL, read in ranges: many requests at once, tried again, checked, and kept in the block cache."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem, sync
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from uniter_data.stores.cache import BlockCache, block_cache
from uniter_data.stores.redaction import check_url, redact
from uniter_data.stores.retries import retrying

__all__ = ["RemoteSource"]

REQUESTS = 32  # of one reading under way at once
SPAN_BYTES = 8 << 20  # of neighbouring blocks that one request fetches
STAMPS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "Last-Modified", "updated", "created")
# as long as the user's own configuration of fsspec says nothing else
OPTIONS: dict[str, dict[str, Any]] = {
    "http": {"client_kwargs": {"trust_env": True}},  # proxies, and ~/.netrc
    "https": {"client_kwargs": {"trust_env": True}},
    "s3": {"config_kwargs": {"retries": {"total_max_attempts": 1}}},  # tries are counted here
}
EXTRAS = {"http": "http", "https": "http", "s3": "s3", "gs": "gcs", "gcs": "gcs"}
# Filesystems that a process opened are never let go: a forked child that dropped its parent's would close the
# connections that the parent is reading from.
_KEPT: dict[int, AsyncFileSystem] = {}


@dataclass(frozen=True, kw_only=True)
class _Version:
    """An object as it was found.

    Attributes:
        size: in bytes.
        stamp: what tells this content from another; empty where the server says nothing that could.
    """

    size: int
    stamp: str


class RemoteSource:
    """The objects below a URL; see `ByteSource`. Pickles as its URL; each process opens connections of its own.

    Args:
        location: URL without credentials.

    Raises:
        ValueError: it has some, its scheme is unknown, or needs a library that is not installed.
    """

    def __init__(self, location: str) -> None:
        self.location = check_url(location.rstrip("/"))
        self._versions: dict[str, _Version] = {}
        self._process = 0
        self._open()

    def __reduce__(self) -> tuple[type["RemoteSource"], tuple[str]]:
        return RemoteSource, (self.location,)

    def size(self, name: str) -> int:
        """See `ByteSource.size`."""
        return self._version(name).size

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name, or a folder where the store has such, that may be read."""
        try:
            self._run(self._info(name))
        except (FileNotFoundError, PermissionError):
            return False
        return True

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.read`.

        Raises:
            FileNotFoundError, PermissionError: as they say.
            ValueError: the object is shorter.
            OSError: a fault outlasted all tries, or the object changed meanwhile; the message names URL and cause.
        """
        version = self._version(name)
        for start, stop in ranges:
            if not 0 <= start <= stop <= version.size:
                raise ValueError(
                    f"{self._url(name)} is cut short: it has {version.size} bytes, bytes {start} to {stop} are wanted"
                )
        cache = block_cache() if version.stamp and self._kept else None
        if cache is None:
            return [memoryview(raw) for raw in self._fetch(name, ranges)]
        return self._read_blocks(name, ranges, version, cache)

    # -----------------------------------------------------------------------------------------------------------------

    def _read_blocks(
        self, name: str, ranges: Sequence[tuple[int, int]], version: _Version, cache: BlockCache
    ) -> list[memoryview]:
        """Cut the ranges out of whole blocks, of which those that the cache lacks are fetched and kept."""
        size = cache.block_bytes
        key = f"{self._url(name)}\n{version.size}\n{version.stamp}"
        wanted = sorted({block for start, stop in ranges for block in _blocks(start, stop, size)})
        blocks: dict[int, memoryview] = {}
        for block in wanted:
            found = cache.get(key, block, min(size, version.size - block * size))
            if found is not None:
                blocks[block] = found
        missing = [block for block in wanted if block not in blocks]
        if missing:
            spans = list(_spans(missing, SPAN_BYTES // size))
            fetched = self._fetch(name, [(first * size, min(stop * size, version.size)) for first, stop in spans])
            for (first, stop), raw in zip(spans, fetched, strict=True):
                for block in range(first, stop):
                    piece = raw[(block - first) * size : (block - first + 1) * size]
                    cache.put(key, block, piece)
                    blocks[block] = memoryview(piece)
        return [_cut(blocks, start, stop, size) for start, stop in ranges]

    def _fetch(self, name: str, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        """Fetch ranges of an object that must still be what it was when this process first looked at it."""
        fetched: list[bytes] = self._run(self._gather(name, list(ranges)))
        if self._look(name) != self._versions[name]:
            raise OSError(f"{self._url(name)} changed while it was being read: open the data set anew")
        return fetched

    async def _gather(self, name: str, ranges: list[tuple[int, int]]) -> list[bytes]:
        gate = asyncio.Semaphore(self._requests)

        async def fetch(start: int, stop: int) -> bytes:
            async with gate:
                return await retrying(partial(self._request, name, start, stop), self._url(name))

        return await asyncio.gather(*(fetch(start, stop) for start, stop in ranges))

    async def _request(self, name: str, start: int, stop: int) -> bytes:
        if start == stop:
            return b""
        raw: bytes = await self._filesystem._cat_file(self._path(name), start=start, end=stop)
        if len(raw) == stop - start:
            return raw
        if len(raw) > stop - start:
            raise ValueError("the server sends whole objects where ranges are asked for: use one that serves ranges")
        raise ConnectionError(f"{len(raw)} bytes came of {stop - start}")

    def _version(self, name: str) -> _Version:
        """The object as this process first found it."""
        if name not in self._versions:
            self._versions[name] = self._look(name)
        return self._versions[name]

    def _look(self, name: str) -> _Version:
        info = self._run(self._info(name))
        if info.get("type") == "directory":
            raise FileNotFoundError(f"{self._url(name)} is a folder")
        if info.get("size") is None:
            raise OSError(f"{self._url(name)} cannot be read: the server does not tell its size")
        stamp = " ".join(f"{stamp}={info[stamp]}" for stamp in STAMPS if info.get(stamp))
        return _Version(size=int(info["size"]), stamp=stamp)

    async def _info(self, name: str) -> dict[str, Any]:
        info: dict[str, Any] = await retrying(lambda: self._filesystem._info(self._path(name)), self._url(name))
        return info

    def _run(self, coroutine: Any) -> Any:
        """Run on fsspec's event loop, that of this process."""
        self._open()
        return sync(self._filesystem.loop, lambda: coroutine)

    def _open(self) -> None:
        """Open connections unless this process has: those of a parent cannot be used after a fork."""
        if self._process == os.getpid():
            return
        scheme = self.location.partition("://")[0]
        configured = fsspec.config.conf.get(scheme, {})
        options = {key: value for key, value in OPTIONS.get(scheme, {}).items() if key not in configured}
        # listings would go stale; the option also keeps this instance apart from any that the user has opened
        try:
            filesystem, self._root = fsspec.url_to_fs(self.location, use_listings_cache=False, **options)
        except (ImportError, ValueError) as error:
            extra = f': pip install "uniter-data[{EXTRAS[scheme]}]"' if scheme in EXTRAS else ""
            raise ValueError(f"{self.location} cannot be opened ({redact(str(error))}){extra}") from None
        if hasattr(filesystem, "retries"):
            filesystem.retries = 1
        # a library that knows no concurrency is not known to bear it either
        self._requests = REQUESTS if filesystem.async_impl else 1
        self._kept = scheme != "memory"
        self._filesystem = filesystem if filesystem.async_impl else AsyncFileSystemWrapper(filesystem)
        _KEPT[id(self._filesystem)] = self._filesystem
        self._process = os.getpid()

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    def _url(self, name: str) -> str:
        return f"{self.location}/{name}" if name else self.location


def _blocks(start: int, stop: int, size: int) -> range:
    """Numbers of the blocks that a range touches."""
    return range(start // size, -(-stop // size) if start < stop else start // size)


def _spans(blocks: list[int], most: int) -> Iterable[tuple[int, int]]:
    """Runs of neighbours among sorted numbers, none of more than `most`.

    >>> list(_spans([3, 4, 5, 6, 9], 3))
    [(3, 6), (6, 7), (9, 10)]
    """
    first = previous = blocks[0]
    for block in blocks[1:]:
        if block != previous + 1 or block - first >= most:
            yield first, previous + 1
            first = block
        previous = block
    yield first, previous + 1


def _cut(blocks: dict[int, memoryview], start: int, stop: int, size: int) -> memoryview:
    """Bytes of an object from its blocks; copied only where they lie in several."""
    touched = _blocks(start, stop, size)
    pieces = blocks[touched[0]] if len(touched) == 1 else memoryview(b"".join(blocks[block] for block in touched))
    return pieces[start - touched.start * size : stop - touched.start * size]
