"""Reading a store of images' regions."""

# I images, R regions of an image, D feature width, C classes

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniter_data.stores.group import REGIONS, StoredGroup

__all__ = ["RegionRecord", "RegionStore", "geometry"]


@dataclass(frozen=True, kw_only=True)
class RegionRecord:
    """The regions of one image.

    Attributes:
        features: (R, D) float16.
        boxes: (R, 7) float32: x1, y1, x2, y2, w, h in the unit square, and w * h.
        labels: (R, C) float16 soft labels, or None.
        confidence: (R,) float32.
    """

    features: NDArray[np.float16]
    boxes: NDArray[np.float32]
    labels: NDArray[np.float16] | None
    confidence: NDArray[np.float32]


class RegionStore:
    """A published region store, local or remote. Pickles as its path: the process that receives it opens it anew.

    Args:
        path: folder or URL.

    Raises:
        ValueError: it is missing, foreign, too new or cut short; the message names the file.
    """

    def __init__(self, path: str | Path) -> None:
        group = StoredGroup(path, REGIONS)
        self.location = group.location
        self.attributes = group.attributes
        self.region_dim: int = group.attribute("region_dim")
        self.num_classes: int = group.attribute("num_classes")
        self.class_names: tuple[str, ...] = tuple(group.attribute("class_names"))
        self.image_ids: NDArray[Any] = group.strings("image_ids")
        self.offsets: NDArray[np.int64] = group.numbers("offsets")
        self.features = group.rows("features")
        self.boxes = group.rows("boxes")
        self.confidence = group.rows("confidence")
        self.labels = group.rows("labels") if self.num_classes else None
        self._group = group
        self._check()

    @property
    def num_images(self) -> int:
        """I."""
        return len(self.image_ids)

    @cached_property
    def region_lengths(self) -> NDArray[np.int64]:
        """(I,) regions of each image."""
        return np.diff(self.offsets)

    @cached_property
    def image_sizes(self) -> NDArray[np.int32]:
        """(I, 2) width and height in pixels, 0 where not known."""
        return self._group.numbers("image_sizes")

    def find(self, image_ids: ArrayLike) -> NDArray[np.int64]:
        """The row of each image id, -1 where the store lacks it."""
        wanted = np.asarray(image_ids).tolist()
        return np.fromiter((self._rows.get(image_id, -1) for image_id in wanted), np.int64, len(wanted))

    def read(self, rows: ArrayLike) -> list[RegionRecord]:
        """The regions of some images, fetched together."""
        chosen = np.asarray(rows, dtype=np.int64)
        starts, stops = self.offsets[chosen], self.offsets[chosen + 1]
        cuts = np.cumsum(stops - starts)[:-1]
        features = np.split(self.features.read(starts, stops), cuts)
        boxes = np.split(geometry(self.boxes.read(starts, stops)), cuts)
        confidence = np.split(self.confidence.read(starts, stops), cuts)
        labels = np.split(self.labels.read(starts, stops), cuts) if self.labels else [None] * len(chosen)
        return [
            RegionRecord(features=features[i], boxes=boxes[i], labels=labels[i], confidence=confidence[i])
            for i in range(len(chosen))
        ]

    def __reduce__(self) -> tuple[type["RegionStore"], tuple[str]]:
        return RegionStore, (self.location,)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self.image_ids.tolist())}

    def _check(self) -> None:
        total = int(self.offsets[-1]) if len(self.offsets) else -1
        expected = {
            "offsets": (self.offsets.shape, (self.num_images + 1,)),
            "features": (self.features.shape, (total, self.region_dim)),
            "boxes": (self.boxes.shape, (total, 6)),
            "confidence": (self.confidence.shape, (total,)),
        }
        if self.labels:
            expected["labels"] = (self.labels.shape, (total, self.num_classes))
        for name, (found, wanted) in expected.items():
            if found != wanted:
                raise ValueError(f"{self.location}/{name} has shape {found}, expected {wanted}: write the store again")
        if (self.offsets[1:] < self.offsets[:-1]).any() or self.offsets[0] != 0:
            raise ValueError(f"{self.location}/offsets must rise from 0: copy or write the store again")


def geometry(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The seven numbers of the location embedding from the stored six (paper, section 3.1): the area is appended.

    >>> geometry(np.array([[0, 0, 0.5, 0.5, 0.5, 0.5]], dtype=np.float32))[0, 6].item()
    0.25
    """
    return np.concatenate([boxes, boxes[:, 4:5] * boxes[:, 5:6]], axis=1)
