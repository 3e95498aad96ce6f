"""One vector a region: a backbone's feature maps pooled inside its box, the levels beside each other."""

# B pictures, N regions of all of them, C channels of a level, G cells along a side of a region, D = G * G * sum of C

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from uniter_data.extract.backbone import Backbone, require_extra

__all__ = ["grid_boxes", "pool_regions"]


def pool_regions(
    backbone: Backbone, pictures: Tensor, boxes: Sequence[Tensor], *, cells: int, samples: int
) -> list[Tensor]:
    """Features of the regions of pictures of one size (RoIAlign: He et al. 2017, section 3).

    Args:
        backbone: gives the maps.
        pictures: (B, 3, H, W) uint8.
        boxes: B of (R, 4): x1, y1, x2, y2 in the unit square.
        cells: along a side of a region; the cells' vectors are laid one after another.
        samples: points a side at which a map is read in each cell; 0 for as many as the map has places there.

    Returns:
        B of (R, D) float32.
    """
    _, ops = require_extra()
    height, width = pictures.shape[-2:]
    scale = torch.tensor([width, height, width, height], dtype=torch.float32)
    pixels = [(corners * scale).to(backbone.device) for corners in boxes]
    pooled = [
        ops.roi_align(level, pixels, cells, spatial_scale=1 / stride, sampling_ratio=samples or -1, aligned=True)
        for level, stride in zip(backbone.maps(pictures), backbone.strides, strict=True)
    ]
    features = torch.cat([rearrange(level, "n c y x -> n (c y x)") for level in pooled], dim=1).cpu()
    return list(torch.split(features, [len(corners) for corners in boxes]))


def grid_boxes(columns: int, rows: int) -> NDArray[np.float32]:
    """(columns * rows, 4) equal parts of the unit square, line after line: x1, y1, x2, y2.

    >>> grid_boxes(2, 1).tolist()
    [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    """
    left, top = np.meshgrid(np.arange(columns), np.arange(rows))
    corners = np.stack([left, top, left + 1, top + 1], axis=-1).reshape(-1, 4)
    parts: NDArray[np.float32] = (corners / np.array([columns, rows, columns, rows])).astype(np.float32)
    return parts
