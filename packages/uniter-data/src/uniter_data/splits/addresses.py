"""Where images came from: `urls.tsv` of an imported data set, or a file of one's own."""

# U images with a URL

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.json_stream import read_lines as read_json_lines
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.tables import read_lines
from uniter_data.stores.image_index import ImageIndex, hash_ids

__all__ = ["Addresses"]

BLOCK = 1 << 14


class Addresses:
    """The URLs of images, found by the images' ids. Millions of them take little more memory than their text.

    Args:
        path: of the file that says them.
        lines: the ids of images, each with its URL.

    Raises:
        ValueError: a line is wrong, or an image has two URLs.
    """

    def __init__(self, path: Path, lines: Iterable[tuple[str, str]]) -> None:
        self.path = path
        hashes: list[NDArray[np.uint64]] = []
        urls: list[np.ndarray] = []
        left = iter(lines)
        while block := list(islice(left, BLOCK)):
            hashes.append(hash_ids([image for image, _ in block]))
            urls.append(np.array([url for _, url in block], dtype=np.dtypes.StringDType()))
        together = np.concatenate([np.empty(0, np.uint64), *hashes])
        self._urls = np.concatenate([np.empty(0, np.dtypes.StringDType()), *urls])
        order = np.argsort(together, kind="stable")
        double = np.flatnonzero(np.diff(together[order]) == 0)
        for place in double.tolist():
            one, other = (str(self._urls[row]) for row in order[place : place + 2])
            if one != other:
                raise ValueError(f"{path}: an image has two URLs, {one} and {other}: leave one out")
        self._index = ImageIndex(together[order], order)

    @classmethod
    def read(cls, path: Path) -> "Addresses":
        """The URLs that a file says.

        Args:
            path: lines of an image id, a tab and a URL; or, if its suffix is .jsonl, JSON objects with `image` and
                `url`.

        Raises:
            ValueError: the file cannot be read, or a line is wrong; the message names it.
        """
        return cls(path, _json_lines(path) if path.suffix == ".jsonl" else _tab_lines(path))

    def find(self, images: Sequence[str]) -> list[str]:
        """The URL of each image, empty where there is none."""
        rows = self._index.find(images) if len(images) else np.empty(0, np.int64)
        return [str(self._urls[row]) if row >= 0 else "" for row in rows.tolist()]


# ---------------------------------------------------------------------------------------------------------------------


def _tab_lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in read_lines(path, Damages(skip=False)):
        image, tab, url = line.partition("\t")
        if not tab or "://" not in url:
            raise ValueError(
                f"{path}:{number}: expected an image id, a tab and a URL, got {line[:60]!r}: mend the line"
            )
        yield image, url.strip()


def _json_lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, record in read_json_lines(path):
        fields = Fields(record, f"{path}:{number}")
        yield fields.text("image"), fields.text("url")
