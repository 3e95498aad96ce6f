"""Reads LMDB files (data format 1, as every LMDB 0.9 writes it) without mapping them and without the LMDB library.

The library trusts its files: one that was cut short or damaged can end the process. Here every number is checked before
it is followed, and what is wrong raises an error. Nothing is mapped, so a file that claims a terabyte costs nothing.

A file is a tree of pages, each of which begins with its own number. Branch pages hold keys and the numbers of further
pages, leaf pages hold keys and values; a value that is too long for its page lies on overflow pages of its own.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct, unpack_from
from types import TracebackType
from typing import NamedTuple, NoReturn

__all__ = ["NAMES", "LmdbFile", "open_lmdb"]

NAMES = "__keys__"  # the official databases list their keys under this one

MAGIC, VERSION = 0xBEEFC0DE, 1
PAGE_SIZES = tuple(1 << bits for bits in range(9, 17))
# where a page of meta data keeps what is read here: magic, version; page size; the main tree; last page, transaction
META = Struct("<16xII16xI44xIHHQQQQQQQ")
PAGE = Struct("<QHHHH")  # number, unused, kind, end of the nodes' offsets, begin of the nodes
OVERFLOW = Struct("<QHHI")  # number, unused, kind, how many pages follow one another
NODE = Struct("<HHHH")  # low and high half of the value's size, flags, size of the key
BRANCH, LEAF, BIG = 1, 2, 4
ELSEWHERE = 1  # flag of a node whose value lies on overflow pages
NUMBER = Struct("<Q")
EMPTY = (1 << 64) - 1  # the root of a tree without pages


class _Tree(NamedTuple):
    """What the newer page of meta data says."""

    page_size: int
    flags: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


def open_lmdb(folder: str | Path) -> "LmdbFile":
    """Open a folder with an LMDB file, or the file itself, for reading; no lock file is read or written.

    Raises:
        ValueError: there is no such file, or it is no LMDB file, or cut short.
    """
    path = Path(folder)
    return LmdbFile(path / "data.mdb" if path.is_dir() else path)


class LmdbFile:
    """The keys and values of an LMDB file; `__keys__`, which lists the others, is not counted among them.

    Args:
        path: of data.mdb.

    Raises:
        ValueError: as `open_lmdb`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise ValueError(f"{path} cannot be read ({error.strerror}): correct the path") from error
        try:
            self._tree = self._read_tree()
            self._len = self._tree.entries - (self._find(NAMES.encode()) is not None)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self) -> Iterator[str]:
        """All keys but `__keys__`, in the order of their bytes.

        Raises:
            ValueError: the file is damaged.
        """
        return (self._text(key) for key, _, _ in self._walk())

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All keys but `__keys__`, and their values, in the order of the keys' bytes.

        Raises:
            ValueError: the file is damaged.
        """
        return ((self._text(key), self._value(page, at)) for key, page, at in self._walk())

    def get(self, key: str) -> bytes:
        """The value of a key.

        Raises:
            ValueError: there is none, or the file is damaged.
        """
        found = self._find(key.encode())
        if found is None:
            raise ValueError(f"{self.path} has no record {key!r}")
        return self._value(*found)

    def __contains__(self, key: str) -> bool:
        return self._find(key.encode()) is not None

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> "LmdbFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read_tree(self) -> _Tree:
        """The newer of the two pages of meta data with which the file begins."""
        first = self._read_meta(0)
        second = self._read_meta(first.page_size)
        tree = max(first, second, key=lambda meta: meta.transaction)
        pages = os.fstat(self._file).st_size // tree.page_size
        if tree.last_page >= pages:
            raise ValueError(
                f"{self.path} is cut short: expected {tree.last_page + 1:,} pages of {tree.page_size} bytes, got "
                f"{pages:,}: copy the file again"
            )
        if tree.flags:
            raise ValueError(f"{self.path}: expected one value a key, got an LMDB file with flags {tree.flags:#x}")
        return tree

    def _read_meta(self, at: int) -> _Tree:
        magic, version, page_size, _, flags, depth, _, _, _, entries, root, last_page, transaction = META.unpack(
            self._read(at, META.size)
        )
        if magic != MAGIC:
            raise ValueError(f"{self.path} is no LMDB file, or its beginning is damaged: copy the file again")
        if version != VERSION:
            raise ValueError(f"{self.path}: expected LMDB's data format {VERSION}, got {version}")
        if page_size not in PAGE_SIZES:
            self._fail(at, f"pages of {page_size} bytes")
        return _Tree(page_size, flags, depth, entries, root, last_page, transaction)

    def _walk(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Each key but `__keys__`, the leaf page that it stands on, and where its node begins there."""
        count, last = 0, b""
        for page in self._leaves(self._tree.root, self._tree.depth):
            for at in self._nodes(page):
                key = self._key(page, at)
                if count and key <= last:
                    self._fail_page(page, f"keys out of order: {key!r} after {last!r}")
                count, last = count + 1, key
                if key != NAMES.encode():
                    yield key, page, at
        if count != self._tree.entries:
            raise ValueError(f"{self.path} is damaged: expected {self._tree.entries:,} keys, found {count:,}")

    def _leaves(self, number: int, depth: int) -> Iterator[bytes]:
        """The leaf pages below a page, in order; the tree's depth bounds how far a damaged file can lead."""
        if not depth and number == EMPTY:
            return
        page = self._page(number, LEAF if depth <= 1 else BRANCH)
        if depth <= 1:
            yield page
            return
        for at in self._nodes(page):
            yield from self._leaves(self._child(page, at), depth - 1)

    def _find(self, key: bytes) -> tuple[bytes, int] | None:
        """The leaf page and the place on it of a key's node."""
        number, depth = self._tree.root, self._tree.depth
        if not depth and number == EMPTY:
            return None
        while depth > 1:
            page = self._page(number, BRANCH)
            nodes = self._nodes(page)
            # the first node's key counts as less than any other and is not stored
            after = self._bisect(page, nodes, key, first=1, including=True)
            number, depth = self._child(page, nodes[after - 1]), depth - 1
        page = self._page(number, LEAF)
        nodes = self._nodes(page)
        place = self._bisect(page, nodes, key, first=0, including=False)
        if place == len(nodes) or self._key(page, nodes[place]) != key:
            return None
        return page, nodes[place]

    def _bisect(self, page: bytes, nodes: tuple[int, ...], key: bytes, *, first: int, including: bool) -> int:
        """How many nodes of a page, the first at least, have lesser keys (`including`: or the same)."""
        low, high = first, len(nodes)
        while low < high:
            middle = (low + high) // 2
            found = self._key(page, nodes[middle])
            if found < key or (including and found == key):
                low = middle + 1
            else:
                high = middle
        return low

    def _page(self, number: int, kind: int) -> bytes:
        if number > self._tree.last_page:
            raise ValueError(f"{self.path} is damaged: expected pages up to {self._tree.last_page}, got {number}")
        page = self._read(number * self._tree.page_size, self._tree.page_size)
        found, _, found_kind, _, _ = PAGE.unpack_from(page)
        if (found, found_kind) != (number, kind):
            self._fail(number * self._tree.page_size, f"a page {found} of kind {found_kind}")
        return page

    def _nodes(self, page: bytes) -> tuple[int, ...]:
        """Where on a page its nodes begin."""
        _, _, _, end, begin = PAGE.unpack_from(page)
        if not PAGE.size < end <= begin <= len(page) or end % 2:
            self._fail_page(page, f"nodes from {end} to {begin}")
        nodes: tuple[int, ...] = unpack_from(f"<{(end - PAGE.size) // 2}H", page, PAGE.size)
        if min(nodes) < begin or max(nodes) + NODE.size > len(page):
            self._fail_page(page, f"a node at {min(nodes)} or {max(nodes)}")
        return nodes

    def _key(self, page: bytes, at: int) -> bytes:
        size = NODE.unpack_from(page, at)[3]
        start = at + NODE.size
        if start + size > len(page):
            self._fail_page(page, f"a key of {size} bytes at {at}")
        return page[start : start + size]

    def _child(self, page: bytes, at: int) -> int:
        low, high, higher, _ = NODE.unpack_from(page, at)
        return int(low | high << 16 | higher << 32)

    def _value(self, page: bytes, at: int) -> bytes:
        low, high, flags, key_size = NODE.unpack_from(page, at)
        size, start = low | high << 16, at + NODE.size + key_size
        stored = NUMBER.size if flags == ELSEWHERE else size
        if flags not in (0, ELSEWHERE) or start + stored > len(page):
            self._fail_page(page, f"a value of {size} bytes with flags {flags:#x} at {at}")
        if not flags:
            return page[start : start + size]
        (number,) = NUMBER.unpack_from(page, start)
        return self._big_value(number, size)

    def _big_value(self, number: int, size: int) -> bytes:
        page_size = self._tree.page_size
        pages = -(-(OVERFLOW.size + size) // page_size)
        if number + pages - 1 > self._tree.last_page:
            raise ValueError(
                f"{self.path} is damaged: a value of {size:,} bytes from page {number} leads beyond its end"
            )
        raw = self._read(number * page_size, OVERFLOW.size + size)
        found, _, kind, found_pages = OVERFLOW.unpack_from(raw)
        if (found, kind, found_pages) != (number, BIG, pages):
            self._fail(number * page_size, f"page {found} of kind {kind} with {found_pages} pages")
        return raw[OVERFLOW.size :]

    def _text(self, key: bytes) -> str:
        try:
            return key.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} is damaged: the key {key!r} is no UTF-8") from error

    def _read(self, at: int, size: int) -> bytes:
        try:
            raw = os.pread(self._file, size, at)
        except OSError as error:
            raise ValueError(f"{self.path} cannot be read at byte {at} ({error.strerror})") from error
        if len(raw) < size:
            raise ValueError(f"{self.path} is cut short at byte {at + len(raw)}: copy the file again")
        return raw

    def _fail_page(self, page: bytes, found: str) -> NoReturn:
        self._fail(PAGE.unpack_from(page)[0] * self._tree.page_size, found)

    def _fail(self, at: int, found: str) -> NoReturn:
        raise ValueError(f"{self.path} is damaged at byte {at}: found {found}: copy the file again")
