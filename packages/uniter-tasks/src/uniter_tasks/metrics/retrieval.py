"""Recall of image-text retrieval over a full grid of scores, read in blocks of rows so that memory stays flat.

A candidate that is wrong and has the score of the right one stands before it: a model that gives everything one score
finds nothing.

T texts, I images, Q queries, C candidates, F folds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["RetrievalScore", "ScoreMatrix", "recall_at", "retrieval_ranks", "score_retrieval"]

BLOCK = 1 << 22  # scores in memory at a time


class ScoreMatrix(Protocol):
    """A (T, I) matrix of which some rows can be read: a NumPy array or memory map, a Zarr array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, I)."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Some rows, (t, I)."""


@dataclass(frozen=True, kw_only=True)
class RetrievalScore:
    """Share of the queries that find a true candidate among their k best, by k.

    Attributes:
        image_recall: images for a text.
        text_recall: texts for an image; the best placed of its texts counts.
        image_ranks: (T,) int64, wrong images that stand before the true one of each text.
        text_ranks: (I,) int64, wrong texts that stand before the best true one of each image.
    """

    image_recall: dict[int, float]
    text_recall: dict[int, float]
    image_ranks: NDArray[np.int64]
    text_ranks: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Mean over both ways and all k."""
        return float(np.mean([*self.image_recall.values(), *self.text_recall.values()]))


def score_retrieval(
    scores: ScoreMatrix,
    text_images: Sequence[int] | NDArray[np.int64],
    *,
    ks: Sequence[int] = (1, 5, 10),
    folds: int = 1,
) -> RetrievalScore:
    """Recall both ways.

    Args:
        scores: (T, I), row = text, column = image, higher is better.
        text_images: (T,) column of the image that each text describes; an image may have several texts.
        ks: candidates looked at.
        folds: F equal parts of the images, as they stand, each with its texts a gallery of its own; recall is the mean
            over the parts. COCO's 1K numbers are those of 5 folds of its 5,000 test images (Karpathy & Fei-Fei, 2015).

    Raises:
        ValueError: as `retrieval_ranks`; k < 1; fewer images than folds.

    >>> scores = np.array([[0.9, 0.1], [0.2, 0.3], [0.8, 0.7]])
    >>> score = score_retrieval(scores, [0, 1, 1], ks=(1, 2))
    >>> score.image_recall, score.text_recall
    ({1: 0.6666666666666666, 2: 1.0}, {1: 1.0, 2: 1.0})
    """
    images = scores.shape[-1]
    if any(k < 1 for k in ks):
        raise ValueError(f"ks: expected numbers of at least 1, got {list(ks)}")
    if not 1 <= folds <= images:
        raise ValueError(f"folds: expected 1 to {images} (the number of images), got {folds}")
    image_folds = np.arange(images) * folds // images
    image_ranks, text_ranks = retrieval_ranks(scores, text_images, image_folds=image_folds if folds > 1 else None)
    text_folds = image_folds[np.asarray(text_images)]
    return RetrievalScore(
        image_recall={k: _recall(image_ranks, text_folds, k) for k in ks},
        text_recall={k: _recall(text_ranks, image_folds, k) for k in ks},
        image_ranks=image_ranks,
        text_ranks=text_ranks,
    )


def retrieval_ranks(
    scores: ScoreMatrix,
    text_images: Sequence[int] | NDArray[np.int64],
    *,
    image_folds: NDArray[np.int64] | None = None,
    block: int = BLOCK,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many wrong candidates stand before the true one, for each text and for each image.

    The matrix is read twice: first the scores of the true pairs, then all against these.

    Args:
        scores, text_images: as for `score_retrieval`.
        image_folds: (I,) only candidates of the same fold compete; None = all.
        block: scores in memory at a time.

    Returns:
        (T,) int64 wrong images before the text's own, and (I,) int64 wrong texts before the image's best text.

    Raises:
        ValueError: `scores` has not two axes; `text_images` does not fit; an image has no text; a score is not finite.
    """
    if len(scores.shape) != 2:
        raise ValueError(f"scores: expected a (T, I) matrix, got shape {scores.shape}")
    texts, images = scores.shape
    gold = np.asarray(text_images, dtype=np.int64)
    if gold.shape != (texts,) or ((gold < 0) | (gold >= images)).any():
        raise ValueError(f"text_images: expected {texts} columns from 0 to {images - 1}, got shape {gold.shape}")
    if len(np.unique(gold)) != images:
        raise ValueError(f"text_images: image {int(np.argmin(np.bincount(gold, minlength=images)))} has no text")
    own = np.concatenate([rows[np.arange(len(rows)), gold[part]] for part, rows in _blocks(scores, block)])
    best = np.full(images, -np.inf)
    np.maximum.at(best, gold, own)
    image_ranks, text_ranks = np.zeros(texts, dtype=np.int64), np.zeros(images, dtype=np.int64)
    for part, rows in _blocks(scores, block):
        wrong = np.arange(images) != gold[part, None]
        if image_folds is not None:
            wrong &= image_folds == image_folds[gold[part], None]
        image_ranks[part] = (wrong & (rows >= own[part, None])).sum(axis=1)
        text_ranks += (wrong & (rows >= best)).sum(axis=0)
    return image_ranks, text_ranks


def recall_at(scores: NDArray[np.floating], truth: NDArray[np.bool_], k: int) -> float:
    """Share of the queries that find a true candidate among their k best, for any truth.

    Args:
        scores: (Q, C), higher is better.
        truth: (Q, C) bool, at least one true candidate a row.
        k: candidates looked at.

    Raises:
        ValueError: shapes differ, a score is not finite, k < 1, or a query has no true candidate.

    >>> scores = np.array([[0.9, 0.1, 0.3], [0.5, 0.5, 0.2]])
    >>> truth = np.array([[True, False, False], [True, False, False]])
    >>> recall_at(scores, truth, 1), recall_at(scores, truth, 2)
    (0.5, 1.0)
    """
    scores, truth = np.asarray(scores), np.asarray(truth, dtype=bool)
    if scores.ndim != 2 or scores.shape != truth.shape:
        raise ValueError(f"truth: expected the (Q, C) shape of scores {scores.shape}, got {truth.shape}")
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    if not np.isfinite(scores).all():
        raise ValueError("scores: expected finite numbers only")
    if not truth.any(axis=1).all():
        raise ValueError(f"truth: query {int(np.argmin(truth.any(axis=1)))} has no true candidate")
    best = np.where(truth, scores, -np.inf).max(axis=1, keepdims=True)
    before = ((scores >= best) & ~truth).sum(axis=1)
    return float((before < k).mean())


# ---------------------------------------------------------------------------------------------------------------------


def _blocks(scores: ScoreMatrix, block: int) -> Iterator[tuple[slice, NDArray[np.floating]]]:
    """The matrix from top to bottom, some rows at a time; every score is checked."""
    texts, images = scores.shape
    step = max(1, block // max(1, images))
    for start in range(0, texts, step):
        part = slice(start, min(start + step, texts))
        rows = np.asarray(scores[part])
        if not np.isfinite(rows).all():
            text, image = np.argwhere(~np.isfinite(rows))[0].tolist()
            raise ValueError(f"scores: text {start + text} with image {image}: expected a finite number, got none")
        yield part, rows


def _recall(ranks: NDArray[np.int64], folds: NDArray[np.int64], k: int) -> float:
    return float((np.bincount(folds, weights=ranks < k) / np.bincount(folds)).mean())
