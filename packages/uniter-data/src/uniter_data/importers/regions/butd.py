"""Bottom-up attention's TSV files (Anderson et al., CVPR 2018) as they, LXMERT and VOLTA publish them.

The number of columns tells them apart:

     6   image_id, image_w, image_h, num_boxes, boxes, features                       as first published
    10   img_id, img_h, img_w, objects_id, objects_conf, attrs_id, attrs_conf,
         num_boxes, boxes, features                                                   LXMERT
    13   the same, cls_prob, attrs, classes                                           VOLTA

Arrays are base64 of little-endian int64 (ids) or float32; boxes are x1, y1, x2, y2 in pixels. Object ids do not count
the background. Attributes are left behind.
"""

# R regions of an image, D feature width, C classes

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.importers.regions.boxes import unit_boxes
from uniter_data.importers.regions.importing import import_regions
from uniter_data.importers.regions.record import ImageRegions, RawRecord
from uniter_data.importers.regions.report import RegionImport, RegionReport
from uniter_data.importers.regions.tsv import TsvFiles, decode_column, split_columns

__all__ = ["GENOME_CLASSES", "detected_regions", "import_butd"]

GENOME_CLASSES = 1601  # of Visual Genome as bottom-up attention knows them, the background included
LXMERT = (
    *("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes", "boxes"),
    "features",
)
COLUMNS = {
    len(names): names
    for names in (
        ("img_id", "img_w", "img_h", "num_boxes", "boxes", "features"),
        LXMERT,
        (*LXMERT, "cls_prob", "attrs", "classes"),
    )
}


def import_butd(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    options: RegionImport = RegionImport(),  # noqa: B008
) -> RegionReport:
    """Import TSV files into one store, one after another. An image is called as the first column has it.

    Raises:
        ValueError: as `import_regions`.
    """
    return import_regions(_Lines(sources, len(options.class_names) or GENOME_CLASSES), out, options)


def detected_regions(
    features: NDArray[Any],
    corners: NDArray[Any],
    size: tuple[int, int],
    *,
    objects: NDArray[Any] | None = None,
    confidence: NDArray[Any] | None = None,
    probabilities: NDArray[Any] | None = None,
) -> ImageRegions:
    """Regions of a detector's arrays.

    Args:
        features: (R, D).
        corners: (R, 4) x1, y1, x2, y2 in pixels.
        size: (width, height) of the picture.
        objects: (R,) number of each region's class, the background not counted.
        confidence: (R,) of that class.
        probabilities: (R, C) of all classes, the background first; replaces `objects`.

    Raises:
        ValueError: naming the array that is wrong.
    """
    classes = None if objects is None or probabilities is not None else objects + 1
    return ImageRegions(
        features=features,
        boxes=unit_boxes(corners, size),
        confidence=confidence,
        labels=probabilities,
        classes=classes,
        size=size,
    )


# ---------------------------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of some TSV files; see `RegionSource`."""

    extractor = "bottom-up attention (Anderson et al., CVPR 2018)"

    def __init__(self, sources: Sequence[str | Path], num_classes: int) -> None:
        self._files = TsvFiles(sources)
        self.name = self._files.paths[0].name
        self.num_classes = num_classes
        self.progress = self._files.progress

    def records(self) -> Iterator[RawRecord]:
        return self._files.records()

    def load(self, data: bytes) -> tuple[Sequence[bytes], bytes]:
        return (data,), data

    def decode(self, value: bytes) -> ImageRegions:
        values = split_columns(value)
        names = COLUMNS.get(len(values))
        if names is None:
            raise ValueError(f"expected {', '.join(map(str, COLUMNS))} columns, got {len(values)}")
        columns = dict(zip(names, values, strict=True))
        width, height, count = (_whole(name, columns[name]) for name in ("img_w", "img_h", "num_boxes"))
        return detected_regions(
            _rows(columns, "features", count),
            _rows(columns, "boxes", count),
            (width, height),
            objects=_values(columns, "objects_id", count, "<i8"),
            confidence=_values(columns, "objects_conf", count, "<f4"),
            probabilities=_rows(columns, "cls_prob", count) if "cls_prob" in columns else None,
        )


def _whole(name: str, column: memoryview) -> int:
    text = bytes(column)
    if not text.isdigit() or not 0 < int(text) < 1 << 20:
        raise ValueError(f"{name}: expected a whole number above 0, got {text[:20]!r}")
    return int(text)


def _rows(columns: dict[str, memoryview], name: str, count: int) -> NDArray[np.float32]:
    array = decode_column(name, columns[name], "<f4")
    if not len(array) or len(array) % count:
        raise ValueError(f"{name}: expected {count} rows of numbers, got {len(array):,} numbers")
    return array.reshape(count, -1)


def _values(columns: dict[str, memoryview], name: str, count: int, dtype: str) -> NDArray[Any] | None:
    if name not in columns:
        return None
    array = decode_column(name, columns[name], dtype)
    if len(array) != count:
        raise ValueError(f"{name}: expected {count} numbers, got {len(array):,}")
    return array
