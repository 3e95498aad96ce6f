"""In which arrays a region store keeps features and soft labels, and how these come out of them again."""

# R regions, D feature width, C classes

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.layout import RowLayout
from uniter_data.stores.quantised import QuantisedRows, quantise
from uniter_data.stores.rows import Rows
from uniter_data.stores.top_labels import MOST_CLASSES, TopLabelRows, keep_top

__all__ = ["LAYOUTS", "PRECISIONS", "RegionFormat"]

LAYOUTS = ("mapped", "compressed")
PRECISIONS = ("float16", "int8")
SMALL_ROWS = 1 << 10  # of a chunk of boxes and the like: a remote reader of one image fetches 24 KiB of them


@dataclass(frozen=True, kw_only=True)
class RegionFormat:
    """How a region store is written.

    Attributes:
        region_dim: D.
        num_classes: C; 0 = no labels.
        layout: `mapped` for the fastest reading, or `compressed` for archives and buckets.
        precision: of the features: `float16`, or `int8` with a scale a row.
        top_labels: how many classes of each soft label are kept; 0 = all.

    Raises:
        ValueError: naming the setting.
    """

    region_dim: int
    num_classes: int = 0
    layout: str = "mapped"
    precision: str = "float16"
    top_labels: int = 0

    def __post_init__(self) -> None:
        if self.region_dim < 1:
            raise ValueError(f"region_dim: expected at least 1, got {self.region_dim}")
        for name, value, known in (("layout", self.layout, LAYOUTS), ("precision", self.precision, PRECISIONS)):
            if value not in known:
                raise ValueError(f"{name}: expected {' or '.join(known)}, got {value!r}")
        if not 0 <= self.top_labels <= min(self.num_classes, MOST_CLASSES):
            raise ValueError(f"top_labels: expected 0 to the {self.num_classes} classes, got {self.top_labels}")

    @classmethod
    def of(cls, attributes: dict[str, Any], location: str) -> "RegionFormat":
        """The format that a store's attributes describe; the first stores knew but one.

        Raises:
            ValueError: they describe none; the message names the store at `location`.
        """
        try:
            return cls(**{field.name: attributes[field.name] for field in fields(cls) if field.name in attributes})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{location}/zarr.json cannot be used ({error}): copy the store again") from error

    @property
    def version(self) -> int:
        """Of the stores' format that a reader must know: 2 where `features` or `labels` are not there as such."""
        return 2 if self.top_labels or self.precision != "float16" else 1

    @property
    def arrays(self) -> dict[str, RowLayout]:
        """The arrays of rows by name. Only the wide ones are compressed: the others are noise, or next to nothing."""
        compressed = self.layout == "compressed"
        found = {"features": RowLayout.of(self.precision, self.region_dim, compressed=compressed)}
        if self.precision == "int8":
            found["feature_scales"] = RowLayout.of("float32", most=SMALL_ROWS)
        found["boxes"] = RowLayout.of("float32", 6, most=SMALL_ROWS)
        found["confidence"] = RowLayout.of("float32", most=SMALL_ROWS)
        if self.top_labels:
            found["label_classes"] = RowLayout.of("uint16", self.top_labels, most=SMALL_ROWS)
            found["label_values"] = RowLayout.of("float16", self.top_labels, most=SMALL_ROWS)
            found["label_rest"] = RowLayout.of("float32", most=SMALL_ROWS)
        elif self.num_classes:
            found["labels"] = RowLayout.of("float16", self.num_classes, compressed=compressed)
        return found

    def pack_features(self, features: NDArray[np.float16]) -> dict[str, NDArray[Any]]:
        """The rows to store, by array, of features (R, D)."""
        if self.precision == "float16":
            return {"features": features}
        values, scales = quantise(features)
        return {"features": values, "feature_scales": scales}

    def pack_labels(self, labels: NDArray[np.float16]) -> dict[str, NDArray[Any]]:
        """The rows to store, by array, of labels (R, C).

        Raises:
            ValueError: only the likeliest are kept, and one is negative.
        """
        if not self.top_labels:
            return {"labels": labels}
        classes, values, rest = keep_top(labels, self.top_labels)
        return {"label_classes": classes, "label_values": values, "label_rest": rest}

    def open_features(self, rows: Callable[[str], Rows]) -> Rows:
        """Features as (R, D) float16.

        Args:
            rows: opens an array of the store.
        """
        features = rows("features")
        return features if self.precision == "float16" else QuantisedRows(features, rows("feature_scales"))

    def open_labels(self, rows: Callable[[str], Rows]) -> Rows | None:
        """Labels as (R, C) float16, or None.

        Args:
            rows: opens an array of the store.
        """
        if self.top_labels:
            arrays = (rows(name) for name in ("label_classes", "label_values", "label_rest"))
            return TopLabelRows(*arrays, num_classes=self.num_classes)
        return rows("labels") if self.num_classes else None
