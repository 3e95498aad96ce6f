"""Captions of pictures of the web: a sentence and a URL a row, and the pictures that somebody has downloaded.

A row is numbered from 0. Its picture is the file called by that number, with or without zeros in front, as img2dataset
writes it; or a manifest says which URL became which file. Pictures of the web vanish: rows without one are counted.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np

from uniter_data.examples.image_names import web_image
from uniter_data.importers.texts.captions import Caption
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.tables import read_lines
from uniter_data.stores.image_index import ImageIndex, hash_ids

__all__ = ["PictureManifest", "Row", "is_url", "web_captions"]

BLOCK = 1 << 12
NOT_DOWNLOADED = "its picture is missing"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# where it stands, its number, the sentence and the URL
Row = tuple[str, int, str, str]


def web_captions(
    rows: Iterable[Row], split: str, manifest: "PictureManifest | None", damages: Damages
) -> Iterator[Caption]:
    """The captions of rows.

    Args:
        rows: as they are read.
        split: to which they belong.
        manifest: which URL became which file; None: files are called by the row's number.
        damages: what becomes of rows without a URL.
    """
    checked = damages.sift(_checked, rows)
    while block := list(islice(checked, BLOCK)):
        urls = [url for _, _, _, url in block]
        stems = [str(number) for _, number, _, _ in block] if manifest is None else manifest.stems(urls)
        for (where, number, sentence, url), stem in zip(block, stems, strict=True):
            yield Caption(
                id=str(number),
                source=where,
                split=split,
                sentence=sentence,
                image=web_image(stem, number if manifest is None else -1),
                url=url,
                unwanted="" if stem else NOT_DOWNLOADED,
            )


def is_url(text: str) -> bool:
    """Whether a text can be the URL of a line.

    >>> is_url("http://a.org/1.jpg"), is_url("1.jpg"), is_url("http://a.org/1.jpg\\t2")
    (True, False, False)
    """
    return "://" in text and not CONTROL.search(text)


class PictureManifest:
    """Which URL became which file: lines of a URL, a tab and the file's name, or the other way round.

    Some bytes of each line are kept, so that millions of pictures fit in memory.

    Args:
        path: of the manifest.

    Raises:
        ValueError: it cannot be read, or a line is wrong; the message names file and line.
    """

    def __init__(self, path: Path) -> None:
        stems: list[np.ndarray] = []
        hashes: list[np.ndarray] = []
        lines = (line for line in read_lines(path, Damages(skip=False)) if line[1].strip())
        pairs = map(partial(_pair, path), lines)
        while block := list(islice(pairs, BLOCK)):
            hashes.append(hash_ids([url for url, _ in block]))
            stems.append(np.array([stem for _, stem in block], dtype=np.dtypes.StringDType()))
        if not hashes:
            raise ValueError(f"{path} is empty: expected lines of a URL, a tab and the name of a file")
        # a URL that comes twice has its first file
        found, order = np.unique(np.concatenate(hashes), return_index=True)
        self._index = ImageIndex(found, order)
        self._stems = np.concatenate(stems)

    def stems(self, urls: Sequence[str]) -> list[str]:
        """The name of each URL's file without its suffix; empty where there is none."""
        rows = self._index.find(urls)
        return [str(self._stems[row]) if row >= 0 else "" for row in rows.tolist()]


# ---------------------------------------------------------------------------------------------------------------------


def _checked(row: Row) -> Row:
    where, number, sentence, url = row
    if not is_url(url):
        raise ValueError(f"{where}: expected a URL, got {url[:60]!r}: mend or remove the row")
    return where, number, sentence, url


def _pair(path: Path, line: tuple[int, str]) -> tuple[str, str]:
    number, text = line
    first, tab, second = text.partition("\t")
    url, file = (first, second) if "://" in first else (second, first)
    if not tab or "://" not in url or not file.strip():
        raise ValueError(
            f"{path}:{number}: expected a URL, a tab and the name of a file, got {text[:60]!r}: mend the line"
        )
    return url.strip(), PurePosixPath(file.strip()).stem
