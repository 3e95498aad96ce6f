"""Hashing the pictures of image sets: the long part of an audit, done once, and taken up again after a stop."""

# U images of a set

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from uniter_data.extract.pictures import PictureFolder, refuse_bombs
from uniter_data.pictures import SUFFIXES, find_files
from uniter_data.splits.hash_journal import ABSENT, HASHED, PLAIN, RECORD, UNREADABLE, HashJournal
from uniter_data.splits.image_sets import ImageSet
from uniter_data.splits.picture_hash import picture_hash
from uniter_data.splits.rules import stem_of

__all__ = ["PictureHashes", "hash_pictures"]

Progress = Callable[[str, int, int], None]
BLOCK = 256  # pictures between two writes to the journal


@dataclass(frozen=True, eq=False)
class PictureHashes:
    """What came of the pictures of a set.

    Attributes:
        hashes: (U,) uint64; 0 where there is none.
        states: (U,) uint8: ABSENT, HASHED, PLAIN or UNREADABLE.
    """

    hashes: NDArray[np.uint64]
    states: NDArray[np.uint8]

    @property
    def digest(self) -> str:
        """sha256 of all of it."""
        return sha256(self.hashes.astype("<u8").tobytes() + self.states.tobytes()).hexdigest()


def hash_pictures(images: ImageSet, *, workers: int = 2, progress: Progress) -> PictureHashes:
    """Hash the pictures that there are; what was hashed before is not read again.

    Args:
        images: whose pictures; of an image that several folders have, the first folder's.
        workers: threads that read and decode: Pillow's decoders let others run meanwhile.
        progress: called with what is done, how much of it, and of how much.

    Raises:
        ValueError: a folder has no picture, or another process hashes it.
        OSError: the disk is full, or a remote folder out of reach; run again to go on.
    """
    found = PictureHashes(np.zeros(len(images), np.uint64), np.full(len(images), ABSENT, np.uint8))
    with refuse_bombs(), ThreadPoolExecutor(workers, thread_name_prefix="hashes") as pool:
        for folder in images.pictures:
            rows, files = _files_of(images, folder, found.states)
            with HashJournal(folder) as journal:
                for start in range(0, len(rows), BLOCK):
                    here, some = rows[start : start + BLOCK], files[start : start + BLOCK]
                    records = _records(journal, partial(_hash, PictureFolder(folder)), some, pool)
                    found.hashes[here], found.states[here] = records["hash"], records["state"]
                    progress(f"hashing pictures of {images.name}", start + len(some), len(rows))
    return found


# ---------------------------------------------------------------------------------------------------------------------


def _files_of(images: ImageSet, folder: str, states: NDArray[np.uint8]) -> tuple[NDArray[np.int64], list[str]]:
    """The images without a picture so far that the folder has, and the file of each."""
    pictures = sorted(str(path) for path in find_files(folder) if path.suffix.lower() in SUFFIXES)
    if not pictures:
        raise ValueError(f"{folder}, the pictures of {images.name}, has no picture: give the right folder")
    files = {PurePosixPath(picture).stem: picture for picture in reversed(pictures)}
    rows, found = [], []
    for row in np.flatnonzero(states == ABSENT).tolist():
        image = str(images.images[row])
        # a list may call a picture by its file's name, or by its path
        file = files.get(image) or files.get(PurePosixPath(stem_of(image)).name)
        if file:
            rows.append(row)
            found.append(file)
    return np.array(rows, np.int64), found


def _records(
    journal: HashJournal, hash_one: Callable[[str], tuple[int, int]], files: Sequence[str], pool: ThreadPoolExecutor
) -> NDArray[np.void]:
    """The records of some pictures: those of the journal, the others made and kept."""
    stamps = np.fromiter(map(journal.stamp, files), np.uint64, len(files))
    records = journal.find(stamps)
    new = np.flatnonzero(records["state"] == ABSENT)
    made = pool.map(hash_one, [files[row] for row in new.tolist()])
    fresh = [(stamp, *said) for stamp, said in zip(stamps[new].tolist(), made, strict=True)]
    records[new] = np.array(fresh, RECORD)
    journal.append(records[new])
    return records


def _hash(folder: PictureFolder, file: str) -> tuple[int, int]:
    """The hash of a picture, and what came of it."""
    picture = folder.read(file)
    if isinstance(picture, str):
        return 0, UNREADABLE
    found = picture_hash(picture)
    return (0, PLAIN) if found is None else (found, HASHED)
