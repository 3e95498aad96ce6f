"""Several region stores as one: the pictures of VQA's training, say, lie in COCO's train2014 and val2014."""

# I images, R regions of all stores

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.region_store import RegionStore
from uniter_data.stores.rows import Rows

__all__ = ["JoinedRows", "RegionUnion"]


class JoinedRows:
    """Arrays one after another, read as one; see `Rows`.

    Args:
        parts: of equal row shape.
    """

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts
        self._ends = np.cumsum([part.shape[0] for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """See `Rows.read`. No stretch reaches from one part into the next."""
        if len(self._parts) == 1:
            return self._parts[0].read(starts, stops)
        part_of = np.minimum(np.searchsorted(self._ends, starts, side="right"), len(self._parts) - 1)
        pieces: list[NDArray[Any]] = [np.empty((0, *self.shape[1:]), self.dtype)] * len(starts)
        for number in np.unique(part_of).tolist():
            chosen = np.flatnonzero(part_of == number)
            before = int(self._ends[number - 1]) if number else 0
            rows = self._parts[number].read(starts[chosen] - before, stops[chosen] - before)
            cuts = np.cumsum(stops[chosen] - starts[chosen])[:-1]
            for place, piece in zip(chosen.tolist(), np.split(rows, cuts), strict=True):
                pieces[place] = piece
        return np.concatenate([np.empty((0, *self.shape[1:]), self.dtype), *pieces])


class RegionUnion:
    """The images of some region stores; one that several have is taken from the first.

    Attributes:
        region_dim: feature width D.
        num_classes: classes C of the soft labels; 0 if there are none.
        starts, stops: (I,) where each image's regions begin and end in the arrays.
        features, boxes, labels: the stores' arrays, one after another; no labels where C is 0.

    Raises:
        ValueError: there is no store, one cannot be opened, or two differ in feature width or classes.
    """

    def __init__(self, locations: Sequence[str | Path]) -> None:
        if not locations:
            raise ValueError("regions: expected at least one region store, got none")
        self.stores = [RegionStore(location) for location in locations]
        self.region_dim = self.stores[0].region_dim
        self.num_classes = self.stores[0].num_classes
        for store in self.stores[1:]:
            refuse_difference(self.stores[0], store)
        self.features = JoinedRows([store.features for store in self.stores])
        self.boxes = JoinedRows([store.boxes for store in self.stores])
        labels = [store.labels for store in self.stores if store.labels]
        self.labels = JoinedRows(labels) if labels else None
        ends = np.cumsum([store.offsets[-1] for store in self.stores])
        before = [0, *ends[:-1].tolist()]
        self.starts = np.concatenate(
            [store.offsets[:-1] + rows for store, rows in zip(self.stores, before, strict=True)]
        )
        self.stops = np.concatenate([store.offsets[1:] + rows for store, rows in zip(self.stores, before, strict=True)])

    @property
    def location(self) -> str:
        """For messages."""
        return ", ".join(store.location for store in self.stores)

    @cached_property
    def region_lengths(self) -> NDArray[np.int64]:
        """(I,) regions of each image."""
        lengths: NDArray[np.int64] = self.stops - self.starts
        return lengths

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each image id."""
        ids = [image_id for store in self.stores for image_id in store.image_ids.tolist()]
        return {image_id: row for row, image_id in reversed(list(enumerate(ids)))}

    def find(self, image_ids: Sequence[str]) -> NDArray[np.int64]:
        """The row of each image id, -1 where no store has it."""
        found = np.full(len(image_ids), -1, dtype=np.int64)
        before = sum(store.num_images for store in self.stores)
        for store in reversed(self.stores):  # the first that has it counts
            before -= store.num_images
            rows = store.find(image_ids)
            found = np.where(rows >= 0, rows + before, found)
        return found


def refuse_difference(one: RegionStore, other: RegionStore) -> None:
    """Refuse two stores whose regions cannot stand in one batch.

    Raises:
        ValueError: naming both stores and what differs.
    """
    for what, of_one, of_other in (
        ("feature width", one.region_dim, other.region_dim),
        ("classes", one.class_names, other.class_names),
    ):
        if of_one != of_other:
            shown = (
                (len(of_one), len(of_other))
                if isinstance(of_one, tuple) and isinstance(of_other, tuple)
                else (of_one, of_other)
            )
            raise ValueError(
                f"{one.location} and {other.location} differ in {what} ({shown[0]} and {shown[1]}): "
                "use stores of one extractor"
            )
