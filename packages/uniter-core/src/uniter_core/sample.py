"""What data sets give: a sample (one text with one image's regions), or a task's example (texts, images, a record).

Axes: W words (word pieces), R regions, D feature width, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

__all__ = ["Example", "ImageRegions", "Sample"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A text and the regions of one image, neither padded nor masked. Text or regions may be empty, not both.

    Attributes:
        token_ids: (W,) int64, from [CLS] to [SEP], both included.
        region_features: (R, D), any floating dtype.
        region_boxes: (R, 7) float32: x1, y1, x2, y2, w, h in the unit square, and w·h.
        token_types: (W,) int64 rows of the type table; None = all 0.
        region_types: (R,) int64 rows of the type table; None = all 1.
        region_labels: (R, C) soft labels, background first; None = the source has none.
        gold_regions: (W,) int64 region that a piece names, -1 = none; None = unknown.
        token_kinds: (W,) int64, 0 function word, 1 noun, 2 other content word; later pieces, [CLS] and [SEP] are 0;
            None = unknown.
        matched: whether text and image belong together.
        key: names the random draws of this sample; see `uniter_core.randomness`.
        id: of the text, for messages and predictions.

    Raises:
        ValueError: an array has another shape, dtype or length than said here.
    """

    token_ids: Tensor
    region_features: Tensor
    region_boxes: Tensor
    token_types: Tensor | None = None
    region_types: Tensor | None = None
    region_labels: Tensor | None = None
    gold_regions: Tensor | None = None
    token_kinds: Tensor | None = None
    matched: bool = True
    key: int = 0
    id: str = ""

    def __post_init__(self) -> None:
        if self.token_ids.ndim != 1:
            self._refuse("token_ids", "(W,)")
        if self.region_features.ndim != 2 or not self.region_features.is_floating_point():
            self._refuse("region_features", "(R, D), floating")
        words, regions = self.num_words, self.num_regions
        if self.region_boxes.shape != (regions, 7):
            self._refuse("region_boxes", f"({regions}, 7)")
        if self.region_labels is not None and (self.region_labels.ndim != 2 or len(self.region_labels) != regions):
            self._refuse("region_labels", f"({regions}, C)")
        for name, length in _LENGTHS:
            value = getattr(self, name)
            expected = words if length == "W" else regions
            if value is not None and (value.shape != (expected,) or value.dtype != torch.int64):
                self._refuse(name, f"({expected},) int64")
        if not words + regions:
            raise ValueError(f"sample {self.id!r} has neither words nor regions")

    @property
    def num_words(self) -> int:
        """Word pieces, [CLS] and [SEP] counted."""
        return self.token_ids.shape[0]

    @property
    def num_regions(self) -> int:
        """Regions."""
        return self.region_features.shape[0]

    def _refuse(self, name: str, expected: str) -> None:
        value = getattr(self, name)
        raise ValueError(f"{name} of sample {self.id!r} must be {expected}, got {tuple(value.shape)} {value.dtype}")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageRegions:
    """The regions of one image.

    Attributes:
        features: (R, D), any floating dtype.
        boxes: (R, 7) float32: x1, y1, x2, y2, w, h in the unit square, and w·h.
        labels: (R, C) soft labels, background first; None = the source has none.
        id: of the image, for messages.

    Raises:
        ValueError: an array has another shape or dtype than said here.
    """

    features: Tensor
    boxes: Tensor
    labels: Tensor | None = None
    id: str = ""

    def __post_init__(self) -> None:
        regions = len(self.features)
        labels = self.labels
        fitting = {
            "features": ("(R, D), floating", self.features.ndim == 2 and self.features.is_floating_point()),
            "boxes": (f"({regions}, 7)", self.boxes.shape == (regions, 7)),
            "labels": (f"({regions}, C)", labels is None or (labels.ndim == 2 and len(labels) == regions)),
        }
        for name, (expected, fits) in fitting.items():
            if not fits:
                value = getattr(self, name)
                raise ValueError(
                    f"{name} of image {self.id!r} must be {expected}, got {tuple(value.shape)} {value.dtype}"
                )

    @property
    def num_regions(self) -> int:
        """R."""
        return len(self.features)


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One record of a downstream task with all that it refers to; the task lays it out as samples.

    Attributes:
        id: names the record in messages and predictions.
        texts: (W,) int64 word pieces of each text, without [CLS] and [SEP].
        images: the regions of each image.
        annotation: the task's own record, plain JSON values.
        key: names the random draws of this example; see `uniter_core.randomness`.

    Raises:
        ValueError: a text is not (W,) int64.
    """

    id: str
    texts: tuple[Tensor, ...]
    images: tuple[ImageRegions, ...]
    annotation: Mapping[str, Any] = field(default_factory=dict)
    key: int = 0

    def __post_init__(self) -> None:
        for number, text in enumerate(self.texts):
            if text.ndim != 1 or text.dtype != torch.int64:
                raise ValueError(
                    f"text {number} of example {self.id!r} must be (W,) int64, got {tuple(text.shape)} {text.dtype}"
                )


# ---------------------------------------------------------------------------------------------------------------------

_LENGTHS = (
    ("token_ids", "W"),
    ("token_types", "W"),
    ("region_types", "R"),
    ("gold_regions", "W"),
    ("token_kinds", "W"),
)
