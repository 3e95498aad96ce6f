"""Rows of several arrays, gathered in memory that is used again and again: fresh memory costs more than copying."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.layout import RowLayout

__all__ = ["RowBlock"]

SPARE_ROWS = 128  # there is room for beside those asked for, so that the last images seldom need more


class RowBlock:
    """Gathers rows until they are taken.

    Args:
        arrays: name → layout.
        nbytes: there is room for; more where they are exceeded.

    Attributes:
        nbytes: of the gathered rows.
    """

    def __init__(self, arrays: Mapping[str, RowLayout], *, nbytes: int) -> None:
        self.nbytes = 0
        self._rows = 0
        rows = nbytes // sum(layout.row_bytes for layout in arrays.values()) + SPARE_ROWS
        self._room = {
            name: np.empty((rows, *layout.row_shape), layout.dtype.newbyteorder("=")) for name, layout in arrays.items()
        }

    def append(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Copy rows of every array, as many of each.

        Raises:
            ValueError: an array is missing or has another shape.
        """
        count = len(next(iter(rows.values())))
        for name, room in self._room.items():
            if name not in rows or rows[name].shape != (count, *room.shape[1:]):
                got = rows[name].shape if name in rows else "nothing"
                raise ValueError(f"{name}: expected rows of shape {(count, *room.shape[1:])}, got {got}")
        end = self._rows + count
        for name, room in self._room.items():
            if end > len(room):
                wider = np.empty((max(end, 2 * len(room)), *room.shape[1:]), room.dtype)
                wider[: self._rows] = room[: self._rows]
                self._room[name] = room = wider
            room[self._rows : end] = rows[name]
        self._rows = end
        self.nbytes += sum(rows[name].nbytes for name in self._room)

    def take(self) -> dict[str, NDArray[Any]]:
        """The gathered rows by array, to be used before the next are appended."""
        taken = {name: room[: self._rows] for name, room in self._room.items()}
        self.nbytes = self._rows = 0
        return taken
