"""Boxes in the unit square, of boxes in pixels; and how many of a detector's boxes are kept."""

# R regions

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoxRule", "picture_size", "unit_boxes"]


@dataclass(frozen=True, kw_only=True)
class BoxRule:
    """Which of a detector's boxes, the most confident first, are kept; the paper's rule, as released.

    Attributes:
        threshold: boxes of a larger confidence count; -1 keeps `most`.
        least: boxes that are kept whatever their confidence.
        most: boxes that are kept at most.

    >>> BoxRule(least=1).count(np.array([0.9, 0.4, 0.2, 0.1], dtype=np.float16))
    2
    """

    threshold: float = 0.2
    least: int = 10
    most: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.most:
            raise ValueError(f"least, most: expected 0 < least <= most, got {self.least} and {self.most}")

    @property
    def suffix(self) -> str:
        """The rule as the official converter writes it in file names.

        >>> BoxRule().suffix
        'th0.2_max100_min10'
        """
        return f"th{self.threshold}_max{self.most}_min{self.least}"

    def count(self, confidence: NDArray[Any]) -> int:
        """How many of the boxes of an image are kept.

        Args:
            confidence: (R,) descending; compared in its own precision, as released.
        """
        confident = int((confidence > confidence.dtype.type(self.threshold)).sum())
        return min(len(confidence), self.most, max(self.least, confident))


def picture_size(width: NDArray[Any], height: NDArray[Any]) -> tuple[int, int]:
    """The size of a picture of which a file keeps width and height as arrays of one number.

    Raises:
        ValueError: one is no whole number.
    """
    for name, value in (("width", width), ("height", height)):
        if value.size != 1 or value.dtype.kind not in "iu":
            raise ValueError(f"{name}: expected a whole number, got {value.dtype} of shape {value.shape}")
    return int(width.reshape(())), int(height.reshape(()))


def unit_boxes(corners: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """(R, 6) x1, y1, x2, y2, w, h in the unit square.

    Args:
        corners: (R, 4) x1, y1, x2, y2 in pixels.
        size: (width, height) of the picture.

    Raises:
        ValueError: the picture has no size, or the boxes another shape.

    >>> unit_boxes(np.array([[0, 10, 40, 30]], dtype=np.float32), (80, 40)).tolist()
    [[0.0, 0.25, 0.5, 0.75, 0.5, 0.5]]
    """
    if min(size) < 1:
        raise ValueError(f"expected a picture of some pixels, got {size[0]} x {size[1]}")
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise ValueError(f"boxes: expected shape (any, 4), got {corners.shape}")
    scaled = (corners / np.array(size * 2, dtype=np.float32)).astype(np.float32)
    return np.concatenate([scaled, scaled[:, 2:] - scaled[:, :2]], axis=1)
