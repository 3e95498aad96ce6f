"""Hashes of pictures that were read once: a file for each folder of pictures, appended as they are hashed.

A record counts as long as its picture's file is what it was by what the file system says of it (size, times; of a
remote object its ETag and the like). What a kill cut off at the end of the file is dropped.
"""

import sys
from hashlib import blake2b
from io import FileIO
from types import TracebackType

import fsspec
import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.cache import cache_folder
from uniter_data.stores.journal import report_full_disk

if sys.platform != "win32":
    import fcntl

__all__ = ["ABSENT", "HASHED", "PLAIN", "RECORD", "UNREADABLE", "HashJournal"]

ABSENT, HASHED, PLAIN, UNREADABLE = range(4)  # what came of a picture
RECORD = np.dtype([("stamp", "<u8"), ("hash", "<u8"), ("state", "u1")])
KIND = "dct64-1"  # another way of hashing gets another folder


class HashJournal:
    """The hashes of a folder's pictures, in the cache folder (`UNITER_CACHE`, else ~/.cache/uniter).

    Args:
        folder: path or URL of the pictures.

    Raises:
        ValueError: another process is hashing these pictures.
    """

    def __init__(self, folder: str) -> None:
        self._filesystem, self._root = fsspec.url_to_fs(folder)
        name = blake2b(f"{self._filesystem.protocol} {self._root}".encode(), digest_size=8).hexdigest()
        path = cache_folder() / "picture-hashes" / KIND / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = FileIO(path, "ab")
        if sys.platform != "win32":
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._file.close()
                raise ValueError(
                    f"the pictures in {folder} are being hashed by another process: wait for it"
                ) from error
        size = path.stat().st_size
        self._file.truncate(size - size % RECORD.itemsize)
        records = np.fromfile(path, RECORD)
        self._known = records[np.argsort(records["stamp"], kind="stable")]

    def stamp(self, picture: str) -> int:
        """64 bits that change with the picture's file.

        Args:
            picture: its path below the folder.
        """
        state = self._filesystem.ukey(f"{self._root}/{picture}")
        return int.from_bytes(blake2b(f"{picture}\0{state}".encode(), digest_size=8).digest(), "little")

    def find(self, stamps: NDArray[np.uint64]) -> NDArray[np.void]:
        """The record of each stamp; its state is `ABSENT` where there is none."""
        found = np.zeros(len(stamps), RECORD)
        if len(self._known):
            places = np.minimum(np.searchsorted(self._known["stamp"], stamps), len(self._known) - 1)
            same = self._known["stamp"][places] == stamps
            found[same] = self._known[places[same]]
        return found

    def append(self, records: NDArray[np.void]) -> None:
        """Keep records; from then on a killed process goes on behind them.

        Raises:
            OSError: the disk is full.
        """
        with report_full_disk(self._path):
            left = memoryview(records.tobytes())
            while left:
                left = left[self._file.write(left) :]

    def __enter__(self) -> "HashJournal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
