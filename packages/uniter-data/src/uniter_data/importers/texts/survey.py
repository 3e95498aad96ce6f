"""The first reading of captions: which region store or folder has each split's pictures, and whether ids are unique."""

# P places where pictures are looked for

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from uniter_core import key_of
from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionSource
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.places import Place, find_images
from uniter_data.stores.image_index import hash_ids

__all__ = ["blocks_of", "survey"]

BLOCK = 1 << 12  # captions whose pictures are looked up together
KEYS = 1 << 63  # `key_of` is below


def survey(source: CaptionSource, places: dict[str, list[Place]], options: CaptionOptions) -> dict[str, Place]:
    """The place of each split that has most of its pictures.

    Args:
        source: of the captions.
        places: where the pictures of each split may be; under "", those of all others.
        options: see `CaptionOptions`.

    Raises:
        ValueError: there is no caption, a record is wrong or an id doubled, no place is given for a split, or its best
            place lacks a picture and that is not to be left out.
    """
    found: dict[str, _Split] = {}
    damages = Damages(skip=options.skip_damaged)
    for block in blocks_of(source, damages, options):
        for split in dict.fromkeys(caption.split for caption in block):
            if split not in found:
                found[split] = _Split(split, _of_split(places, split))
            found[split].add([caption for caption in block if caption.split == split], options.image_name)
    if not found:
        files = ", ".join(map(str, source.files))
        raise ValueError(
            f"{files}: no caption" + (f", all {len(damages.problems)} damaged" if damages.problems else "")
        )
    for of_split in found.values():
        of_split.refuse_doubles(source, options)
    lenient = options.skip_missing or source.pictures_vanish
    return {name: found[name].choose(lenient=lenient) for name in sorted(found, key=_rank)}


def blocks_of(source: CaptionSource, damages: Damages, options: CaptionOptions) -> Iterator[list[Caption]]:
    """The captions, some thousand at a time, `val_share` applied."""
    captions = damages.sift(partial(_checked, share=options.val_share), source.captions(damages))
    done = 0
    while block := list(islice(captions, BLOCK)):
        done += len(block)
        options.progress("reading captions", done, done)
        yield block


# ---------------------------------------------------------------------------------------------------------------------

ORDER = ("train", "restval", "val", "test")


@dataclass(eq=False)
class _Split:
    """What is found of one split."""

    name: str
    places: Sequence[Place]
    captions: int = 0
    found: list[int] = field(default_factory=list)  # (P,) captions whose picture is in the place
    lacking: list[Caption | None] = field(default_factory=list)  # (P,) the first whose is not
    hashes: list[NDArray[np.uint64]] = field(default_factory=list)  # of the ids

    def add(self, captions: list[Caption], pattern: str) -> None:
        self.found = self.found or [0] * len(self.places)
        self.lacking = self.lacking or [None] * len(self.places)
        self.hashes.append(hash_ids([caption.id for caption in captions]))
        wanted = [caption for caption in captions if not caption.unwanted]
        self.captions += len(wanted)
        for number, place in enumerate(self.places):
            names = find_images(place, [caption.image for caption in wanted], pattern)
            self.found[number] += sum(map(bool, names))
            if self.lacking[number] is None:
                self.lacking[number] = next((c for c, name in zip(wanted, names, strict=True) if not name), None)

    def refuse_doubles(self, source: CaptionSource, options: CaptionOptions) -> None:
        """Eight bytes of each id tell whether one comes twice; which it is is looked up only then."""
        hashes = np.sort(np.concatenate(self.hashes))
        double = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
        if not double:
            return
        seen: set[str] = set()
        for block in blocks_of(source, Damages(skip=True), options):
            for caption in block:
                if caption.split != self.name or int(hash_ids([caption.id])[0]) not in double:
                    continue
                if caption.id in seen:
                    raise ValueError(
                        f"{caption.source}: {caption.id!r} comes twice in split {self.name!r}: remove one of the two"
                    )
                seen.add(caption.id)

    def choose(self, *, lenient: bool) -> Place:
        best = int(np.argmax(self.found))
        place, lacking = self.places[best], self.lacking[best]
        if not self.found[best]:
            first = f", the first is {lacking.image.stem!r} of {lacking.source}" if lacking else ""
            raise ValueError(
                f"split {self.name!r}: {place.location} has none of its pictures{first}: give the right --regions or "
                "--pictures, or say with --image-name what it calls them"
            )
        if lacking and not lenient:
            raise ValueError(
                f"{lacking.source}: image {lacking.image.stem!r}: {place.lacks} in {place.location} "
                f"({self.captions - self.found[best]} such captions in split {self.name!r}): mend that, import what "
                "lies in several stores as several data sets, or leave such captions out with --skip-missing"
            )
        return place


def _of_split(places: dict[str, list[Place]], split: str) -> list[Place]:
    found = places.get(split) or places.get("")
    if not found:
        raise ValueError(
            f"split {split!r}: expected --regions or --pictures for it, got them for {', '.join(places) or 'none'}"
        )
    return found


def _checked(caption: Caption, *, share: float) -> Caption:
    """A caption of text that can be written; one of "train" in "val" if its picture belongs to the share."""
    try:
        "".join((caption.id, caption.sentence, caption.image.stem, caption.url)).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{caption.source}: half a surrogate pair is no text ({error.reason}): mend it") from error
    if not share or caption.split != "train" or key_of("val", caption.image.stem) >= share * KEYS:
        return caption
    return replace(caption, split="val")


def _rank(split: str) -> tuple[int, str]:
    return (ORDER.index(split) if split in ORDER else len(ORDER), split)
