"""Mining: random pairs of a whole data set are scored, and the best scored are each text's and each image's hardest.

Paper, appendix A.2, "Image-Text Retrieval". The pairs are a pure function of keys, the choice one of the scores: equal
scores are told apart by row. So a table depends neither on who scored which part nor on the order of the parts.
"""

# T texts, I images, P pairs, K hardest kept

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from uniter_data.negatives import RandomNegatives, drawn_in_parts

__all__ = ["HardTable", "ScoredPairs", "Side", "candidate_pairs"]

Side = Literal["texts", "image_rows"]


def candidate_pairs(
    negatives: RandomNegatives, keys: NDArray[np.int64], *, first: int, stop: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Texts (P,) and rows of images (P,): every text with those of its drawn images that lie in rows `first:stop`.

    Args:
        negatives: draws the images of each text.
        keys: (T,) of every pair.
        first, stop: rows of images.

    Returns:
        Image after image, the texts of each in order.
    """
    of_parts = []
    for part, drawn in drawn_in_parts(negatives.draw, keys, width=negatives.width):
        inside = (drawn.image_rows >= first) & (drawn.image_rows < stop)
        of_parts.append((part[inside.nonzero()[0]], drawn.image_rows[inside]))
    texts, rows = (np.concatenate(side) for side in zip(*of_parts, strict=True))
    order = np.argsort(rows, kind="stable")
    return texts[order], rows[order]


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredPairs:
    """Some cells of the matrix of scores of all texts with all images.

    Attributes:
        texts: (P,) int32.
        image_rows: (P,) int32.
        scores: (P,) float32; higher = fits better.
    """

    texts: NDArray[np.int32]
    image_rows: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence["ScoredPairs"]) -> Self:
        """The pairs of all parts."""
        return cls(
            texts=np.concatenate([part.texts for part in parts]),
            image_rows=np.concatenate([part.image_rows for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
        )

    def hardest(self, side: Side, keep: int) -> "ScoredPairs":
        """For each text, or each image, the `keep` pairs with the highest scores, fewer where there are fewer.

        Sorted by side, hardest first.
        """
        own, other = self._seen_from(side)
        order = np.lexsort((other, -self.scores, own))
        order = order[_places(own[order]) < keep]
        return ScoredPairs(texts=self.texts[order], image_rows=self.image_rows[order], scores=self.scores[order])

    def table(self, side: Side, *, count: int, keep: int) -> NDArray[np.int32]:
        """(count, keep) the hardest of each text or image, hardest first; −1 where there are fewer.

        >>> numbers = {"texts": np.array([0, 0, 2]), "image_rows": np.array([5, 6, 5])}
        >>> pairs = ScoredPairs(**numbers, scores=np.array([0.2, 0.9, 0.4]))
        >>> pairs.table("texts", count=3, keep=2).tolist()
        [[6, 5], [-1, -1], [5, -1]]
        """
        own, other = self.hardest(side, keep)._seen_from(side)
        found = np.full((count, keep), -1, dtype=np.int32)
        found[own, _places(own)] = other
        return found

    def _seen_from(self, side: Side) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return (self.texts, self.image_rows) if side == "texts" else (self.image_rows, self.texts)


@dataclass(frozen=True, kw_only=True, eq=False)
class HardTable:
    """What one mining found.

    Attributes:
        images: (T, K) int32, rows of images for each text, the hardest first; −1 where there are fewer.
        texts: (I, K) int32, texts for each image of the region store, likewise.
    """

    images: NDArray[np.int32]
    texts: NDArray[np.int32]

    def save(self, path: Path) -> None:
        """Write an .npz of both arrays, beside and renamed: what has its final name is whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.partial")
        with beside.open("wb") as file:
            np.savez(file, images=self.images, texts=self.texts)
        beside.replace(path)

    @classmethod
    def load(cls, path: Path, *, texts: int, images: int) -> Self:
        """The table of a data set of T texts and I images.

        Raises:
            ValueError: the file is missing, damaged or of other data; the message names it.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                table = cls(images=arrays["images"], texts=arrays["texts"])
        except (OSError, KeyError, ValueError, EOFError, BadZipFile, TypeError) as error:
            raise ValueError(f"{path}: no hard negatives can be read ({error})") from error
        if (len(table.images), len(table.texts)) != (texts, images):
            raise ValueError(
                f"{path}: expected hard negatives of {texts} texts and {images} images, "
                f"got those of {len(table.images)} and {len(table.texts)}"
            )
        return table


# ---------------------------------------------------------------------------------------------------------------------


def _places(own: NDArray[np.int32]) -> NDArray[np.int64]:
    """(P,) place of each pair among those of its own text or image; `own` is sorted."""
    return np.arange(len(own)) - np.searchsorted(own, own, side="left")
