"""The bytes of a store's files, wherever they lie: ranges of them, fetched together."""

import mmap
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from uniter_data.stores.locations import is_remote, locate
from uniter_data.stores.remote import RemoteSource

__all__ = ["ByteSource", "LocalSource", "RemoteSource", "open_source"]

OPEN_FILES = 256  # each map holds a file descriptor, of which a process usually has 1,024


class ByteSource(Protocol):
    """The files below a folder or URL. Pickles as its location; safe to use in a process that was forked off."""

    @property
    def location(self) -> str:
        """Of the folder."""

    def size(self, name: str) -> int:
        """Bytes of a file.

        Raises:
            FileNotFoundError: there is none.
        """

    def sizes(self, names: Sequence[str]) -> list[int]:
        """Bytes of several files, looked at together; see `size`."""

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Bytes `start` up to, not including, `stop` of a file for each `(start, stop)`, fetched together.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is shorter.
        """

    def read_many(self, wanted: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, list[memoryview]]:
        """Ranges of several files, fetched together; see `read`."""

    def forget(self, name: str) -> None:
        """Keep nothing of a file whose bytes turned out wrong, so that they are fetched anew."""


class LocalSource:
    """The files below a folder of this machine, mapped into memory.

    Args:
        location: path of the folder.
    """

    def __init__(self, location: str | Path) -> None:
        self.location = str(location)
        self._open: OrderedDict[str, memoryview] = OrderedDict()

    def __reduce__(self) -> tuple[type["LocalSource"], tuple[str]]:
        return LocalSource, (self.location,)

    def size(self, name: str) -> int:
        """See `ByteSource.size`."""
        return len(self._map(name))

    def sizes(self, names: Sequence[str]) -> list[int]:
        """See `ByteSource.sizes`."""
        return [self.size(name) for name in names]

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.read`. The bytes are views of the mapped file; nothing is copied."""
        whole = self._map(name)
        for start, stop in ranges:
            if not 0 <= start <= stop <= len(whole):
                raise ValueError(
                    f"{self.location}/{name} is cut short: it has {len(whole)} bytes, "
                    f"bytes {start} to {stop} are wanted"
                )
        return [whole[start:stop] for start, stop in ranges]

    def read_many(self, wanted: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, list[memoryview]]:
        """See `ByteSource.read_many`."""
        return {name: self.read(name, ranges) for name, ranges in wanted.items()}

    def release(self) -> None:
        """Take the mapped pages from this process's memory; they stay in the system's, and come back when read."""
        for whole in self._open.values():
            if isinstance(whole.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                whole.obj.madvise(mmap.MADV_DONTNEED)

    def forget(self, name: str) -> None:
        """See `ByteSource.forget`: a file that is replaced meanwhile is mapped anew."""
        self._open.pop(name, None)

    def _map(self, name: str) -> memoryview:
        whole = self._open.get(name)
        if whole is None:
            with (Path(self.location) / name).open("rb") as file:
                size = file.seek(0, 2)  # an empty file cannot be mapped
                whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
            self._open[name] = whole
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(name)
        return whole


def open_source(location: str | Path) -> ByteSource:
    """The files below a folder or a URL.

    Raises:
        ValueError: a URL holds credentials, its scheme is unknown, or needs a library that is not installed.
    """
    place = locate(location)
    return RemoteSource(place) if is_remote(place) else LocalSource(place)
