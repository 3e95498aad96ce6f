"""One vector a region: feature maps pooled inside its box, levels beside each other, every dimension standardised."""

# B pictures, N regions of all of them, C channels of a level, G cells along a side of the grid, D = G * G * sum of C

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from uniter_data.extract.backbone import Backbone, require_extra

__all__ = ["Standardisation", "pool_regions"]

SAMPLES = 2  # points a side at which RoIAlign reads the map in each cell
CLIP = 8.0  # deviations


def pool_regions(backbone: Backbone, pictures: Tensor, boxes: Sequence[Tensor], *, grid: int) -> Tensor:
    """Features of the regions of pictures of one size (RoIAlign: He et al. 2017, section 3).

    Args:
        backbone: gives the maps.
        pictures: (B, 3, H, W) uint8.
        boxes: B of (R, 4): x1, y1, x2, y2 in the unit square.
        grid: cells along a side; the cells' vectors are laid one after another.

    Returns:
        (N, D) float32, regions of one picture after another.
    """
    _, ops = require_extra()
    height, width = pictures.shape[-2:]
    scale = torch.tensor([width, height, width, height], dtype=torch.float32)
    pixels = [(corners * scale).to(backbone.device) for corners in boxes]
    pooled = [
        ops.roi_align(level, pixels, grid, spatial_scale=1 / stride, sampling_ratio=SAMPLES, aligned=True)
        for level, stride in zip(backbone.maps(pictures), backbone.strides, strict=True)
    ]
    return torch.cat([rearrange(level, "n c y x -> n (c y x)") for level in pooled], dim=1).cpu()


@dataclass(frozen=True, kw_only=True)
class Standardisation:
    """Mean and deviation of each dimension over a sample of regions.

    At random initialisation the running statistics of batch normalisation say nothing (mean 0, variance 1), so a
    dimension's offset and scale are accidents of the draw, growing from level to level; pretrained levels differ in
    scale too. A linear embedding and the feature regression want dimensions of one size. The statistics are fitted once
    a data set and kept with its stores, for a split extracted later must be measured with the same ruler.

    Attributes:
        mean, std: (D,) float32.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def fit(cls, features: Tensor) -> "Standardisation":
        """Fit to (N, D) features of a sample of regions."""
        values = features.double()
        std = values.std(dim=0, correction=0)
        # a dimension that never moved in the sample is left at its scale
        std = torch.where(std > 1e-6 * std.max(), std, 1.0)
        return cls(mean=values.mean(dim=0).float().numpy(), std=std.float().numpy())

    def __call__(self, features: Tensor) -> NDArray[np.float16]:
        """Standardise (N, D), clipped: a unit that hardly ever fires may lie far outside when it does."""
        scaled = (features.numpy() - self.mean) / self.std
        return scaled.clip(-CLIP, CLIP).astype(np.float16)
