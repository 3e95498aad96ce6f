"""Reading a store of images' regions."""

# I images, R regions of an image, D feature width, C classes

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniter_data.stores.group import INDEX, REGIONS, StoredGroup
from uniter_data.stores.image_index import ImageIndex
from uniter_data.stores.region_format import RegionFormat
from uniter_data.stores.rows import Rows

__all__ = ["RegionRecord", "RegionStore", "geometry"]


@dataclass(frozen=True, kw_only=True)
class RegionRecord:
    """The regions of one image.

    Attributes:
        features: (R, D) float16, whatever the store keeps.
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

    Attributes:
        num_images: I.
        region_dim: D.
        num_classes: C; 0 if there are no labels.
        class_names: of the soft labels.
        hard_labels: whether one class is all that is known of a region, so that its labels are no distribution.
        format: how the store keeps what the following give.
        offsets: (I + 1,) where each image's regions begin.
        features: rows float16 (D,).
        boxes: rows float32 (6,).
        confidence: rows float32.
        labels: rows float16 (C,), or None.

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
        self.hard_labels = bool(group.attributes.get("attributes", {}).get("hard_labels"))
        self.format = RegionFormat.of(group.attributes, group.location)
        self.offsets: NDArray[np.int64] = group.numbers("offsets")
        self.num_images: int = group.rows("image_sizes").shape[0]  # I
        self.features = self.format.open_features(group.rows)
        self.boxes = group.rows("boxes")
        self.confidence = group.rows("confidence")
        self.labels = self.format.open_labels(group.rows)
        self._group = group
        self._check()

    @cached_property
    def image_ids(self) -> NDArray[Any]:
        """(I,) of dtype StringDType; read when first asked for.

        Raises:
            ValueError: they are damaged, or not as many as the images.
        """
        image_ids = self._group.strings("image_ids")
        self._expect({"image_ids": (image_ids.shape, (self.num_images,))})
        return image_ids

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
        return self._index.find(image_ids)

    def read(self, rows: ArrayLike) -> list[RegionRecord]:
        """The regions of some images, fetched together."""
        chosen = np.asarray(rows, dtype=np.int64)
        starts, stops = self.offsets[chosen], self.offsets[chosen + 1]
        features, boxes = self.features.read(starts, stops), geometry(self.boxes.read(starts, stops))
        confidence = self.confidence.read(starts, stops)
        labels = self.labels.read(starts, stops) if self.labels else None
        records, last = [], 0
        for length in (stops - starts).tolist():
            first, last = last, last + length
            records.append(
                RegionRecord(
                    features=features[first:last],
                    boxes=boxes[first:last],
                    labels=None if labels is None else labels[first:last],
                    confidence=confidence[first:last],
                )
            )
        return records

    def open_rows(self, name: str) -> Rows:
        """An array of the store as it is kept; see `RegionFormat`."""
        return self._group.rows(name)

    def check_index(self) -> None:
        """Compare the index with the ids; reads all of them.

        Raises:
            ValueError: they differ.
        """
        built = ImageIndex.build(self.image_ids.tolist())
        if (built.find(self.image_ids) != self.find(self.image_ids)).any():
            raise ValueError(
                f"{self.location}: the index of the images is not that of image_ids: write the store again"
            )

    def __reduce__(self) -> tuple[type["RegionStore"], tuple[str]]:
        return RegionStore, (self.location,)

    @cached_property
    def _index(self) -> ImageIndex:
        if not self.attributes.get("indexed"):  # as the first stores
            return ImageIndex.build(self.image_ids.tolist())
        hashes, order = (self._group.numbers(name) for name in INDEX)
        self._expect(
            {name: (array.shape, (self.num_images,)) for name, array in zip(INDEX, (hashes, order), strict=True)}
        )
        return ImageIndex(hashes, order)

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
        self._expect(expected)
        if (self.offsets[1:] < self.offsets[:-1]).any() or self.offsets[0] != 0:
            raise ValueError(f"{self.location}/offsets must rise from 0: copy or write the store again")

    def _expect(self, shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
        for name, (found, wanted) in shapes.items():
            if found != wanted:
                raise ValueError(f"{self.location}/{name} has shape {found}, expected {wanted}: write the store again")


def geometry(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The seven numbers of the location embedding from the stored six (paper, section 3.1): the area is appended.

    >>> geometry(np.array([[0, 0, 0.5, 0.5, 0.5, 0.5]], dtype=np.float32))[0, 6].item()
    0.25
    """
    found = np.empty((len(boxes), 7), dtype=boxes.dtype)
    found[:, :6] = boxes
    np.multiply(boxes[:, 4], boxes[:, 5], out=found[:, 6])
    return found
