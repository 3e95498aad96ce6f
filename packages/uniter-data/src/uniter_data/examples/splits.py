"""Which split each annotation file belongs to: as its caller says, or as its own name does."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

__all__ = ["Files", "by_split", "chained", "split_of_name"]

# The files of each split; those under "" belong where they themselves say.
Files = Mapping[str, Sequence[str | Path]]

Record = TypeVar("Record")
RENAMED = {"dev": "val", "test1": "test"}


def by_split(files: Files, split_of: Callable[[Path], str]) -> dict[str, list[Path]]:
    """The files of each split.

    >>> by_split({"": ["snli_ve_dev.jsonl"], "train": ["a.jsonl"]}, split_of_name)
    {'val': [PosixPath('snli_ve_dev.jsonl')], 'train': [PosixPath('a.jsonl')]}
    """
    found: dict[str, list[Path]] = {}
    for split, paths in files.items():
        for path in map(Path, paths):
            found.setdefault(split or split_of(path), []).append(path)
    return found


def split_of_name(path: Path) -> str:
    """The last word of the file's name; dev is val, and test1, NLVR2's public test, is test.

    >>> split_of_name(Path("snli_ve_train.jsonl")), split_of_name(Path("dev.json")), split_of_name(Path("test1.json"))
    ('train', 'val', 'test')
    """
    word = path.stem.rpartition("_")[2]
    return RENAMED.get(word, word)


def chained(read: Callable[[Path], Iterable[Record]], paths: Sequence[Path]) -> Callable[[], Iterator[Record]]:
    """The records of several files, one file after another, anew at every call."""
    return partial(_chain, read, paths)


def _chain(read: Callable[[Path], Iterable[Record]], paths: Sequence[Path]) -> Iterator[Record]:
    return chain.from_iterable(map(read, paths))
