"""The images of one split: of a data set of pairs, of a task's examples, or of a list of ids."""

# U images, T texts

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.examples.check import holds_examples
from uniter_data.examples.manifest import place_of, read_task_manifest
from uniter_data.examples.store import ExampleStore
from uniter_data.splits.addresses import Addresses
from uniter_data.splits.rules import Clues
from uniter_data.stores.cache import cache_folder
from uniter_data.stores.kept_texts import read_kept
from uniter_data.stores.locations import exists, is_remote, join, locate, read_text
from uniter_data.stores.manifest import open_texts, read_manifest, write_text

__all__ = ["NAMESPACES", "ImageSet", "open_dataset"]

# Whose numbers the bare numbers of a data set are that an importer called so.
NAMESPACES = {"coco": "coco", "genome": "genome", "flickr30k": "flickr", "snli-ve": "flickr", "vcr": "vcr"}
BLOCK = 1 << 14
URLS = "urls.tsv"


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Images that belong together.

    Attributes:
        name: of the data set and its split, such as "sbu:train".
        images: (U,) strings, their ids.
        texts: (U,) texts, or examples, that show each.
        namespace: see `Clues`.
        digest: sha256 of the ids and the numbers of texts.
        urls: where they came from; None where nobody knows.
        pictures: folders or URLs of their pictures; a file's stem is an image's id.
        directory: of the data set; empty for a list.
        split: of the data set.
        file: that lists the images; None for a data set.
    """

    name: str
    images: NDArray[Any]
    texts: NDArray[np.int64]
    namespace: str
    digest: str
    urls: Addresses | None = None
    pictures: tuple[str, ...] = ()
    directory: str = ""
    split: str = ""
    file: Path | None = None

    @classmethod
    def of(cls, name: str, images: NDArray[Any], texts: NDArray[np.int64], **known: Any) -> "ImageSet":
        """A set with its digest."""
        found = sha256()
        for start in range(0, len(images), BLOCK):
            block = zip(images[start : start + BLOCK].tolist(), texts[start : start + BLOCK].tolist(), strict=True)
            found.update(json.dumps(list(block), ensure_ascii=False).encode())
        return cls(name=name, images=images, texts=texts, digest=found.hexdigest(), **known)

    def __len__(self) -> int:
        return len(self.images)

    def clues(self, row: int) -> Clues:
        """What is known of one image."""
        image = str(self.images[row])
        url = self.urls.find([image])[0] if self.urls else ""
        return Clues(name=image, url=url, namespace=self.namespace)

    def all_clues(self) -> Iterator[Clues]:
        """What is known of each image, in order."""
        for start in range(0, len(self), BLOCK):
            images = self.images[start : start + BLOCK].tolist()
            urls = self.urls.find(images) if self.urls else [""] * len(images)
            for image, url in zip(images, urls, strict=True):
                yield Clues(name=image, url=url, namespace=self.namespace)

    def with_more(self, *, urls: Addresses | None = None, pictures: tuple[str, ...] = ()) -> "ImageSet":
        """The set with what else is known of it."""
        return replace(self, urls=urls or self.urls, pictures=(*pictures, *self.pictures))


def open_dataset(directory: str | Path, split: str = "", *, namespace: str = "") -> list[ImageSet]:
    """The images of a split, or of each split, of a data set of pairs or of a task's examples.

    Args:
        directory: path or URL.
        split: one of its splits; empty for all of them.
        namespace: whose numbers its bare numbers are; empty for what the data set's name says (`NAMESPACES`).

    Raises:
        ValueError: there is no data set, no such split, or a store cannot be opened.
    """
    location = locate(directory)
    of_tasks = holds_examples(location)
    manifest: Any = read_task_manifest(location) if of_tasks else read_manifest(location)
    splits: Mapping[str, Any] = manifest.splits
    if split and split not in splits:
        raise ValueError(f"{location} has no split {split!r}: it has {', '.join(splits)}")
    folder = location.rpartition("/")[2] if is_remote(location) else Path(location).resolve().name
    urls = join(location, URLS if of_tasks else manifest.urls)
    known: dict[str, Any] = {
        "namespace": namespace or NAMESPACES.get(manifest.name, ""),
        "urls": Addresses.read(_at_hand(urls)) if exists(urls) else None,
        "directory": location,
    }
    read = _examples if of_tasks else _pairs
    return [
        ImageSet.of(
            f"{folder}:{name}", *read(location, name), split=name, **known, pictures=_pictures(location, splits[name])
        )
        for name in ([split] if split else splits)
    ]


# ---------------------------------------------------------------------------------------------------------------------


def _pairs(location: str, split: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    manifest = read_manifest(location)
    texts, keep = open_texts(location, manifest, split), manifest.splits[split].keep
    index = texts.image_index[read_kept(join(location, keep), texts)] if keep else texts.image_index
    counts = np.bincount(index, minlength=len(texts.image_names))
    shown = np.flatnonzero(counts)
    return texts.image_names[shown], counts[shown]


def _examples(location: str, split: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    store = ExampleStore(place_of(location, read_task_manifest(location).splits[split].examples))
    return store.image_ids, np.bincount(store.images.ravel(), minlength=len(store.image_ids))


def _at_hand(location: str) -> Path:
    """A file; of a remote one a copy in the cache folder."""
    if not is_remote(location):
        return Path(location)
    copy = cache_folder() / "urls" / sha256(location.encode()).hexdigest()[:16] / location.rpartition("/")[2]
    write_text(copy, read_text(location))
    return copy


def _pictures(location: str, split: Any) -> tuple[str, ...]:
    folders = split.pictures if isinstance(split.pictures, tuple) else (split.pictures,)
    places = (place_of(location, folder) for folder in folders if folder)
    return tuple(place for place in places if exists(place))  # pictures often stay where they were extracted
