"""One text with one image's regions: what data sets give and objectives take.

Axes: W words (word pieces, [CLS] and [SEP] included), R regions, D feature width, C classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Sample"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A text and the regions of one image, neither padded nor masked. Text or regions may be empty, not both.

    Attributes:
        token_ids: (W,) int64, from [CLS] to [SEP].
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


_LENGTHS = (
    ("token_ids", "W"),
    ("token_types", "W"),
    ("region_types", "R"),
    ("gold_regions", "W"),
    ("token_kinds", "W"),
)
