"""The pairs of one split: each text with the regions of its image, or of any other image, as samples."""

# T texts, I images, B pairs of a batch, W words, R regions, D feature width, C classes

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from uniter_core import ImageRegions, Sample, Vocabulary
from uniter_data.pictures import Pictures
from uniter_data.stores.kept_texts import read_kept
from uniter_data.stores.locations import join, locate
from uniter_data.stores.manifest import find_split, open_texts, read_manifest
from uniter_data.stores.region_store import RegionStore, geometry
from uniter_data.stores.rows import Rows
from uniter_data.stores.text_store import TextStore

__all__ = ["PairDataset"]

SPECIALS = 2  # [CLS] and [SEP] around each text


class PairDataset:
    """A split's texts joined with their images' regions. Pickles as its path and is opened anew by whom it reaches.

    Of a view, T counts the texts that it keeps; all else is as if the store held no others.

    Attributes:
        name: of the data set.
        split: of the data set.
        vocabulary: of the texts.
        region_dim: feature width D.
        num_classes: classes C of the soft labels; 0 if there are none.
        hard_labels: whether one class is all that is known of a region: its label gives it all probability.
        text_lengths: (T,) word pieces of each text, [CLS] and [SEP] counted.
        image_rows: (T,) row of each text's image in the region store.
        region_lengths: (I,) regions of each image of the store.
        text_ids: (T,) ids of the texts.
        groups: (T,) images of texts of one group are never each other's mismatched partner.
    """

    name: str
    split: str
    vocabulary: Vocabulary
    region_dim: int
    num_classes: int
    hard_labels: bool
    text_lengths: NDArray[np.int64]
    image_rows: NDArray[np.int64]
    region_lengths: NDArray[np.int64]
    groups: NDArray[np.int64]

    def __init__(self, directory: str | Path, split: str) -> None:
        self.directory = locate(directory)
        manifest = read_manifest(directory)
        stores = find_split(directory, manifest, split)
        self.name = manifest.name
        self.split = split
        self.vocabulary = manifest.vocabulary
        self.texts = open_texts(directory, manifest, split)
        self.regions = RegionStore(join(self.directory, stores.regions))
        self.region_dim = self.regions.region_dim
        self.num_classes = self.regions.num_classes
        self.hard_labels = self.regions.hard_labels
        # (T,) rows in the text store
        kept = read_kept(join(self.directory, stores.keep), self.texts) if stores.keep else None
        self._rows = np.arange(self.texts.num_texts) if kept is None else kept
        self.text_lengths = np.diff(self.texts.offsets)[self._rows] + SPECIALS
        self.region_lengths = self.regions.region_lengths
        self.groups = self.texts.groups[self._rows]
        self.image_rows = _join(self.texts, self._rows, self.regions)
        # read here, so that no forked worker has to open anything
        self.text_ids: NDArray[Any] = self.texts.text_ids if kept is None else self.texts.text_ids[kept]
        self._pictures = Pictures(join(self.directory, stores.pictures)) if stores.pictures else None
        _refuse_empty(self)

    @classmethod
    def open(cls, directory: str | Path, split: str) -> "PairDataset":
        """Open a split of a data set, local or remote.

        Raises:
            ValueError: something is missing, foreign, damaged or does not fit together: an image without regions, an
                empty sentence, another vocabulary. The message names the file and the record.
        """
        return cls(directory, split)

    def __len__(self) -> int:
        return len(self.text_lengths)

    @property
    def has_gold(self) -> bool:
        """Whether words are linked to the regions they name."""
        return self.texts.gold is not None

    def sentence(self, index: int) -> str:
        """A text as it was written."""
        return str(self.texts.sentences[self._rows[index]])

    def picture(self, index: int) -> Image.Image | None:
        """The picture of a text's image, or None where the data set brings none."""
        if self._pictures is None:
            return None
        return self._pictures.open(str(self.regions.image_ids[self.image_rows[index]]))

    def sample(self, index: int, *, image_row: int | None = None, matched: bool = True, key: int = 0) -> Sample:
        """One pair; see `samples`, which is faster for many."""
        rows = None if image_row is None else [image_row]
        return self.samples([index], image_rows=rows, matched=[matched], keys=[key])[0]

    def samples(
        self,
        indices: ArrayLike,
        *,
        image_rows: ArrayLike | None = None,
        matched: ArrayLike | None = None,
        keys: ArrayLike | None = None,
    ) -> list[Sample]:
        """Pairs, their texts and regions fetched together.

        Args:
            indices: (B,) texts.
            image_rows: (B,) rows of the images to show; default: each text's own.
            matched: (B,) whether they belong together; default: where the image is the text's own.
            keys: (B,) of their random draws; default 0.

        Returns:
            B samples. Features and labels stay in the store's dtype; `gold_regions` is given where the text's own image
            is shown.
        """
        texts = np.asarray(indices, dtype=np.int64)
        own = self.image_rows[texts]
        shown = own if image_rows is None else np.asarray(image_rows, dtype=np.int64)
        belongs = (own == shown) if matched is None else np.asarray(matched, dtype=bool)
        draws = np.zeros(len(texts), np.int64) if keys is None else np.asarray(keys, dtype=np.int64)
        words, regions = self._words(self._rows[texts]), self._regions(shown)
        return [
            Sample(
                token_ids=words["token_ids"][i],
                region_features=regions["features"][i],
                region_boxes=regions["boxes"][i],
                region_labels=regions["labels"][i] if self.num_classes else None,
                gold_regions=words["gold"][i] if self.has_gold and is_own else None,
                token_kinds=words["kinds"][i] if self.texts.kinds else None,
                matched=fits,
                key=key,
                id=text_id,
            )
            for i, (is_own, fits, key, text_id) in enumerate(
                zip(
                    (own == shown).tolist(),
                    belongs.tolist(),
                    draws.tolist(),
                    self.text_ids[texts].tolist(),
                    strict=True,
                )
            )
        ]

    def token_ids(self, indices: ArrayLike) -> list[Tensor]:
        """(W,) word pieces of each of some texts, [CLS] and [SEP] around them, fetched together."""
        return list(self._words(self._rows[np.asarray(indices, dtype=np.int64)])["token_ids"])

    def images(self, rows: ArrayLike) -> list[ImageRegions]:
        """The regions of some images of the region store, fetched together."""
        chosen = np.asarray(rows, dtype=np.int64)
        regions = self._regions(chosen)
        return [
            ImageRegions(
                features=features, boxes=boxes, labels=regions["labels"][i] if self.num_classes else None, id=name
            )
            for i, (features, boxes, name) in enumerate(
                zip(regions["features"], regions["boxes"], self.regions.image_ids[chosen].tolist(), strict=True)
            )
        ]

    def __reduce__(self) -> tuple[type["PairDataset"], tuple[str, str]]:
        return PairDataset, (self.directory, self.split)

    def _words(self, texts: NDArray[np.int64]) -> dict[str, Sequence[Tensor]]:
        """What the words of some rows of the text store have, [CLS] and [SEP] added."""
        starts, stops = self.texts.offsets[texts], self.texts.offsets[texts + 1]
        lengths = stops - starts + SPECIALS
        ends = lengths.cumsum()
        inner = np.ones(int(lengths.sum()), dtype=bool)
        inner[ends - 1] = inner[ends - lengths] = False

        def surround(rows: Rows, first: int, last: int) -> Sequence[Tensor]:
            values = np.full(len(inner), last, dtype=np.int64)
            values[ends - lengths] = first
            values[inner] = rows.read(starts, stops)
            return _split(values, lengths.tolist())

        found = {"token_ids": surround(self.texts.token_ids, self.vocabulary.cls_id, self.vocabulary.sep_id)}
        if self.texts.gold:
            found["gold"] = surround(self.texts.gold, -1, -1)
        if self.texts.kinds:
            found["kinds"] = surround(self.texts.kinds, 0, 0)
        return found

    def _regions(self, rows: NDArray[np.int64]) -> dict[str, Sequence[Tensor]]:
        """What the images' regions have."""
        starts, stops = self.regions.offsets[rows], self.regions.offsets[rows + 1]
        lengths = (stops - starts).tolist()
        found = {
            "features": _split(self.regions.features.read(starts, stops), lengths),
            "boxes": _split(geometry(self.regions.boxes.read(starts, stops)), lengths),
        }
        if self.regions.labels:
            found["labels"] = _split(self.regions.labels.read(starts, stops), lengths)
        return found


def _split(values: NDArray[Any], lengths: list[int]) -> Sequence[Tensor]:
    return torch.split(torch.from_numpy(values), lengths)


def _join(texts: TextStore, chosen: NDArray[np.int64], regions: RegionStore) -> NDArray[np.int64]:
    """The region store's row of the image of each chosen text."""
    images = texts.image_index[chosen]
    rows = regions.find(texts.image_names)[images]
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        first = missing[0]
        text, image = str(texts.text_ids[chosen[first]]), str(texts.image_names[images[first]])
        raise ValueError(
            f"{texts.location}: text {text!r} names image {image!r}, which {regions.location} lacks "
            f"({len(np.unique(images[missing]))} such images): extract their regions or leave the texts out"
        )
    return rows


def _refuse_empty(dataset: PairDataset) -> None:
    """Pre-training wants at least one word and one region in each pair."""
    if not len(dataset):
        raise ValueError(f"{dataset.texts.location} holds no text: import the texts again")
    wordless = np.flatnonzero(dataset.text_lengths <= SPECIALS)
    if len(wordless):
        raise ValueError(
            f"{dataset.texts.location}: the sentence of text {str(dataset.text_ids[wordless[0]])!r} is empty "
            f"({len(wordless)} such texts): leave them out when importing"
        )
    bare = np.flatnonzero(dataset.region_lengths[dataset.image_rows] == 0)
    if len(bare):
        text, image = str(dataset.text_ids[bare[0]]), str(dataset.regions.image_ids[dataset.image_rows[bare[0]]])
        raise ValueError(
            f"{dataset.regions.location}: image {image!r} of text {text!r} has no region ({len(bare)} such pairs): "
            "extract regions for it or leave the texts out"
        )
