"""Image sets as a person names them on a command line."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from uniter_data.splits.addresses import Addresses
from uniter_data.splits.id_lists import read_id_list
from uniter_data.splits.image_sets import ImageSet, open_dataset

__all__ = ["named_places", "open_downstream", "open_sources", "with_places"]

NAME = r"[\w.+-]+"
DATASET = re.compile(rf"(?:({NAME})=)?(.+?)(?::({NAME}))?")
LIST = re.compile(rf"({NAME}):({NAME})=(.+)")


def open_sources(arguments: Iterable[str]) -> list[ImageSet]:
    """Data sets of pre-training, each `[COLLECTION=]DIRECTORY[:SPLIT]`; without a split, all of its splits.

    Raises:
        ValueError: see `open_dataset`.
    """
    return [images for argument in arguments for images in _dataset(argument, needs_split=False)]


def open_downstream(arguments: Iterable[str]) -> list[ImageSet]:
    """Evaluation splits: `[COLLECTION=]DIRECTORY:SPLIT` of a data set, or `COLLECTION:SPLIT=FILE`, a list of ids.

    Raises:
        ValueError: a data set is given without a split, or something cannot be opened; see `open_dataset` and
            `read_id_list`.
    """
    found: list[ImageSet] = []
    for argument in arguments:
        listed = LIST.fullmatch(argument)
        if listed:
            found.append(read_id_list(Path(listed[3]), listed[1], listed[2]))
        else:
            found += _dataset(argument, needs_split=True)
    return found


def with_places(sets: Sequence[ImageSet], *, urls: Mapping[str, str], pictures: Mapping[str, str]) -> list[ImageSet]:
    """The sets, with URLs and pictures that are kept elsewhere.

    Args:
        sets: all of an audit.
        urls: a file (`Addresses.read`) by the name of a set, such as `sbu:train`, or of all splits of `sbu`.
        pictures: a folder or URL, likewise.

    Raises:
        ValueError: no set has such a name, or a file cannot be read.
    """
    known = [name for images in sets for name in _names(images)]
    for name in (*urls, *pictures):
        if name not in known:
            raise ValueError(f"{name!r} is none of the data sets and splits {', '.join(dict.fromkeys(known))}")
    addresses = {name: Addresses.read(Path(file)) for name, file in urls.items()}
    return [
        images.with_more(
            urls=next((addresses[name] for name in _names(images) if name in addresses), None),
            pictures=tuple(pictures[name] for name in _names(images) if name in pictures),
        )
        for images in sets
    ]


def named_places(arguments: Iterable[str]) -> dict[str, str]:
    """Options of the form `NAME=PLACE`.

    >>> named_places(["sbu=urls.tsv", "coco:val=pictures/val2014"])
    {'sbu': 'urls.tsv', 'coco:val': 'pictures/val2014'}

    Raises:
        ValueError: one has another form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        name, _, place = argument.partition("=")
        if not name or not place or name in found:
            raise ValueError(f"expected NAME=PLACE, each name once, got {argument!r}")
        found[name] = place
    return found


# ---------------------------------------------------------------------------------------------------------------------


def _dataset(argument: str, *, needs_split: bool) -> list[ImageSet]:
    match = DATASET.fullmatch(argument)
    if not match or (needs_split and not match[3]):
        form = "DIRECTORY:SPLIT or COLLECTION:SPLIT=FILE" if needs_split else "DIRECTORY or DIRECTORY:SPLIT"
        raise ValueError(f"expected {form}, got {argument!r}")
    return open_dataset(match[2], match[3] or "", namespace=match[1] or "")


def _names(images: ImageSet) -> tuple[str, str]:
    """What a set may be called: by itself, or with the other splits of its data set."""
    return images.name, images.name.rpartition(":")[0]
