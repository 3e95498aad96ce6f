"""What an image may be called in a store of regions: annotations name pictures in one way, feature files in another.

COCO's picture 9 is `COCO_train2014_000000000009` to some, `coco_train2014_000000000009.npz` or plain `9` to others.
Only whole names are compared, in the order in which they stand here; a pattern of one's own replaces them all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = [
    "ImageName",
    "coco_file",
    "coco_image",
    "flickr_image",
    "genome_image",
    "nlvr2_image",
    "vcr_image",
    "web_image",
]

SUFFIXES = ("", ".npz", ".jpg")
PATTERNS = {
    "coco": (
        "{stem}",
        "coco_{collection}_{number:012d}",
        "visual_grounding_coco_gt_{number:012d}",
        "visual_grounding_det_coco_{number:012d}",
        "{number:012d}",
        "{number}",
    ),
    "genome": ("{number}", "vg_{number}", "visual_genome_{number}", "{number:012d}", "vg_{number:012d}"),
    "flickr": ("{stem}", "flickr30k_{number:012d}"),
    "nlvr2": ("{stem}", "nlvr2_{stem}"),
    "vcr": ("{path}", "{stem}", "vcr_gt_{stem}", "vcr_{stem}"),
    "web": ("{stem}", "{number:09d}", "{number:012d}", "{number}"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageName:
    """An image as its annotations name it.

    Attributes:
        kind: whose image it is: a key of `PATTERNS`.
        stem: its picture's file name without suffix.
        number: -1 if it has none.
        collection: to which it belongs, such as "train2014"; may be empty.
        path: its picture's path without suffix, or the stem of where it came from; may be empty.
    """

    kind: str
    stem: str
    number: int = -1
    collection: str = ""
    path: str = ""

    def candidates(self, pattern: str = "") -> Iterator[str]:
        """What a store may call it, the likely first.

        Args:
            pattern: with `{stem}`, `{number}` (`{number:012d}`), `{collection}`, `{path}`; replaces those known here.

        Raises:
            ValueError: the pattern names something else.

        >>> next(coco_image(9, "val2014").candidates("in-{collection}-{number:03d}"))
        'in-val2014-009'
        """
        for form in (pattern,) if pattern else PATTERNS[self.kind]:
            if "{number" in form and self.number < 0:
                continue
            try:
                name = form.format(stem=self.stem, number=self.number, collection=self.collection, path=self.path)
            except (LookupError, ValueError, AttributeError) as error:
                raise ValueError(
                    f"image_name: {pattern!r} is no pattern of {{stem}}, {{number}}, {{collection}} and {{path}} "
                    f"({error}): correct it"
                ) from error
            yield from (name + suffix for suffix in SUFFIXES)


def coco_image(number: int, collection: str, stem: str = "") -> ImageName:
    """A picture of COCO; its `stem` follows from the rest where its file's name is not known.

    >>> coco_image(9, "val2014").stem
    'COCO_val2014_000000000009'
    """
    stem = stem or (f"COCO_{collection}_{number:012d}" if collection else f"{number:012d}")
    return ImageName(kind="coco", stem=stem, number=number, collection=collection)


def coco_file(name: str, number: int) -> ImageName:
    """A picture of COCO as its file is called: until 2014 by its collection, from 2017 on by its number alone.

    >>> coco_file("COCO_val2014_000000000009.jpg", 9).collection, coco_file("000000000009.jpg", 9).stem
    ('val2014', '000000000009')
    """
    stem = PurePosixPath(name).stem
    collection = re.fullmatch(r"COCO_([a-z]+\d{4})_\d{12}", stem)
    return coco_image(number, collection[1] if collection else "", stem)


def genome_image(number: int) -> ImageName:
    """A picture of Visual Genome."""
    return ImageName(kind="genome", stem=str(number), number=number)


def flickr_image(name: str) -> ImageName:
    """A picture of Flickr30k, named by its photo id."""
    return ImageName(kind="flickr", stem=name, number=int(name) if name.isdecimal() else -1)


def nlvr2_image(stem: str, url_stem: str = "") -> ImageName:
    """A picture of NLVR2; its `path` is what it was called where it came from."""
    return ImageName(kind="nlvr2", stem=stem, path=url_stem)


def vcr_image(file: str) -> ImageName:
    """A picture of VCR, named by its path below vcr1images."""
    path = PurePosixPath(file)
    return ImageName(kind="vcr", stem=path.name.removesuffix(path.suffix), path=file.removesuffix(path.suffix))


def web_image(stem: str, number: int = -1) -> ImageName:
    """A picture of somebody's own, or of the web, where only the row that names it has a number."""
    return ImageName(kind="web", stem=stem, number=number)
