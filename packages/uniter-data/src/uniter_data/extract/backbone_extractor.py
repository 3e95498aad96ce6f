"""A timm backbone as an extractor: regions are the cells of a grid over the picture, or boxes that are given."""

# B pictures, R regions of a picture, D feature width

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from uniter_data.extract.backbone import Backbone, load_backbone
from uniter_data.extract.pictures import by_size, pixels_of
from uniter_data.extract.pooling import grid_boxes, pool_regions
from uniter_data.extract.protocol import ExtractedRegions
from uniter_data.extract.weights import describe_weights

__all__ = ["BackboneExtractor", "backbone_extractor"]

LONGEST_SIDE = 1333  # pixels; what torchvision's detectors allow: a photograph of 50 megapixels would fill the memory
GIVEN_SAMPLES = 2  # points a side of a cell at which RoIAlign reads the map
Grid = tuple[int, ...] | str


@dataclass(frozen=True, kw_only=True, eq=False)
class BackboneExtractor:
    """See `backbone_extractor`.

    Attributes:
        backbone: gives the maps.
        cells: along a side of a region.
        grid: (columns, rows), "map" for one region a place of the last level's map, or None where boxes are given.
    """

    backbone: Backbone
    cells: int
    grid: Grid | None

    class_names = ()

    @property
    def region_dim(self) -> int:
        """D."""
        return self.cells**2 * sum(self.backbone.channels)

    @property
    def name(self) -> str:
        """For people."""
        made = self.backbone.identity
        levels = "+".join(map(str, made["levels"]))
        parts = f"levels {levels} on {self.cells} x {self.cells} cells"
        grid = "" if self.grid is None else f", a grid of {_name(self.grid)} regions"
        return f"timm {made['model']} ({describe_weights(made)}), {parts}{grid}"

    @property
    def attributes(self) -> dict[str, Any]:
        """All that decides the features."""
        grid = None if self.grid is None else _name(self.grid)
        return {**self.backbone.identity, "cells": self.cells, "grid": grid, "longest_side": LONGEST_SIDE}

    def __call__(self, pictures: Sequence[Image.Image]) -> list[ExtractedRegions]:
        """The cells of the grid, line after line.

        Raises:
            ValueError: there is no grid.
        """
        if self.grid is None:
            raise ValueError("grid: a backbone finds no regions of its own: give a grid, or boxes")
        parts = [grid_boxes(*self._grid_of(self._size(picture))) for picture in pictures]
        return self._pool(pictures, parts, samples=0)

    def pool(self, pictures: Sequence[Image.Image], boxes: Sequence[NDArray[np.float32]]) -> list[ExtractedRegions]:
        """See `BoxExtractor.pool`."""
        parts = [corners / _scale(picture) for picture, corners in zip(pictures, boxes, strict=True)]
        return self._pool(pictures, parts, samples=GIVEN_SAMPLES)

    def _pool(
        self, pictures: Sequence[Image.Image], parts: Sequence[NDArray[np.float32]], *, samples: int
    ) -> list[ExtractedRegions]:
        """Regions whose boxes are given in the unit square; pictures of one size go through the backbone together."""
        resized = [self._resize(picture) for picture in pictures]
        found: dict[int, Tensor] = {}
        for places in by_size(resized):
            pixels = torch.stack([pixels_of(resized[place]) for place in places])
            corners = [torch.from_numpy(parts[place]) for place in places]
            pooled = pool_regions(self.backbone, pixels, corners, cells=self.cells, samples=samples)
            found.update(zip(places, pooled, strict=True))
        return [
            ExtractedRegions(features=found[place].numpy(), boxes=parts[place] * _scale(picture))
            for place, picture in enumerate(pictures)
        ]

    def _grid_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Columns and rows for a picture of a size that the backbone sees."""
        if isinstance(self.grid, tuple):
            columns, rows = self.grid
            return columns, rows
        width, height = size
        stride = self.backbone.strides[-1]
        return -(-width // stride), -(-height // stride)

    def _resize(self, picture: Image.Image) -> Image.Image:
        size = self._size(picture)
        return picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR)

    def _size(self, picture: Image.Image) -> tuple[int, int]:
        """Width and height at which the backbone sees a picture."""
        if self.backbone.picture_size:
            return self.backbone.picture_size
        width, height = picture.size
        shrunk = max(1.0, max(width, height) / LONGEST_SIDE)
        return max(1, round(width / shrunk)), max(1, round(height / shrunk))


def backbone_extractor(
    model: str = "resnet18",
    *,
    weights: str = "hub",
    seed: int = 0,
    levels: Sequence[int] | None = None,
    cells: int | None = None,
    grid: Grid | None = None,
    device: str | torch.device | None = None,
) -> BackboneExtractor:
    """Any timm model that gives feature maps.

    Each level is pooled inside each region to `cells` x `cells` vectors (RoIAlign), which are laid beside each other.
    Without a grid the defaults suit drawings with given objects of 10 to 30 pixels: the two finest levels (strides 2
    and 4 in a ResNet), and four cells to keep the shape. With a grid they are the coarsest level in one cell, as
    photographs want it. Pictures with a side above 1,333 pixels are shrunk to that.

    Args:
        model: its name.
        weights: "hub" (pretrained), "random", or a file: safetensors, or torch's without pickled code.
        seed: of random weights.
        levels: of timm's feature levels, 0 the finest, -1 the coarsest.
        cells: along a side of a region.
        grid: (columns, rows) of regions over every picture, or "map": one for each place of the last level's map.
        device: default: the GPU if there is one.

    Raises:
        RuntimeError: timm or torchvision is not installed.
        ValueError: there is no such model, level, grid or device, or the weights cannot be had.
    """
    chosen = cells if cells is not None else (2 if grid is None else 1)
    if chosen < 1:
        raise ValueError(f"cells: expected at least 1, got {chosen}")
    if grid not in (None, "map") and not (isinstance(grid, tuple) and len(grid) == 2 and min(grid) > 0):
        raise ValueError(f"grid: expected columns and rows from 1, or map, got {grid!r}")
    if levels is None:
        levels = (0, 1) if grid is None else (-1,)
    backbone = load_backbone(model, weights=weights, seed=seed, levels=levels, device=device)
    return BackboneExtractor(backbone=backbone, cells=chosen, grid=grid)


# ---------------------------------------------------------------------------------------------------------------------


def _scale(picture: Image.Image) -> NDArray[np.float32]:
    """(4,) from the unit square to pixels."""
    return np.array(picture.size * 2, dtype=np.float32)


def _name(grid: Grid) -> str:
    return grid if isinstance(grid, str) else f"{grid[0]} x {grid[1]}"
