"""What a data set holds, in a form that people read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uniter_data.stores.kept_texts import read_kept
from uniter_data.stores.locations import join, locate
from uniter_data.stores.manifest import Manifest, open_texts, read_manifest
from uniter_data.stores.region_format import RegionFormat
from uniter_data.stores.region_store import RegionStore

__all__ = ["DatasetInfo", "SplitInfo", "info"]


@dataclass(frozen=True, kw_only=True)
class SplitInfo:
    """One split.

    Attributes:
        texts: number of texts.
        filtered: texts of the store that this view leaves out.
        dropped: sentences that were too long and left out.
        truncated: sentences that were too long and cut.
        words: mean number of word pieces of a text, [CLS] and [SEP] not counted.
        gold: whether words are linked to the regions they name.
        images: images that the texts name.
        regions: mean number of regions of these images; None if the region store cannot be opened.
        problem: why it cannot.
    """

    texts: int
    filtered: int
    dropped: int
    truncated: int
    words: float
    gold: bool
    images: int
    regions: float | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A data set.

    Attributes:
        location: of the data set.
        manifest: its description.
        splits: by name.
        region_dim: feature width; 0 if no region store can be opened.
        format: how the regions are kept; None if no region store can be opened.
        class_names: of the soft labels.
        extractor: what made the features.
    """

    location: str
    manifest: Manifest
    splits: dict[str, SplitInfo]
    region_dim: int
    format: RegionFormat | None
    class_names: tuple[str, ...]
    extractor: str

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        manifest, vocabulary = self.manifest, self.manifest.vocabulary
        yield f"{manifest.name}  ({self.location})"
        yield f"  source      {manifest.source or 'not stated'}"
        yield f"  licence     {manifest.licence or 'not stated'}"
        yield f"  vocabulary  {vocabulary.size:,} word pieces, {vocabulary.digest[:12]}"
        if manifest.audit:
            leaks = ", ".join(f"{name} {count:,}" for name, count in manifest.audit.leaks.items())
            yield f"  audit       {manifest.audit.report}; images of evaluation splits: {leaks}"
        if self.format:
            form, kept = self.format, self.format.top_labels
            yield (
                f"  features    {self.region_dim} wide, {form.precision}, {form.layout}, "
                f"from {self.extractor or 'an unknown extractor'}"
            )
            labels = f"{len(self.class_names)} classes" if self.class_names else "none"
            yield f"  labels      {labels}" + (f", the likeliest {kept} of each region" if kept else "")
        for name, split in self.splits.items():
            regions = "no regions" if split.regions is None else f"{split.regions:.1f} regions each"
            yield (
                f"  {name:<11} {split.texts:,} texts of {split.words:.1f} word pieces, {split.images:,} images"
                f", {regions}"
                + (", gold links" if split.gold else "")
                + (f", {split.filtered:,} texts left out of this view" if split.filtered else "")
                + (f", {split.dropped:,} dropped as too long" if split.dropped else "")
                + (f", {split.truncated:,} truncated" if split.truncated else "")
            )
            if split.problem:
                yield f"              {split.problem}"


def info(directory: str | Path) -> DatasetInfo:
    """Describe a data set; regions that are missing yet are said to be so.

    Raises:
        ValueError: there is no data set, or a text store of it cannot be opened.
    """
    location = locate(directory)
    manifest = read_manifest(location)
    opened: dict[str, RegionStore | str] = {}
    splits = {}
    for name, split in manifest.splits.items():
        regions = opened.setdefault(split.regions, _open_regions(join(location, split.regions)))
        splits[name] = _describe(location, manifest, name, regions)
    store = next((store for store in opened.values() if isinstance(store, RegionStore)), None)
    return DatasetInfo(
        location=location,
        manifest=manifest,
        splits=splits,
        region_dim=store.region_dim if store else 0,
        format=store.format if store else None,
        class_names=store.class_names if store else (),
        extractor=store.attributes.get("extractor", "") if store else "",
    )


def _open_regions(location: str) -> RegionStore | str:
    try:
        return RegionStore(location)
    except ValueError as error:
        return str(error)


def _describe(location: str, manifest: Manifest, name: str, regions: RegionStore | str) -> SplitInfo:
    texts, keep = open_texts(location, manifest, name), manifest.splits[name].keep
    chosen = read_kept(join(location, keep), texts) if keep else slice(None)
    lengths, images = np.diff(texts.offsets)[chosen], np.unique(texts.image_index[chosen])
    mean = None
    if isinstance(regions, RegionStore):
        rows = regions.find(texts.image_names[images])
        mean = float(np.mean(regions.region_lengths[rows[rows >= 0]])) if (rows >= 0).any() else 0.0
    return SplitInfo(
        texts=len(lengths),
        filtered=texts.num_texts - len(lengths),
        dropped=texts.attributes.get("dropped", 0),
        truncated=texts.attributes.get("truncated", 0),
        words=float(lengths.sum()) / max(len(lengths), 1),
        gold=texts.gold is not None,
        images=len(images),
        regions=mean,
        problem=regions if isinstance(regions, str) else "",
    )
