"""Objects below a URL, read in ranges: many requests at once, tried again, checked, and kept in the block cache."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import fsspec
from fsspec.asyn import sync
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.spec import AbstractFileSystem

from uniter_data.stores.cache import BlockCache, block_cache
from uniter_data.stores.readings import BlockReading, RangeReading, Version
from uniter_data.stores.redaction import check_url, redact
from uniter_data.stores.retries import retrying

__all__ = ["RemoteSource"]

T = TypeVar("T")

REQUESTS = 32  # of one reading under way at once
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
_KEPT: dict[int, AbstractFileSystem] = {}


class RemoteSource:
    """The objects below a URL; see `ByteSource`. Pickles as its URL; each process opens connections of its own.

    Args:
        location: URL without credentials.

    Raises:
        ValueError: it has some, its scheme is unknown, or needs a library that is not installed.
    """

    def __init__(self, location: str) -> None:
        self.location = check_url(location.rstrip("/"))
        self._scheme = self.location.partition("://")[0]
        self._versions: dict[str, Version] = {}
        self._process = 0
        self._open()

    def __reduce__(self) -> tuple[type["RemoteSource"], tuple[str]]:
        return RemoteSource, (self.location,)

    def size(self, name: str) -> int:
        """See `ByteSource.size`."""
        return self.sizes([name])[0]

    def sizes(self, names: Sequence[str]) -> list[int]:
        """See `ByteSource.sizes`."""
        versions = self._find(names)
        return [versions[name].size for name in names]

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name, or a folder where the store has such, that may be read."""
        try:
            self._run(lambda: self._info(name))
        except (FileNotFoundError, PermissionError):
            return False
        return True

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.read` and `read_many`."""
        return self.read_many({name: ranges})[name]

    def read_many(self, wanted: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, list[memoryview]]:
        """See `ByteSource.read_many`.

        Raises:
            FileNotFoundError, PermissionError: as they say.
            ValueError: an object is shorter.
            OSError: a fault outlasted all tries, or an object changed meanwhile; the message names URL and cause.
        """
        versions = self._find(wanted)
        cache = self._cache()
        readings: dict[str, BlockReading | RangeReading] = {}
        for name, ranges in wanted.items():
            version = versions[name]
            for start, stop in ranges:
                if not 0 <= start <= stop <= version.size:
                    raise ValueError(
                        f"{version.url} is cut short: it has {version.size} bytes, bytes {start} to {stop} are wanted"
                    )
            readings[name] = BlockReading(version, ranges, cache) if cache and version.stamp else RangeReading(ranges)
        self._fetch(readings)
        return {name: reading.cut() for name, reading in readings.items()}

    def forget(self, name: str) -> None:
        """See `ByteSource.forget`."""
        cache, version = self._cache(), self._versions.get(name)
        if cache and version:
            cache.drop(version.key, range(-(-version.size // cache.block_bytes)))

    # -----------------------------------------------------------------------------------------------------------------

    def _cache(self) -> BlockCache | None:
        # what lies in this process's memory needs no copy on its disk
        return None if self._scheme == "memory" else block_cache()

    def _find(self, names: Iterable[str]) -> dict[str, Version]:
        """The objects as this process first found them."""
        new = [name for name in names if name not in self._versions]
        self._versions.update(zip(new, self._look(new), strict=True))
        return self._versions

    def _look(self, names: Sequence[str]) -> list[Version]:
        """The objects as they are now."""
        found = self._together([partial(self._info, name) for name in names])
        return [_version(info, self._url(name)) for name, info in zip(names, found, strict=True)]

    def _fetch(self, readings: Mapping[str, BlockReading | RangeReading]) -> None:
        """Fetch what the readings lack, of objects that must still be what this process first found."""
        lacking = [(name, span) for name, reading in readings.items() for span in reading.lacking]
        fetched = self._together([partial(self._range, name, *span) for name, span in lacking])
        names = list(dict.fromkeys(name for name, _ in lacking))
        for name, version in zip(names, self._look(names), strict=True):
            if version != self._versions[name]:
                raise OSError(f"{version.url} changed while it was being read: open the data set anew")
        for (name, span), raw in zip(lacking, fetched, strict=True):
            readings[name].add(span, raw)

    def _together(self, requests: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """The answers to requests that are under way at once; the first that fails ends all."""
        return self._run(lambda: _gather(requests, self._requests)) if requests else []

    async def _info(self, name: str) -> dict[str, Any]:
        info: dict[str, Any] = await retrying(lambda: self._filesystem._info(self._path(name)), self._url(name))
        return info

    async def _range(self, name: str, start: int, stop: int) -> bytes:
        return await retrying(partial(self._request, name, start, stop), self._url(name))

    async def _request(self, name: str, start: int, stop: int) -> bytes:
        if start == stop:
            return b""
        raw: bytes = await self._filesystem._cat_file(self._path(name), start=start, end=stop)
        if len(raw) == stop - start:
            return raw
        if len(raw) > stop - start:
            raise ValueError("the server sends whole objects where ranges are asked for: use one that serves ranges")
        raise ConnectionError(f"{len(raw)} bytes came of {stop - start}")

    def _run(self, start: Callable[[], Awaitable[T]]) -> T:
        """Run on fsspec's event loop, that of this process."""
        self._open()
        answer: T = sync(self._filesystem.loop, start)
        return answer

    def _open(self) -> None:
        """Open connections unless this process has: those of a parent cannot be used after a fork."""
        if self._process == os.getpid():
            return
        configured = fsspec.config.conf.get(self._scheme, {})
        options = {key: value for key, value in OPTIONS.get(self._scheme, {}).items() if key not in configured}
        try:
            # listings would go stale; the option also keeps this instance apart from any that the user has opened
            filesystem, self._root = fsspec.url_to_fs(self.location, use_listings_cache=False, **options)
        except (ImportError, ValueError) as error:
            extra = f': pip install "uniter-data[{EXTRAS[self._scheme]}]"' if self._scheme in EXTRAS else ""
            raise ValueError(f"{self.location} cannot be opened ({redact(str(error))}){extra}") from None
        if hasattr(filesystem, "retries"):
            filesystem.retries = 1
        # a library that knows no concurrency is not known to bear it either
        self._requests = REQUESTS if filesystem.async_impl else 1
        self._filesystem = filesystem if filesystem.async_impl else AsyncFileSystemWrapper(filesystem)
        _KEPT[id(filesystem)] = filesystem
        self._process = os.getpid()

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    def _url(self, name: str) -> str:
        return f"{self.location}/{name}" if name else self.location


async def _gather(requests: Sequence[Callable[[], Awaitable[T]]], most: int) -> list[T]:
    gate = asyncio.Semaphore(most)

    async def one(request: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await request()

    tasks = [asyncio.ensure_future(one(request)) for request in requests]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _version(info: Mapping[str, Any], url: str) -> Version:
    """An object from what fsspec says of it."""
    if info.get("type") == "directory":
        raise FileNotFoundError(f"{url} is a folder")
    if info.get("size") is None:
        raise OSError(f"{url} cannot be read: the server does not tell its size")
    stamp = " ".join(f"{stamp}={info[stamp]}" for stamp in STAMPS if info.get(stamp))
    return Version(url=url, size=int(info["size"]), stamp=stamp)
