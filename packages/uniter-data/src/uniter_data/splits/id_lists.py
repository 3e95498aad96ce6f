"""Lists of the images of evaluation splits, as those publish them who made the splits."""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.formats import describe
from uniter_data.annotations.json_stream import read_lines as read_json_lines
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.tables import read_lines
from uniter_data.splits.addresses import Addresses
from uniter_data.splits.cross_ids import listed_images
from uniter_data.splits.image_sets import NAMESPACES, ImageSet

__all__ = ["read_id_list"]

Named = tuple[str, str]  # an image's id or file name, and its URL or nothing


def read_id_list(path: Path, collection: str, split: str) -> ImageSet:
    """The images that a file lists.

    Args:
        path: lines of text, each an id, a file's name or a URL; a file of COCO or of Karpathy's splits with a list
            `images`; or NLVR2's annotations, which know the URLs of their pictures.
        collection: whose ids they are, such as "coco" or "flickr30k".
        split: for the report; of Karpathy's splits, those images are taken that belong to it.

    Raises:
        ValueError: the file is of another format, a record is wrong, or no image belongs to the split; the message
            names file and record.
    """
    if path.suffix.lower() not in (".json", ".jsonl"):
        read: Callable[[Path, str], Iterator[Named]] = _lines
    else:
        read = _nlvr2 if describe(path) == "NLVR2" else _coco
    found: dict[str, str] = {}
    for name, url in read(path, split):
        found[name] = url or found.get(name, "")
    if not found:
        raise ValueError(f"{path} lists no image" + (f" of split {split!r}" if read is _coco else "") + ": check it")
    images = np.array(list(found), dtype=np.dtypes.StringDType())
    known = {image: url for image, url in found.items() if url}
    return ImageSet.of(
        f"{collection}:{split}",
        images,
        np.ones(len(images), np.int64),
        namespace=NAMESPACES.get(collection, collection),
        urls=Addresses(path, known.items()) if known else None,
        split=split,
        file=path,
    )


# ---------------------------------------------------------------------------------------------------------------------


def _lines(path: Path, split: str) -> Iterator[Named]:
    for _, line in read_lines(path, Damages(skip=False)):
        text = line.strip()
        if text:
            yield text, text if "://" in text else ""


def _coco(path: Path, split: str) -> Iterator[Named]:
    """COCO's own files are of one split as a whole; Karpathy's say of each image its split."""
    for _, fields in listed_images(path, "a list of images: lines of ids, a file of COCO, Karpathy's splits or NLVR2"):
        if fields.raw.get("split", split) != split:
            continue
        name = fields.text("filename" if "filename" in fields.raw else "file_name")
        urls = (str(fields.raw.get(field) or "") for field in ("flickr_url", "coco_url"))
        yield PurePosixPath(name).stem, next(filter(None, urls), "")


def _nlvr2(path: Path, split: str) -> Iterator[Named]:
    return chain.from_iterable(_pair(Fields(record, f"{path}:{number}")) for number, record in read_json_lines(path))


def _pair(fields: Fields) -> list[Named]:
    """The two pictures of a sentence; several sentences share them."""
    pair = fields.text("identifier").rpartition("-")[0]
    return [(f"{pair}-img{side}", fields.text(f"{name}_url")) for side, name in enumerate(("left", "right"))]
