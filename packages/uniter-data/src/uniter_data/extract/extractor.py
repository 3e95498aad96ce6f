"""The extractor of one data set: a backbone, a grid and the standardisation, the same for all its region stores."""

# N regions of some pictures, D feature width

import heapq
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniter_core import key_of
from uniter_data.extract.backbone import Backbone
from uniter_data.extract.boxes import BoxFile
from uniter_data.extract.pictures import ReadPicture, read_picture
from uniter_data.extract.pooling import Standardisation, pool_regions
from uniter_data.stores.manifest import write_text

__all__ = ["Extractor", "take_up_extractor"]

FILE = "extraction.json"
SAMPLE = 256  # pictures to whose regions the standardisation is fitted
UNCOMPARED = ("timm", "mean", "std")  # of the file: what may differ when the same extraction goes on


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Makes features of regions.

    Attributes:
        backbone: gives the maps.
        grid: cells along a side of a region.
        standardisation: of the features.
        attributes: all that decides the features, kept with each store.
    """

    backbone: Backbone
    grid: int
    standardisation: Standardisation
    attributes: dict[str, Any]

    @property
    def region_dim(self) -> int:
        """D."""
        return len(self.standardisation.mean)

    @property
    def description(self) -> str:
        """For people."""
        made = self.attributes
        weights = (
            f"random weights, seed {made['seed']}" if made["weights"] == "random" else f"weights {made['weights']}"
        )
        levels = "+".join(map(str, made["levels"]))
        return f"timm {made['model']} ({weights}), levels {levels} on {self.grid} x {self.grid} cells, standardised"

    def __call__(self, pictures: Sequence[ReadPicture]) -> list[NDArray[np.float16]]:
        """(R, D) features of each picture's regions."""
        return [self.standardisation(features) for features in _raw_features(self.backbone, pictures, self.grid)]


def take_up_extractor(
    directory: Path,
    backbone: Backbone,
    *,
    grid: int,
    seed: int,
    box_files: Collection[BoxFile],
    batch: int,
    tell: Callable[[str, int, int], None],
) -> Extractor:
    """The data set's extractor: as extraction.json describes it, or fitted now and written there.

    Args:
        directory: of the data set.
        backbone: to use.
        grid: cells along a side of a region.
        seed: of the sample to fit to.
        box_files: of the data set, to sample from.
        batch: pictures at once.
        tell: progress.

    Raises:
        ValueError: the data set was begun with another extractor, or no picture of the sample can be read.
    """
    file = directory / FILE
    settings = {**backbone.identity, "grid": grid, "sample_seed": seed}
    if file.exists():
        attributes = json.loads(file.read_text(encoding="utf-8"))
        _refuse_another(file, attributes, settings)
    else:
        fitted = _fit(backbone, grid=grid, seed=seed, box_files=box_files, batch=batch, tell=tell)
        attributes = {**settings, "mean": fitted.mean.tolist(), "std": fitted.std.tolist()}
        write_text(file, json.dumps(attributes) + "\n")
    standardisation = Standardisation(
        mean=np.array(attributes["mean"], np.float32), std=np.array(attributes["std"], np.float32)
    )
    return Extractor(backbone=backbone, grid=grid, standardisation=standardisation, attributes=attributes)


# ---------------------------------------------------------------------------------------------------------------------


def _fit(
    backbone: Backbone,
    *,
    grid: int,
    seed: int,
    box_files: Collection[BoxFile],
    batch: int,
    tell: Callable[[str, int, int], None],
) -> Standardisation:
    """Fit to the regions of a sample of pictures that depends on nothing but the seed and the pictures' ids."""
    rows = ((boxes.pictures, row) for boxes in box_files for row in boxes if row.boxes)
    sample = heapq.nsmallest(SAMPLE, rows, key=lambda pair: key_of("standardisation", seed, pair[1].image))
    features: list[Tensor] = []
    reason = "there is none with a region"
    for start in range(0, len(sample), batch):
        read = [read_picture(folder, row, backbone.picture_size) for folder, row in sample[start : start + batch]]
        reason = next((picture for picture in read if isinstance(picture, str)), reason)
        features += _raw_features(backbone, [picture for picture in read if isinstance(picture, ReadPicture)], grid)
        tell("fitting the standardisation", min(start + batch, len(sample)), len(sample))
    if not features:
        raise ValueError(f"none of {len(sample)} sampled pictures can be read ({reason}): mend the pictures")
    return Standardisation.fit(torch.cat(features))


def _raw_features(backbone: Backbone, pictures: Sequence[ReadPicture], grid: int) -> list[Tensor]:
    """(R, D) of each picture, not standardised; pictures of one size go through the backbone together."""
    found: dict[int, Tensor] = {}
    for shape in dict.fromkeys(picture.pixels.shape for picture in pictures):
        places = [place for place, picture in enumerate(pictures) if picture.pixels.shape == shape]
        corners = [pictures[place].boxes for place in places]
        pixels = torch.stack([pictures[place].pixels for place in places])
        features = pool_regions(backbone, pixels, corners, grid=grid)
        found.update(zip(places, torch.split(features, [len(boxes) for boxes in corners]), strict=True))
    return [found[place] for place in range(len(pictures))]


def _refuse_another(file: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    for name in now.keys() - set(UNCOMPARED):
        if begun.get(name) != now[name]:
            raise ValueError(
                f"{file.parent} was begun with {name} = {begun.get(name)!r}, now it is {now[name]!r}: go on with the "
                f"former, or remove {file.name} and the region stores, or import the data set anew"
            )
