"""Writing a store of images' regions, image after image, resumably."""

# R regions of an image, D feature width, C classes

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniter_data.stores.group import INDEX, REGIONS, write_strings
from uniter_data.stores.half_precision import all_finite, to_float16
from uniter_data.stores.image_index import ImageIndex
from uniter_data.stores.journal import Journal
from uniter_data.stores.region_format import RegionFormat
from uniter_data.stores.shards import ShardWriter, write_rows

__all__ = ["RegionWriter"]

BLOCK_IMAGES = 256  # or so many bytes are written between two notes in the journal
BLOCK_BYTES = 1 << 27
UNIT_SQUARE = 0.01  # how far beyond the unit square a box may reach: detectors round


class RegionWriter:
    """Writes a region store beside its path and publishes it by a rename.

    A writer opened on a path whose writing was interrupted goes on: `done` holds the images that are written.

    Args:
        path: of the store, usually `….zarr`.
        region_dim: feature width D.
        class_names: of the soft labels, class 0 the background; empty for a store without labels.
        extractor: what made the features, for people.
        attributes: more to keep with the store; JSON.
        layout: `mapped`, or `compressed` for archives and buckets: at most three quarters of the bytes.
        precision: of the features: `float16`, or `int8` with a scale a row: half of the bytes.
        top_labels: how many classes of each soft label to keep, beside the mass of the others; 0 = all.

    Raises:
        ValueError: the store exists already, or was begun with other settings, or a setting is none of these.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, RegionWriter(folder + "/regions.zarr", region_dim=2) as writer:
    ...     writer.append("cat.png", [[1.0, 2.0]], [[0.1, 0.1, 0.5, 0.6, 0.4, 0.5]])
    ...     path = writer.publish()
    ...     path.name
    'regions.zarr'
    """

    def __init__(
        self,
        path: str | Path,
        *,
        region_dim: int,
        class_names: Sequence[str] = (),
        extractor: str = "",
        attributes: dict[str, Any] | None = None,
        layout: str = "mapped",
        precision: str = "float16",
        top_labels: int = 0,
    ) -> None:
        self.region_dim = region_dim
        self.num_classes = len(class_names)
        self.format = RegionFormat(
            region_dim=region_dim,
            num_classes=len(class_names),
            layout=layout,
            precision=precision,
            top_labels=top_labels,
        )
        self._settings = {
            "format": REGIONS,
            "version": self.format.version,
            **asdict(self.format),
            "class_names": list(class_names),
            "extractor": extractor,
            "attributes": attributes or {},
        }
        self._journal = Journal(path, self._settings)
        self._images: list[list[Any]] = list(self._journal.records())  # [image id, number of regions, width, height]
        self.done: set[str] = {image[0] for image in self._images}
        written = sum(image[1] for image in self._images)
        try:
            self._writers = {
                name: ShardWriter(self._journal.store / name, array, rows=written)
                for name, array in self.format.arrays.items()
            }
        except ValueError:
            self._journal.close()
            raise
        self._waiting: list[list[Any]] = []  # images whose rows are written, but not counted in the journal yet
        self._waiting_bytes = 0

    def append(
        self,
        image_id: str,
        features: ArrayLike,
        boxes: ArrayLike,
        *,
        confidence: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        size: tuple[int, int] = (0, 0),
    ) -> None:
        """Append an image.

        Args:
            image_id: unique in the store.
            features: (R, D), stored as float16.
            boxes: (R, 6) x1, y1, x2, y2, w, h in the unit square, stored as float32.
            confidence: (R,) of the detector; default 1.
            labels: (R, C) probabilities of the classes, stored as float16; given exactly if the store has class names.
            size: (width, height) of the picture in pixels; (0, 0) if not known.

        Raises:
            ValueError: naming the image and what is wrong with it.
            OSError: the disk is full; what was written before stays, for another try.
        """
        rows = self.pack(image_id, features, boxes, confidence=confidence, labels=labels)
        self.append_rows(image_id, rows, size=size)

    def pack(
        self,
        image_id: str,
        features: ArrayLike,
        boxes: ArrayLike,
        *,
        confidence: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> dict[str, NDArray[Any]]:
        """The image's rows as the store keeps them, by array, checked; for `append_rows`, and for several threads.

        Args:
            image_id: see `append`, as the following.
            features: (R, D).
            boxes: (R, 6).
            confidence: (R,).
            labels: (R, C).
            classes: (R,) the one class that is known of each region, instead of labels; the store must keep one
                (`top_labels` 1).

        Raises:
            ValueError: naming the image and what is wrong with it.
        """
        stored = _numbers(image_id, "boxes", boxes, np.float32, (None, 6))
        count = len(stored)
        if count and (stored.min() < -UNIT_SQUARE or stored.max() > 1 + UNIT_SQUARE):
            raise ValueError(
                f"image {image_id!r}: boxes must lie in the unit square, got {stored.min()} to {stored.max()}"
            )
        rows = self.format.pack_features(
            _numbers(image_id, "features", features, np.float16, (count, self.region_dim))
        ) | {
            "boxes": stored,
            "confidence": _numbers(
                image_id, "confidence", np.ones(count) if confidence is None else confidence, np.float32, (count,)
            ),
        }
        if classes is not None:
            return rows | self._classes(image_id, classes, count)
        if (labels is None) == bool(self.num_classes):
            raise ValueError(
                f"image {image_id!r}: "
                + ("labels are missing, the store has class names" if labels is None else "labels need class_names")
            )
        if labels is not None:
            rows |= self._labels(image_id, labels, count)
        return rows

    def append_rows(self, image_id: str, rows: dict[str, NDArray[Any]], *, size: tuple[int, int]) -> None:
        """Append an image whose rows are as the store keeps them, by array: see `RegionFormat`.

        Raises:
            ValueError: the image was appended before, or has no name, or an array is missing or has another shape.
            OSError: as `append`.
        """
        if image_id in self.done:
            raise ValueError(f"image {image_id!r} was appended before: image ids must be unique")
        if not image_id:
            raise ValueError("image_id: expected a name, got an empty string")
        count = len(rows["boxes"])
        for name, writer in self._writers.items():
            wanted = (count, *writer.layout.row_shape)
            if name not in rows or rows[name].shape != wanted:
                got = rows[name].shape if name in rows else "nothing"
                raise ValueError(f"image {image_id!r}: {name}: expected rows of shape {wanted}, got {got}")
        with self._journal.writing():
            for name, writer in self._writers.items():
                writer.append(rows[name])
        self.done.add(image_id)
        self._waiting.append([image_id, count, int(size[0]), int(size[1])])
        self._waiting_bytes += sum(rows[name].nbytes for name in self._writers)
        if len(self._waiting) >= BLOCK_IMAGES or self._waiting_bytes >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Count what was appended as written: from then on a killed process goes on behind it."""
        images, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not images:
            return
        with self._journal.writing():
            for writer in self._writers.values():
                writer.keep_tail()
            self._journal.append(images)
        self._images += images

    def publish(self, attributes: dict[str, Any] | None = None) -> Path:
        """Finish the store and move it to its path.

        Args:
            attributes: more to keep with the store, known only now; JSON.
        """
        self.flush()
        with self._journal.writing():
            kept = {"attributes": self._settings["attributes"] | (attributes or {}), "indexed": True}
            group = self._journal.begin_group(self._settings | kept, keep=self._writers)
            for name, writer in self._writers.items():
                writer.layout.create(group, name, writer.rows)
                writer.finish()
            ids, lengths, widths, heights = zip(*self._images, strict=True) if self._images else ((), (), (), ())
            folder = self._journal.store
            write_strings(group, "image_ids", ids)
            write_rows(
                group, folder, "offsets", np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
            )
            write_rows(group, folder, "image_sizes", np.array([widths, heights], dtype=np.int32).reshape(2, -1).T)
            index = ImageIndex.build(ids)
            for name, values in zip(INDEX, (index.hashes, index.order), strict=True):
                write_rows(group, folder, name, values)
            return self._journal.publish()

    def close(self) -> None:
        """Let go of the files; what is not published can be taken up by another writer."""
        self._journal.close()
        for writer in self._writers.values():
            writer.close()

    def __enter__(self) -> "RegionWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if not self._journal.failed:
                self.flush()
        finally:
            self.close()

    def _labels(self, image_id: str, labels: ArrayLike, count: int) -> dict[str, NDArray[Any]]:
        checked = _numbers(image_id, "labels", labels, np.float16, (count, self.num_classes))
        try:
            return self.format.pack_labels(checked)
        except ValueError as error:
            raise ValueError(f"image {image_id!r}: {error}") from error

    def _classes(self, image_id: str, classes: ArrayLike, count: int) -> dict[str, NDArray[Any]]:
        """Rows that give each region's class all of the probability."""
        chosen = np.asarray(classes)
        if self.format.top_labels != 1 or chosen.shape != (count,):
            raise ValueError(
                f"image {image_id!r}: classes must have shape ({count},) and top_labels be 1, got {chosen.shape} and "
                f"{self.format.top_labels}"
            )
        if count and not 0 <= chosen.min() <= chosen.max() < self.num_classes:
            raise ValueError(f"image {image_id!r}: classes must be below {self.num_classes}, got {chosen.max()}")
        return {
            "label_classes": chosen.astype(np.uint16)[:, None],
            "label_values": np.ones((count, 1), np.float16),
            "label_rest": np.zeros(count, np.float32),
        }


def _numbers(
    image_id: str, name: str, values: ArrayLike, dtype: type[np.floating[Any]], shape: tuple[int | None, ...]
) -> NDArray[Any]:
    array = np.asarray(values)
    if array.size == 0:
        array = array.reshape([size or 0 for size in shape]) if 0 in shape or None in shape else array
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = re.sub("None", "any", str(shape))
        raise ValueError(f"image {image_id!r}: {name} must have shape {wanted}, got {array.shape}")
    with np.errstate(over="ignore"):
        stored = to_float16(array) if dtype is np.float16 else array.astype(dtype)
    if not all_finite(stored):
        raise ValueError(f"image {image_id!r}: {name} are not finite as {np.dtype(dtype).name}")
    return stored
