"""How far boxes overlap: which region is the object that a referring expression means."""

# R regions

import numpy as np
from numpy.typing import NDArray

__all__ = ["box_overlaps"]


def box_overlaps(
    boxes: NDArray[np.float32], box: tuple[float, float, float, float], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Intersection over union of regions with one box.

    Args:
        boxes: (R, 4 or more) x1, y1, x2, y2 in the unit square.
        box: x, y, width, height in pixels.
        size: width and height of the picture in pixels.

    Returns:
        (R,) from 0 to 1.

    >>> box_overlaps(np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]], np.float32), (0, 0, 40, 100), (100, 100))
    array([0.8, 0. ])
    """
    scale = np.array([*size, *size], dtype=np.float64)
    corners = boxes[:, :4].astype(np.float64) * scale
    left, top, width, height = box
    gold = np.array([left, top, left + width, top + height])
    shared = np.clip(np.minimum(corners[:, 2:], gold[2:]) - np.maximum(corners[:, :2], gold[:2]), 0.0, None).prod(
        axis=1
    )
    areas = np.clip(corners[:, 2:] - corners[:, :2], 0.0, None).prod(axis=1)
    union = areas + width * height - shared
    overlaps: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps
