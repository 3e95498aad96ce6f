"""What the importers of region features share: a record as it was read, an image's regions as it was decoded."""

# R regions of an image, D feature width, C classes

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["ImageRegions", "RawRecord", "RegionSource"]

SUM = 0.05  # how far the sum of a soft label may be from 1: float16 rounds each of its classes
BEYOND = 1e-3  # how far confidences may lie beyond 0 and 1


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRecord:
    """A record of a source, not read or not decoded yet.

    Attributes:
        image: its image's id in the store.
        file: to which it belongs, as the store will name it.
        where: file and record, for messages.
        data: what the source's `load` takes.
        problem: why it cannot be decoded; empty where nothing is known to be wrong.
    """

    image: str
    file: str
    where: str
    data: Any = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ImageRegions:
    """The regions of an image as its record holds them.

    Attributes:
        features: (R, D) of any float dtype.
        boxes: (R, 6) x1, y1, x2, y2, w, h in the unit square.
        confidence: (R,) of the detector, or None.
        labels: (R, C) soft labels, class 0 the background, or None.
        classes: (R,) the one class that is known of each region, or None.
        size: (width, height) of the picture in pixels; (0, 0) if not known.

    Raises:
        ValueError: what can be checked is wrong: shapes, dtypes, confidences and soft labels that are no probabilities.
            The writer of the store checks the rest.
    """

    features: NDArray[Any]
    boxes: NDArray[Any]
    confidence: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    classes: NDArray[Any] | None = None
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if not count:
            raise ValueError("boxes: expected one at least, got none")
        for name, axes in (("features", 2), ("boxes", 2), ("confidence", 1), ("labels", 2)):
            array = getattr(self, name)
            if array is not None and (array.dtype.kind != "f" or array.ndim != axes or len(array) != count):
                raise ValueError(
                    f"{name}: expected {axes} axes of floats, {count} rows, got {array.dtype} of shape {array.shape}"
                )
        if self.classes is not None and (self.classes.dtype.kind not in "iu" or self.classes.shape != (count,)):
            raise ValueError(
                f"classes: expected {count} whole numbers, got {self.classes.dtype} of shape {self.classes.shape}"
            )
        if self.confidence is not None:
            _expect_between("confidence", self.confidence, -BEYOND, 1 + BEYOND)
        if self.labels is not None:
            _check_labels(self.labels)


class RegionSource(Protocol):
    """Files that hold the regions of images.

    Attributes:
        name: for messages.
        extractor: what made the features, for people.
        num_classes: C where records name one class a region; 0 where they have soft labels, or nothing.
    """

    name: str
    extractor: str
    num_classes: int

    def records(self) -> Iterator[RawRecord]:
        """All records, in a fixed order; called once.

        Raises:
            ValueError: the file is so damaged that no more of its records can be found.
        """

    def load(self, data: Any) -> tuple[Sequence[bytes], Any]:
        """The bytes of a record, for its checksum, and what `decode` takes; called from several threads.

        Raises:
            ValueError: it cannot be read.
        """

    def decode(self, value: Any) -> ImageRegions:
        """Decode a record; called from several threads.

        Raises:
            ValueError: it is damaged; the message names the field.
        """

    def progress(self) -> tuple[int, int]:
        """How much of how much was read."""


# ---------------------------------------------------------------------------------------------------------------------


def _check_labels(labels: NDArray[Any]) -> None:
    # torch is several times as fast in float32 as numpy is in half precision; it wants memory that it may write to
    values = torch.from_numpy(np.array(labels, dtype=labels.dtype.newbyteorder("="))).float()
    _expect_between("labels", values.amin(1).numpy(), 0, 1)
    _expect_between("the sums of labels", values.sum(1).numpy(), 1 - SUM, 1 + SUM)


def _expect_between(name: str, values: NDArray[Any], low: float, high: float) -> None:
    # written so that what is no number is refused too
    if not (values >= low).all() or not (values <= high).all():
        raise ValueError(f"{name}: expected values from {low} to {high}, got {values.min()} to {values.max()}")
