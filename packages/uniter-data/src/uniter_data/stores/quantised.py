"""Features in eight bits: whole numbers from -127 to 127 and a scale a row."""

# R regions, D feature width

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uniter_data.stores.rows import Rows

__all__ = ["QuantisedRows", "quantise"]

MOST = 127
BLOCK = 32  # rows multiplied at once


class QuantisedRows:
    """Quantised features, read as the float16 that they stand for; see `Rows`.

    Args:
        values: (R, D) int8.
        scales: (R,) float32.
    """

    def __init__(self, values: Rows, scales: Rows) -> None:
        self.values = values
        self.scales = scales
        self.shape = values.shape
        self.dtype: np.dtype[Any] = np.dtype(np.float16)

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """See `Rows.read`."""
        values = self.values.read(starts, stops)
        scales = self.scales.read(starts, stops)[:, None]
        out = np.empty(values.shape, dtype=np.float16)
        # torch multiplies in float32 and rounds once, at 25 times the speed of numpy; what it converts on the way stays
        # in the processor's cache where that is a few rows at once
        parts = (torch.split(torch.from_numpy(array), BLOCK) for array in (values, scales, out))
        for few, their_scales, result in zip(*parts, strict=True):
            torch.mul(few, their_scales, out=result)
        return out


def quantise(features: NDArray[np.float16]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The nearest whole numbers at a scale of a 127th of each row's largest magnitude.

    Args:
        features: (R, D) finite.

    Returns:
        Values (R, D) and scales (R,). What they stand for, rounded to float16 and quantised again, gives the same.

    >>> values, scales = quantise(np.array([[0, 0.5, -1]], dtype=np.float16))
    >>> values.tolist(), round(float(scales[0]) * 127, 6)
    ([[0, 64, -127]], 1.0)
    """
    exact = features.astype(np.float32)
    scales = np.abs(exact).max(axis=1, initial=0) / np.float32(MOST)
    values = np.rint(exact / np.where(scales > 0, scales, 1)[:, None])
    return values.astype(np.int8), scales
