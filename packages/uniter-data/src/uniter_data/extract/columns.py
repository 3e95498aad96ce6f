"""What an extractor says of pictures, checked and as a store keeps it."""

# B pictures, R regions of a picture, D feature width, C classes

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from uniter_data.extract.protocol import BoxExtractor, ExtractedRegions, RegionExtractor
from uniter_data.extract.waiting import PictureRow
from uniter_data.stores.region_store import RegionRecord, geometry

__all__ = ["as_array", "describe", "record_of"]


def describe(
    extractor: RegionExtractor, rows: Sequence[PictureRow], pictures: Sequence[Image.Image], *, given: bool
) -> list[ExtractedRegions]:
    """The regions of each picture: those given in its row, or what the extractor finds.

    Args:
        extractor: of the regions.
        rows: one a picture; read where boxes are given.
        pictures: in upright RGB.
        given: whether the regions are those given.

    Raises:
        ValueError: it does not answer for every picture, or takes no boxes.
    """
    if not pictures:
        return []
    with torch.inference_mode():
        if not given:
            found = extractor(pictures)
        elif isinstance(extractor, BoxExtractor):
            found = extractor.pool(pictures, _pixels(rows, pictures))
        else:
            raise ValueError(f"{extractor.name} takes no boxes (it has no method pool): let it find its own regions")
    if len(found) != len(pictures):
        raise ValueError(f"{extractor.name} gave regions of {len(found)} pictures for {len(pictures)}")
    return list(found)


def record_of(regions: ExtractedRegions, size: tuple[int, int]) -> RegionRecord:
    """The regions of a picture as a store gives them.

    Args:
        regions: of the picture.
        size: its (width, height).

    Raises:
        ValueError: the boxes are not (R, 4).
    """
    boxes = as_array(regions.boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes of an extractor must have shape (any, 4), got {boxes.shape}")
    corners = (boxes / np.array(size * 2)).astype(np.float32)
    confidence = np.ones(len(boxes)) if regions.confidence is None else as_array(regions.confidence)
    # what is too large becomes infinite, which the writer of a store refuses
    with np.errstate(over="ignore"):
        return RegionRecord(
            features=as_array(regions.features).astype(np.float16),
            boxes=geometry(np.concatenate([corners, corners[:, 2:] - corners[:, :2]], axis=1)),
            labels=None if regions.labels is None else as_array(regions.labels).astype(np.float16),
            confidence=confidence.astype(np.float32),
        )


def as_array(values: Any) -> NDArray[Any]:
    """An array in memory of an array or a tensor, wherever that is."""
    if isinstance(values, torch.Tensor):
        return values.detach().float().cpu().numpy()
    return np.asarray(values)


# ---------------------------------------------------------------------------------------------------------------------


def _pixels(rows: Sequence[PictureRow], pictures: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
    """(R, 4) given boxes of each picture, in pixels."""
    return [
        np.array(row.boxes, dtype=np.float32).reshape(-1, 4) * np.array(picture.size * 2, dtype=np.float32)
        for row, picture in zip(rows, pictures, strict=True)
    ]
