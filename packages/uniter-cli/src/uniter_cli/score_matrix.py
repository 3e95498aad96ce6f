"""The score matrix of retrieval on disk: a Zarr group that is filled block by block and may be left at any moment.

A block is written, then marked in the done-map; what is not marked is scored again. The group lies beside its final
name until every block is marked, so that a matrix under its own name is whole.
"""

# T texts, I images

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from numpy.typing import NDArray

from uniter_cli.errors import UsageError
from uniter_tasks.grid import Block, grid_blocks

__all__ = ["ScoreMatrix"]

FORMAT, VERSION = "uniter-scores", 1


class ScoreMatrix:
    """Scores of T texts with I images; row = text, column = image, higher = fits better.

    Arrays of the group: `scores` (T, I) float32, a chunk a block; `done` (block rows, block columns) uint8, a chunk a
    block; `text_ids` (T,), `image_ids` (I,). Attributes: `format`, `version`, `origin`, what was scored by which model.

    Attributes:
        path: its final name.
        blocks: all of the grid, in order.
    """

    def __init__(self, path: Path, place: Path) -> None:
        group = zarr.open_group(place, mode="r+")
        if group.attrs.get("format") != FORMAT or group.attrs.get("version") != VERSION:
            raise UsageError(f"{place} holds no scores of retrieval that this version reads: choose another --out")
        self.path = path
        self.origin: dict[str, Any] = dict(group.attrs["origin"])
        self._group = group
        self._scores = group["scores"]
        self._done = group["done"]
        texts, images = self._scores.shape
        height, width = self._scores.chunks
        self.blocks = grid_blocks(texts, images, height=height, width=width)

    @classmethod
    def open(cls, path: Path) -> Self:
        """A whole matrix.

        Raises:
            UsageError: there is none.
        """
        if not (path / "zarr.json").is_file():
            unfinished = ": it is unfinished, repeat the command that wrote it" if _beside(path).exists() else ""
            raise UsageError(f"{path} holds no scores{unfinished}")
        return cls(path, path)

    @classmethod
    def begin(
        cls,
        path: Path,
        *,
        text_ids: Sequence[str],
        image_ids: Sequence[str],
        origin: Mapping[str, str],
        height: int,
        width: int,
    ) -> Self:
        """The matrix at `path`, whole or unfinished, or a new one; what is there must be of the same model and data.

        Args:
            path: its final name.
            text_ids: T names of the rows.
            image_ids: I names of the columns.
            origin: what was scored by which model.
            height, width: texts and images of a block; those of an unfinished matrix stay.

        Raises:
            UsageError: something else is in the way.
        """
        place = next((each for each in (path, _beside(path)) if (each / "zarr.json").is_file()), None)
        if place is None:
            if path.exists():
                raise UsageError(f"{path} is in the way, and no score matrix: choose another --out")
            place = _beside(path)
            _create(place, text_ids, image_ids, origin, height, width)
        found = cls(path, place)
        found._check(text_ids, image_ids, origin, place)
        return found

    @property
    def shape(self) -> tuple[int, int]:
        """(T, I)."""
        texts, images = self._scores.shape
        return int(texts), int(images)

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        """Some rows, (t, I)."""
        read: NDArray[np.float32] = self._scores[rows]
        return read

    @property
    def text_ids(self) -> list[str]:
        """T names of the rows."""
        return [str(name) for name in self._group["text_ids"][:]]

    @property
    def image_ids(self) -> list[str]:
        """I names of the columns."""
        return [str(name) for name in self._group["image_ids"][:]]

    def pending(self) -> list[Block]:
        """The blocks that are still to be scored."""
        done = self._done[:]
        return [block for block in self.blocks if not done[block.row, block.column]]

    def write(self, block: Block, scores: NDArray[np.float32]) -> None:
        """Keep a block's scores (texts, images), and then that they are there."""
        self._scores[block.texts, block.images] = scores
        self._done[block.row, block.column] = 1

    def publish(self) -> "ScoreMatrix":
        """The matrix under its own name, once every block is written.

        Raises:
            ValueError: some are not.
        """
        left = len(self.pending())
        if left:
            raise ValueError(f"{self.path}: {left} of {len(self.blocks)} blocks are not scored yet")
        if not self.path.exists():
            _beside(self.path).rename(self.path)
        return ScoreMatrix.open(self.path)

    def _check(self, text_ids: Sequence[str], image_ids: Sequence[str], origin: Mapping[str, str], place: Path) -> None:
        for name, value in origin.items():
            if self.origin.get(name) != value:
                raise UsageError(
                    f"{place} holds scores of another {name} ({self.origin.get(name)}, not {value}): remove it, or "
                    "choose another --out"
                )
        if self.text_ids != list(text_ids) or self.image_ids != list(image_ids):
            raise UsageError(f"{place} holds scores of other texts or images: remove it, or choose another --out")


# ---------------------------------------------------------------------------------------------------------------------


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _create(
    place: Path, text_ids: Sequence[str], image_ids: Sequence[str], origin: Mapping[str, str], height: int, width: int
) -> None:
    """An empty matrix: made beside and renamed, so that one that is found can be gone on with."""
    new = place.with_name(f"{place.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    shape = len(text_ids), len(image_ids)
    chunks = min(height, shape[0]), min(width, shape[1])
    group = zarr.create_group(new, attributes={"format": FORMAT, "version": VERSION, "origin": dict(origin)})
    group.create_array("scores", shape=shape, chunks=chunks, dtype="float32", fill_value=np.nan, compressors=None)
    blocks = tuple(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True))
    group.create_array("done", shape=blocks, chunks=(1, 1), dtype="uint8", fill_value=0, compressors=None)
    for name, ids in (("text_ids", text_ids), ("image_ids", image_ids)):
        group.create_array(name, shape=(len(ids),), dtype=str)[:] = np.array(ids, dtype=object)
    new.rename(place)
