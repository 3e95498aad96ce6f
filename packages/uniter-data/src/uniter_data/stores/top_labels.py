"""Soft labels of which only the likeliest classes are kept, with their probabilities and the mass of the others."""

# R regions, C classes, K of them kept

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.rows import Rows

__all__ = ["MOST_CLASSES", "TopLabelRows", "keep_top"]

MOST_CLASSES = 1 << 16


class TopLabelRows:
    """Labels of which the likeliest are kept, read as distributions over all classes; see `Rows`.

    The mass of the classes that were not kept is spread evenly over them.

    Args:
        classes: (R, K) uint16.
        values: (R, K) float16.
        rest: (R,) float32.
        num_classes: C.
    """

    def __init__(self, classes: Rows, values: Rows, rest: Rows, *, num_classes: int) -> None:
        self.classes = classes
        self.values = values
        self.rest = rest
        self.shape = (classes.shape[0], num_classes)
        self.dtype: np.dtype[Any] = np.dtype(np.float16)

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """See `Rows.read`.

        Raises:
            ValueError: a class is none of the C.
        """
        classes = self.classes.read(starts, stops)
        if classes.size and classes.max() >= self.shape[1]:
            raise ValueError(f"label_classes: expected classes below {self.shape[1]}, got {classes.max()}")
        others = max(1, self.shape[1] - classes.shape[1])
        out = np.empty((len(classes), self.shape[1]), dtype=self.dtype)
        out[:] = (self.rest.read(starts, stops) / others)[:, None]
        np.put_along_axis(out, classes.astype(np.int64), self.values.read(starts, stops), axis=1)
        return out


def keep_top(
    labels: NDArray[np.float16], count: int
) -> tuple[NDArray[np.uint16], NDArray[np.float16], NDArray[np.float32]]:
    """The `count` likeliest classes of each row, likeliest first, of equals the lower one.

    Args:
        labels: (R, C) probabilities; C at most `MOST_CLASSES`.
        count: K, at most C.

    Returns:
        Classes (R, K), their probabilities (R, K), and the mass (R,) of all other classes.

    Raises:
        ValueError: a label is negative.

    >>> keep_top(np.array([[0.25, 0.125, 0.5, 0.125]], dtype=np.float16), 2)
    (array([[2, 0]], dtype=uint16), array([[0.5 , 0.25]], dtype=float16), array([0.25], dtype=float32))
    """
    if labels.size and labels.min() < 0:
        raise ValueError(f"labels must be probabilities, got {labels.min()}")
    # the bits of positive floats rise with them; the class in the low half makes every key another one
    bits = (labels + np.float16(0)).view(np.uint16).astype(np.uint32)
    keys = bits << 16 | np.arange(labels.shape[1], dtype=np.uint32)[::-1]
    kept = np.sort(np.partition(keys, -count, axis=1)[:, -count:], axis=1)[:, ::-1]
    classes = (labels.shape[1] - 1 - (kept & 0xFFFF)).astype(np.uint16)
    values = (kept >> 16).astype(np.uint16).view(np.float16)
    rest = labels.sum(axis=1, dtype=np.float32) - values.sum(axis=1, dtype=np.float32)
    return classes, values, np.maximum(rest, 0)
