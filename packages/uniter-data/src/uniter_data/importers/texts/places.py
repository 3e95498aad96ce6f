"""Where the pictures of captions are looked for: a store of regions, or a folder of pictures."""

# I images

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uniter_data.examples.image_names import ImageName
from uniter_data.pictures import SUFFIXES, find_files
from uniter_data.stores.image_index import ImageIndex, hash_ids
from uniter_data.stores.region_store import RegionStore

__all__ = ["Place", "find_images", "open_folder", "open_store"]


class Place(Protocol):
    """Knows images by name.

    Attributes:
        location: of the store or folder.
        lacks: what is said of an image that is not there.
    """

    location: str
    lacks: str

    def has(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which of the names are those of images here."""


def find_images(place: Place, images: Sequence[ImageName], pattern: str = "") -> list[str]:
    """What a place calls each image, the likely names tried first; empty where it has none.

    Args:
        place: where to look.
        images: as their source names them.
        pattern: replaces the usual names; see `ImageName.candidates`.
    """
    # an image has several captions
    candidates = {image: list(image.candidates(pattern)) for image in dict.fromkeys(images)}
    known = iter(place.has(list(chain.from_iterable(candidates.values()))).tolist())
    found = {}
    for image, names in candidates.items():
        hits = [name for name in names if next(known)]
        found[image] = hits[0] if hits else ""
    return [found[image] for image in images]


def open_store(location: str | Path) -> Place:
    """A region store; an image without a region is not there.

    Raises:
        ValueError: it is missing, foreign, too new or cut short.
    """
    return _Store(RegionStore(location))


def open_folder(location: str | Path) -> Place:
    """A folder of pictures, with its subfolders; the stem of a picture's file is its name.

    Raises:
        ValueError: it has no picture.
    """
    return _Folder(str(location))


# ---------------------------------------------------------------------------------------------------------------------


class _Store:
    lacks = "its image has no regions"

    def __init__(self, store: RegionStore) -> None:
        self.location = store.location
        self._store = store

    def has(self, names: Sequence[str]) -> NDArray[np.bool_]:
        if not names or not self._store.num_images:
            return np.zeros(len(names), dtype=bool)
        rows = self._store.find(names)
        return (rows >= 0) & (self._store.region_lengths[rows] > 0)


class _Folder:
    lacks = "its picture is missing"

    def __init__(self, location: str) -> None:
        self.location = location
        stems = [path.stem for path in find_files(location) if path.suffix.lower() in SUFFIXES]
        if not stems:
            raise ValueError(f"{location} has no picture ({', '.join(sorted(SUFFIXES))}): give the folder of pictures")
        # of millions of names, eight bytes each are enough to tell whether one is there, and whether it is twice
        hashes = np.sort(hash_ids(stems))
        double = hashes[1:][hashes[1:] == hashes[:-1]]
        self._index, self._twice = (ImageIndex(these, np.arange(len(these))) for these in (hashes, double))

    def has(self, names: Sequence[str]) -> NDArray[np.bool_]:
        if not names:
            return np.zeros(0, dtype=bool)
        double = np.flatnonzero(self._twice.find(names) >= 0)
        if len(double):
            raise ValueError(
                f"{self.location}: two pictures are called {names[double[0]]!r} but for folder and suffix: rename one"
            )
        return self._index.find(names) >= 0
