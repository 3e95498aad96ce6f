"""Referring expressions: overlap of boxes, and how often the chosen box is the one that was meant.

E expressions; boxes are x, y, width, height in pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["RefexpScore", "box_iou", "score_refexp"]

THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class RefexpScore:
    """Shares in [0, 1].

    Attributes:
        accuracy: of the expressions whose chosen box overlaps the gold box by more than half.
        mean_iou: of the chosen with the gold boxes.
        examples: (E,) bool, right or wrong.
        iou: (E,) float64, of each.
    """

    accuracy: float
    mean_iou: float
    examples: NDArray[np.bool_]
    iou: NDArray[np.float64]


def score_refexp(chosen: ArrayLike, gold: ArrayLike) -> RefexpScore:
    """Share of the expressions whose chosen box has an IoU of strictly more than 0.5 with the gold box.

    With ground-truth boxes as with detected ones (Mao et al., CVPR 2016; Yu et al., CVPR 2018): this is what published
    tables count, though an annotated box that covers most of its neighbour may stand in for it.

    Args:
        chosen, gold: (E, 4) boxes.

    Raises:
        ValueError: the shapes differ, there is no box, or one has a negative side.
    """
    boxes, truth = np.asarray(chosen, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    if boxes.shape != truth.shape or boxes.ndim != 2 or not len(boxes):
        raise ValueError(f"expected (E, 4) chosen and gold boxes, at least one, got {boxes.shape} and {truth.shape}")
    iou = box_iou(boxes, truth)
    right = iou > THRESHOLD
    return RefexpScore(accuracy=float(right.mean()), mean_iou=float(iou.mean()), examples=right, iou=iou)


def box_iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of boxes with continuous edges.

    The released code subtracts and adds a pixel, which cancels out but for overlaps of at most one pixel in x or y: it
    calls these empty, we measure them.

    Args:
        first, second: (…, 4) boxes, broadcast against each other.

    Returns:
        (…) in [0, 1]; 0 where both boxes are empty.

    Raises:
        ValueError: a box has not four numbers, one is not finite, or a side is negative.

    >>> box_iou([0, 0, 10, 10], [[0, 0, 10, 10], [5, 0, 10, 10], [10, 0, 10, 10]]).round(3).tolist()
    [1.0, 0.333, 0.0]
    """
    boxes = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    for each in boxes:
        if each.shape[-1:] != (4,) or not np.isfinite(each).all() or (each[..., 2:] < 0).any():
            raise ValueError(f"boxes: expected finite x, y, width, height with sides of at least 0, shape {each.shape}")
    a, b = boxes
    ends = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(ends - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=-1)
    union = a[..., 2:].prod(axis=-1) + b[..., 2:].prod(axis=-1) - shared
    iou: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
    return iou
