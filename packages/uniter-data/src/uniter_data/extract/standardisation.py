"""Features of one size: every dimension standardised by statistics that are fitted once and kept with the stores."""

# N regions of a sample of pictures, D feature width

import heapq
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uniter_core import key_of
from uniter_data.extract.columns import as_array, describe
from uniter_data.extract.pictures import PictureFolder
from uniter_data.extract.protocol import BoxExtractor, ExtractedRegions, RegionExtractor, attributes_of
from uniter_data.extract.reading import read_ahead
from uniter_data.extract.waiting import PictureRow, WaitingStore
from uniter_data.stores import RegionStore
from uniter_data.stores.manifest import write_text

__all__ = ["Standardisation", "Standardised", "standardise_like", "take_up_standardised"]

CLIP = 8.0  # deviations
SAMPLE = 256  # pictures to whose regions the statistics are fitted
FILE = "extraction.json"
UNCOMPARED = ("timm", "mean", "std")  # of the file: what may differ when the same extraction goes on


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
    def fit(cls, features: NDArray[np.float32]) -> "Standardisation":
        """Fit to (N, D) features of a sample of regions."""
        values = features.astype(np.float64)
        std = values.std(axis=0)
        # a dimension that never moved in the sample is left at its scale
        std = np.where(std > 1e-6 * std.max(), std, 1.0)
        return cls(mean=values.mean(axis=0).astype(np.float32), std=std.astype(np.float32))

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardise (R, D), clipped: a unit that hardly ever fires may lie far outside when it does."""
        return ((features - self.mean) / self.std).clip(-CLIP, CLIP)


@dataclass(frozen=True, kw_only=True, eq=False)
class Standardised:
    """An extractor whose features are standardised.

    Attributes:
        inner: gives the features.
        standardisation: of them.
        attributes: all that decides them, kept with each store.
    """

    inner: RegionExtractor
    standardisation: Standardisation
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.inner.name}, standardised"

    @property
    def region_dim(self) -> int:
        """D."""
        return self.inner.region_dim

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the soft labels."""
        return self.inner.class_names

    def __call__(self, pictures: Sequence[Image.Image]) -> list[ExtractedRegions]:
        """See `RegionExtractor`."""
        return [self._apply(regions) for regions in self.inner(pictures)]

    def pool(self, pictures: Sequence[Image.Image], boxes: Sequence[NDArray[np.float32]]) -> list[ExtractedRegions]:
        """See `BoxExtractor.pool`."""
        if not isinstance(self.inner, BoxExtractor):
            raise ValueError(f"{self.inner.name} takes no boxes")
        return [self._apply(regions) for regions in self.inner.pool(pictures, boxes)]

    def _apply(self, regions: ExtractedRegions) -> ExtractedRegions:
        return replace(regions, features=self.standardisation(as_array(regions.features)))


def take_up_standardised(
    folder: Path,
    extractor: RegionExtractor,
    stores: Sequence[WaitingStore],
    *,
    given: bool,
    seed: int,
    workers: int,
    tell: Callable[[str, int, int], None],
) -> Standardised:
    """The extractor standardised as the folder's extraction.json says, or as is fitted now and written there.

    Args:
        folder: of the stores.
        extractor: to standardise.
        stores: that wait, to sample pictures from.
        given: whether the regions are those given.
        seed: of the sample.
        workers: threads that decode.
        tell: progress.

    Raises:
        ValueError: another extractor's statistics lie there, or no picture of the sample can be read.
    """
    file = folder / FILE
    settings = {"extractor": extractor.name, **attributes_of(extractor), "sample_seed": seed}
    if file.exists():
        attributes = json.loads(file.read_text(encoding="utf-8"))
        _refuse_another(file, attributes, settings)
    else:
        sample = _sample(stores, given=given, seed=seed)
        fitted = _fit(extractor, sample, given=given, workers=workers, tell=tell)
        attributes = {**settings, "mean": fitted.mean.tolist(), "std": fitted.std.tolist()}
        write_text(file, json.dumps(attributes) + "\n")
    return _standardised(extractor, attributes)


def standardise_like(extractor: RegionExtractor, store: RegionStore) -> Standardised:
    """The extractor standardised as it was for a store: what new pictures want whose features shall be comparable.

    Raises:
        ValueError: the store's features are not standardised, or another extractor made them.
    """
    attributes = store.attributes["attributes"]
    if "mean" not in attributes:
        raise ValueError(f"{store.location} holds features that are not standardised: use the extractor as it is")
    if attributes["extractor"] != extractor.name:
        raise ValueError(f"{store.location} was made by {attributes['extractor']}, not by {extractor.name}")
    return _standardised(extractor, attributes)


# ---------------------------------------------------------------------------------------------------------------------


def _standardised(extractor: RegionExtractor, attributes: dict[str, Any]) -> Standardised:
    ruler = Standardisation(mean=np.array(attributes["mean"], np.float32), std=np.array(attributes["std"], np.float32))
    return Standardised(inner=extractor, standardisation=ruler, attributes=attributes)


def _sample(stores: Sequence[WaitingStore], *, given: bool, seed: int) -> list[tuple[str, PictureRow]]:
    """Pictures that depend on nothing but the seed and their ids, each with the folder it lies in."""
    rows = ((store.pictures, row) for store in stores for row in store.rows() if row.boxes or not given)
    return heapq.nsmallest(SAMPLE, rows, key=lambda pair: key_of("standardisation", seed, pair[1].image))


def _fit(
    extractor: RegionExtractor,
    sample: Sequence[tuple[str, PictureRow]],
    *,
    given: bool,
    workers: int,
    tell: Callable[[str, int, int], None],
) -> Standardisation:
    features: list[NDArray[np.float32]] = []
    reason = "there is none with a region"
    folders = {location: PictureFolder(location) for location, _ in sample}
    # one by one: the statistics are then the same whatever the batch
    batches = ((folders[location], [row]) for location, row in sample)
    for done, (rows, (picture,)) in enumerate(read_ahead(batches, workers=workers), start=1):
        if isinstance(picture, str):
            reason = picture
        else:
            features += [as_array(regions.features) for regions in describe(extractor, rows, [picture], given=given)]
        tell("fitting the standardisation", done, len(sample))
    if not any(map(len, features)):
        raise ValueError(f"none of {len(sample)} sampled pictures can be read ({reason}): mend the pictures")
    return Standardisation.fit(np.concatenate(features))


def _refuse_another(file: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    for name in now:
        if name not in UNCOMPARED and begun.get(name) != now[name]:
            raise ValueError(
                f"{file.parent} was begun with {name} = {begun.get(name)!r}, now it is {now[name]!r}: go on with the "
                f"former, or remove {file.name} and the region stores, or write to another folder"
            )
