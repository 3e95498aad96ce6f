"""Lets `UnitBatches` draw examples: what it calls a pair is an example with all its samples' units."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CountedExamples"]


@dataclass(frozen=True, eq=False)
class CountedExamples:
    """Examples by number and size; a `Pairs` for `UnitBatches` without mismatches.

    `Batch.parts` are then indices for `ExampleDataset.examples`, `Batch.keys` their keys.

    Attributes:
        name: for messages.
        units: (E,) words and regions of each example as its task lays it out.

    >>> from uniter_data import UnitBatches
    >>> batches = UnitBatches(CountedExamples("vqa", np.array([30, 40, 50])), units=90, seed=0)
    >>> sorted(int(index) for batch in batches.epoch(0) for index in batch.parts[0])
    [0, 1, 2]
    """

    name: str
    units: NDArray[np.int64]

    @property
    def text_lengths(self) -> NDArray[np.int64]:
        """(E,) all units of each example."""
        return self.units

    @property
    def image_rows(self) -> NDArray[np.int64]:
        """(E,) an image without regions."""
        return np.zeros(len(self.units), np.int64)

    @property
    def region_lengths(self) -> NDArray[np.int64]:
        """(1,) regions of that image."""
        return np.zeros(1, np.int64)

    @property
    def groups(self) -> NDArray[np.int64]:
        """(E,) all in one: there is nothing to mismatch with."""
        return np.zeros(len(self.units), np.int64)
