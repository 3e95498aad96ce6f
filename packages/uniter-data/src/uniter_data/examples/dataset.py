"""The examples of one split of a task's data set: texts, regions of one or two images, and the annotation."""

# E examples, T texts and I images of an example, U images of the split, B examples of a batch, R regions

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from uniter_core import Example, ImageRegions, Vocabulary
from uniter_data.examples.manifest import TaskManifest, place_of, read_task_manifest
from uniter_data.examples.store import ExampleStore
from uniter_data.examples.union import RegionUnion, refuse_difference
from uniter_data.pictures import Pictures
from uniter_data.stores.locations import locate
from uniter_data.stores.region_store import geometry
from uniter_data.stores.text_store import TextStore

__all__ = ["ExampleDataset"]


class ExampleDataset:
    """A split's examples, joined with their images' regions. Pickles as its path and is opened anew by whom it reaches.

    Attributes:
        task: to which the examples belong.
        name: of the data set.
        split: of the data set.
        vocabulary: of the texts.
        region_dim: feature width D.
        num_classes: classes C of the soft labels; 0 if there are none.
        hard_labels: whether one class is all that is known of some regions: their label gives it all probability.
        settings: with which the data set was imported.
        example_ids: (E,).
        text_lengths: (E, T) word pieces of each text, without [CLS] and [SEP].
        region_lengths: (E, I) regions of each image.
        image_lengths: (U,) regions of each image of the split.
    """

    task: str
    name: str
    split: str
    vocabulary: Vocabulary
    region_dim: int
    num_classes: int
    hard_labels: bool
    settings: dict[str, Any]
    example_ids: NDArray[Any]
    text_lengths: NDArray[np.int64]
    region_lengths: NDArray[np.int64]
    image_lengths: NDArray[np.int64]

    def __init__(self, directory: str | Path, split: str) -> None:
        self.directory = locate(directory)
        manifest = read_task_manifest(directory)
        if split not in manifest.splits:
            raise ValueError(f"{self.directory} has no split {split!r}: it has {', '.join(manifest.splits)}")
        stores = manifest.splits[split]
        self.task, self.name, self.split = manifest.task, manifest.name, split
        self.vocabulary, self.settings = manifest.vocabulary, manifest.settings
        self.texts = TextStore(place_of(self.directory, stores.texts))
        self.store = ExampleStore(place_of(self.directory, stores.examples))
        self.layers = [RegionUnion([place_of(self.directory, entry) for entry in layer]) for layer in stores.regions]
        _check(self, manifest)
        self.region_dim, self.num_classes = self.layers[0].region_dim, self.layers[0].num_classes
        self.hard_labels = any(store.hard_labels for layer in self.layers for store in layer.stores)
        self._rows = [_join(self.store, number, layer) for number, layer in enumerate(self.layers)]
        self.example_ids = self.store.example_ids
        self.text_lengths = np.diff(self.texts.offsets)[self.store.texts]
        lengths = sum(layer.region_lengths[rows] for layer, rows in zip(self.layers, self._rows, strict=True))
        self.image_lengths = np.asarray(lengths)
        self.region_lengths = self.image_lengths[self.store.images]
        self._pictures = [Pictures(place_of(self.directory, folder)) for folder in stores.pictures]

    @classmethod
    def open(cls, directory: str | Path, split: str) -> "ExampleDataset":
        """Open a split of a task's data set, local or remote.

        Raises:
            ValueError: something is missing, foreign, damaged or does not fit together; the message names the file.
        """
        return cls(directory, split)

    def __len__(self) -> int:
        return len(self.example_ids)

    @property
    def labelled(self) -> bool:
        """Whether every example has its label, so that the split can be trained on and measured."""
        return self.store.num_labelled == len(self)

    def examples(
        self, indices: ArrayLike, *, keys: ArrayLike | None = None, images: ArrayLike | None = None
    ) -> list[Example]:
        """Some examples, their texts and regions fetched together.

        Args:
            indices: (B,) of the examples.
            keys: (B,) of their random draws; default 0.
            images: (B, I) rows of `store.image_ids`, the images to show with them; default: their own.

        Returns:
            B examples. Features and labels stay in the stores' dtype.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        draws = np.zeros(len(chosen), np.int64) if keys is None else np.asarray(keys, dtype=np.int64)
        texts = _grouped(self._texts(self.store.texts[chosen].ravel()), self.store.texts.shape[1])
        shown = self.store.images[chosen] if images is None else np.asarray(images, dtype=np.int64)
        regions = _grouped(self._images(shown.ravel()), shown.shape[1])
        return [
            Example(id=example_id, texts=words, images=each, annotation=annotation, key=key)
            for example_id, words, each, annotation, key in zip(
                self.example_ids[chosen].tolist(),
                texts,
                regions,
                self.store.annotations(chosen),
                draws.tolist(),
                strict=True,
            )
        ]

    def example(self, index: int, *, key: int = 0) -> Example:
        """One example; see `examples`, which is faster for many."""
        return self.examples([index], keys=[key])[0]

    def annotations(self) -> Iterator[dict[str, Any]]:
        """The annotations of all examples in order, without their texts and regions."""
        return self.store.all_annotations()

    def boxes(self, indices: ArrayLike) -> list[NDArray[np.float32]]:
        """(R, 7) of the regions of each example's first image, without their features."""
        images = self.store.images[np.asarray(indices, dtype=np.int64), 0]
        once, back = np.unique(images, return_inverse=True)
        parts = []
        for layer, rows in zip(self.layers, self._rows, strict=True):
            starts, stops = layer.starts[rows[once]], layer.stops[rows[once]]
            parts.append(np.split(geometry(layer.boxes.read(starts, stops)), np.cumsum(stops - starts)[:-1]))
        found = [np.concatenate(layers) for layers in zip(*parts, strict=True)]
        return [found[place] for place in back.tolist()]

    def sentences(self, index: int) -> tuple[str, ...]:
        """An example's texts as they were written."""
        return tuple(str(sentence) for sentence in self.texts.sentences[self.store.texts[index]])

    def picture(self, index: int, image: int = 0) -> Image.Image | None:
        """The picture of an example's image, or None where the data set brings none."""
        row = self.store.images[index, image]
        names = [str(self.store.image_ids[row]), *(str(self.store.region_ids(n)[row]) for n in range(len(self.layers)))]
        found = (pictures.open(name) for pictures in self._pictures for name in names)
        return next((picture for picture in found if picture is not None), None)

    def __reduce__(self) -> tuple[type["ExampleDataset"], tuple[str, str]]:
        return ExampleDataset, (self.directory, self.split)

    def _texts(self, rows: NDArray[np.int64]) -> Sequence[Tensor]:
        starts, stops = self.texts.offsets[rows], self.texts.offsets[rows + 1]
        pieces = self.texts.token_ids.read(starts, stops).astype(np.int64)
        return torch.split(torch.from_numpy(pieces), (stops - starts).tolist())

    def _images(self, images: NDArray[np.int64]) -> list[ImageRegions]:
        """The images of the rows; each is read once, and shared by those that show it."""
        once, back = np.unique(images, return_inverse=True)
        parts = [_regions(layer, rows[once]) for layer, rows in zip(self.layers, self._rows, strict=True)]
        ids = self.store.image_ids[once].tolist()
        found = [
            ImageRegions(
                features=_joined([part["features"][place] for part in parts]),
                boxes=_joined([part["boxes"][place] for part in parts]),
                labels=_joined([part["labels"][place] for part in parts]) if self.num_classes else None,
                id=image_id,
            )
            for place, image_id in enumerate(ids)
        ]
        return [found[place] for place in back.tolist()]


# ---------------------------------------------------------------------------------------------------------------------


def _regions(layer: RegionUnion, rows: NDArray[np.int64]) -> dict[str, Sequence[Tensor]]:
    """What the regions of some images of a layer have."""
    starts, stops = layer.starts[rows], layer.stops[rows]
    lengths = (stops - starts).tolist()
    arrays = {"features": layer.features.read(starts, stops), "boxes": geometry(layer.boxes.read(starts, stops))}
    if layer.labels:
        arrays["labels"] = layer.labels.read(starts, stops)
    return {name: torch.split(torch.from_numpy(values), lengths) for name, values in arrays.items()}


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _grouped(items: Sequence[Any], size: int) -> list[tuple[Any, ...]]:
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


def _join(store: ExampleStore, number: int, layer: RegionUnion) -> NDArray[np.int64]:
    """(U,) the rows of the images in a layer."""
    names = store.region_ids(number)
    rows = layer.find(names.tolist())
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        example = int(np.flatnonzero((store.images == missing[0]).any(axis=1))[0])
        raise ValueError(
            f"{store.location}: example {str(store.example_ids[example])!r} names image {str(names[missing[0]])!r}, "
            f"which {layer.location} lacks ({len(missing)} such images): import the annotations again"
        )
    return rows


def _check(dataset: ExampleDataset, manifest: TaskManifest) -> None:
    texts, store = dataset.texts, dataset.store
    if store.task != manifest.task:
        raise ValueError(
            f"{store.location} belongs to task {store.task!r}, dataset.json to {manifest.task!r}: import again"
        )
    if texts.vocabulary != manifest.vocabulary:
        raise ValueError(
            f"{texts.location} was written with another vocabulary ({texts.vocabulary.size} entries) than "
            f"{dataset.directory}/dataset.json names ({manifest.vocabulary.size} entries): import again"
        )
    if store.num_layers != len(dataset.layers):
        raise ValueError(
            f"{store.location} has {store.num_layers} layers, dataset.json {len(dataset.layers)}: import again"
        )
    if not len(store.example_ids):
        raise ValueError(f"{store.location} holds no example: import again")
    for name, rows, count in (("texts", store.texts, texts.num_texts), ("images", store.images, len(store.image_ids))):
        if rows.min() < 0 or rows.max() >= count:
            raise ValueError(
                f"{store.location}/{name} points outside of the {count} there are: copy or import it again"
            )
    for layer in dataset.layers[1:]:
        refuse_difference(dataset.layers[0].stores[0], layer.stores[0])
