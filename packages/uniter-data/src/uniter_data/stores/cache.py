"""A bounded folder of blocks of remote objects, shared by all processes of a machine.

A block is a file named by a hash of the object's URL, its version and the block's number, so that a changed object
never mixes with what it was. The file holds the CRC-32C of the block's bytes (4 bytes, little-endian), then the bytes.
It is written beside and renamed; its time of change is the time of its last use. The hash spreads blocks evenly over 64
subfolders, each of which may hold a 64th of the whole: who writes a block tidies only its subfolder, and no process has
to know of another.
"""

import logging
import os
import re
import threading
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import google_crc32c

__all__ = ["BlockCache", "block_cache", "cache_folder", "use_cache"]

BLOCK_BYTES = 1 << 20  # at 20 ms to the first byte and 100 MB/s, as long on the way as in coming
SUBFOLDERS = 64
LEAST_BLOCKS = 8  # of a subfolder: with fewer, those that the hash treats badly would do without
DEFAULT_SIZE = "16G"
CHECKSUM_BYTES = 4
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

logger = logging.getLogger(__name__)


class BlockCache:
    """The blocks in a folder. Whatever fails here costs a second fetch, never a read.

    Args:
        folder: of the blocks.
        size: most bytes that it may hold.
        block_bytes: of a block.

    Raises:
        ValueError: it could not hold a few blocks in each subfolder.
    """

    def __init__(self, folder: Path, size: int, *, block_bytes: int = BLOCK_BYTES) -> None:
        least = SUBFOLDERS * LEAST_BLOCKS * (block_bytes + CHECKSUM_BYTES)
        if size < least:
            raise ValueError(f"size of the block cache: expected 0 or at least {-(-least >> 20)}M, got {size} bytes")
        self.folder = folder
        self.size = size
        self.block_bytes = block_bytes
        self._writing = True

    def get(self, version: str, block: int, length: int) -> memoryview | None:
        """A block's bytes, or None where it is not kept or was damaged.

        Args:
            version: of the object, its URL included.
            block: number of the block.
            length: bytes that it must have.
        """
        path = self._path(version, block)
        try:
            raw = path.read_bytes()
            checksum = int.from_bytes(raw[:CHECKSUM_BYTES], "little")
            data = memoryview(raw)[CHECKSUM_BYTES:]
            if len(data) != length or google_crc32c.value(bytes(data)) != checksum:
                path.unlink()
                return None
            os.utime(path)
        except OSError:  # never there, or evicted meanwhile
            return None
        return data

    def put(self, version: str, block: int, data: bytes) -> None:
        """Keep a block, at the price of those of its subfolder that were not used for longest."""
        if not self._writing:
            return
        path = self._path(version, block)
        beside = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(google_crc32c.value(data).to_bytes(CHECKSUM_BYTES, "little") + data)
            self._tidy(path.parent)
            beside.replace(path)
        except FileNotFoundError:  # somebody emptied the cache
            pass
        except OSError as error:
            self._writing = False
            logger.warning("%s: nothing more is kept there by this process (%s)", self.folder, error.strerror)

    def drop(self, version: str, blocks: Iterable[int]) -> None:
        """Let go of blocks."""
        for block in blocks:
            self._path(version, block).unlink(missing_ok=True)

    def _path(self, version: str, block: int) -> Path:
        name = blake2b(f"{version}\n{self.block_bytes}\n{block}".encode(), digest_size=16).hexdigest()
        return self.folder / f"{int(name[:2], 16) % SUBFOLDERS:02}" / name

    def _tidy(self, subfolder: Path) -> None:
        """Remove the oldest files until the rest keeps to its share; a killed process's leftovers grow old as well."""
        files = []
        for entry in os.scandir(subfolder):
            try:
                found = entry.stat()
            except FileNotFoundError:
                continue
            files.append((found.st_mtime_ns, found.st_size, entry.path))
        over = sum(size for _, size, _ in files) - self.size // SUBFOLDERS
        for _, size, path in sorted(files):
            if over <= 0:
                break
            Path(path).unlink(missing_ok=True)
            over -= size


def cache_folder() -> Path:
    """Where everything is kept that can be made or fetched again: `UNITER_CACHE`, else ~/.cache/uniter."""
    return Path(os.environ.get("UNITER_CACHE") or Path.home() / ".cache" / "uniter").expanduser()


def block_cache() -> BlockCache | None:
    """The cache of this machine's user, in `blocks` of `cache_folder()`; None if `UNITER_CACHE_SIZE` is 0.

    Raises:
        ValueError: `UNITER_CACHE_SIZE` is no size, or too small.
    """
    return _block_cache(cache_folder() / "blocks", os.environ.get("UNITER_CACHE_SIZE") or DEFAULT_SIZE)


def use_cache(*, folder: str | Path | None = None, size: str | int | None = None) -> None:
    """Set where and how much this process, and those that it starts, keep of remote objects.

    Args:
        folder: instead of ~/.cache/uniter; blocks go into its subfolder `blocks`.
        size: in bytes, or as in "100G"; 0 keeps nothing.

    Raises:
        ValueError: the size is none, or too small.
    """
    # through the environment: that is what loader workers inherit however they are started
    if folder is not None:
        os.environ["UNITER_CACHE"] = str(folder)
    if size is not None:
        _parse_size(str(size))
        os.environ["UNITER_CACHE_SIZE"] = str(size)
    block_cache()


@lru_cache
def _block_cache(folder: Path, size: str) -> BlockCache | None:
    limit = _parse_size(size)
    return BlockCache(folder, limit) if limit else None


def _parse_size(text: str) -> int:
    """Bytes, from a number that K, M, G or T may follow (powers of 1,024).

    >>> _parse_size("1.5G")
    1610612736
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not found:
        raise ValueError(f'UNITER_CACHE_SIZE: expected bytes, or a size such as "100G", got {text!r}')
    return int(float(found[1]) * UNITS[found[2].upper()])
