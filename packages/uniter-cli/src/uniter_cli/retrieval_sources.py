"""Retrieval's data: the splits of a data set of pairs, and each as a gallery of texts and images."""

# T texts, I images of a gallery

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from uniter_cli.errors import UsageError
from uniter_cli.recipe import DataRecipe
from uniter_cli.sources import locate
from uniter_core import Sample, key_of, permutation
from uniter_data import PairDataset, dataset_splits
from uniter_tasks.downstream import Task

__all__ = ["PairGallery", "PairSources", "image_samples", "open_pair_sources", "text_samples"]


@dataclass(frozen=True, kw_only=True)
class PairSources:
    """The opened splits of a data set of pairs; it may lack `val` or `test`."""

    train: PairDataset
    val: PairDataset | None = None
    test: PairDataset | None = None

    def longest(self, task: Task) -> int:
        """Tokens of the longest text of any split, [CLS] and [SEP] counted."""
        return max(int(split.text_lengths.max()) for split in (self.train, self.val, self.test) if split is not None)


def open_pair_sources(
    task: str, data: Mapping[str, DataRecipe], *, progress: Callable[[str, int, int], None] | None = None
) -> PairSources:
    """Open the splits of the recipe's one data set.

    Raises:
        UsageError: not one data set, or no such split.
        ValueError, OSError: a store is missing, foreign or damaged; the message names it.
    """
    if len(data) != 1:
        raise UsageError(f"fine-tuning takes one data set, the recipe names {len(data)}: {', '.join(data) or 'none'}")
    (recipe,) = data.values()
    directory = locate(recipe.path, progress)
    splits = dataset_splits(directory)
    if recipe.train not in splits:
        raise UsageError(f"{directory} has no split {recipe.train!r}: there are {', '.join(splits)}")
    sources = PairSources(train=PairDataset.open(directory, recipe.train))
    for role, split in (("val", recipe.val), ("test", recipe.test)):
        default = getattr(DataRecipe(path=""), role)
        if split in splits or split != default:
            sources = replace(sources, **{role: PairDataset.open(directory, split)})
    return sources


@dataclass(frozen=True, kw_only=True, eq=False)
class PairGallery:
    """Texts and images of a split, to be scored each with each; an image's column is where a text first names it.

    Attributes:
        dataset: the split.
        rows: (T,) its texts.
        image_rows: (I,) rows of its images in the region store.
        text_images: (T,) column of each text's image.
    """

    dataset: PairDataset
    rows: NDArray[np.int64]
    image_rows: NDArray[np.int64]
    text_images: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: PairDataset, *, pairs: int = 0) -> Self:
        """All texts and images of a split, or so many drawn images with their texts as make no more than `pairs` pairs.

        Args:
            dataset: the split.
            pairs: most texts x images; 0 = all. One image at least.
        """
        images, first, columns, texts = np.unique(
            dataset.image_rows, return_index=True, return_inverse=True, return_counts=True
        )
        chosen = np.argsort(first)
        if pairs:
            drawn = permutation(key_of("gallery", dataset.split), len(images)).numpy()
            fitting = np.searchsorted(np.arange(1, len(images) + 1) * texts[drawn].cumsum(), pairs, side="right")
            chosen = np.sort(drawn[: max(1, int(fitting))])
        column_of = np.full(len(images), -1, dtype=np.int64)
        column_of[chosen] = np.arange(len(chosen))
        rows = np.flatnonzero(column_of[columns] >= 0)
        return cls(dataset=dataset, rows=rows, image_rows=images[chosen], text_images=column_of[columns[rows]])

    @property
    def text_ids(self) -> list[str]:
        """T."""
        return [str(name) for name in self.dataset.text_ids[self.rows]]

    @property
    def image_ids(self) -> list[str]:
        """I."""
        return [str(name) for name in self.dataset.regions.image_ids[self.image_rows]]

    def texts(self, rows: slice) -> list[Sample]:
        """Samples that have only words."""
        return text_samples(self.dataset, self.rows[rows])

    def images(self, columns: slice) -> list[Sample]:
        """Samples that have only regions."""
        return image_samples(self.dataset, self.image_rows[columns])


def text_samples(dataset: PairDataset, indices: NDArray[np.int64]) -> list[Sample]:
    """Some texts as samples that have only words."""
    features, boxes = torch.empty(0, dataset.region_dim), torch.empty(0, 7)
    return [
        Sample(token_ids=words, region_features=features, region_boxes=boxes) for words in dataset.token_ids(indices)
    ]


def image_samples(dataset: PairDataset, rows: NDArray[np.int64]) -> list[Sample]:
    """Some images as samples that have only regions."""
    words = torch.empty(0, dtype=torch.int64)
    return [
        Sample(token_ids=words, region_features=image.features, region_boxes=image.boxes)
        for image in dataset.images(rows)
    ]
