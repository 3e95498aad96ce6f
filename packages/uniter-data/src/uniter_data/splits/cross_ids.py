"""What the catalogues say: one picture's ids in several collections, from the owners' own files.

Visual Genome's `image_data.json` gives of a picture its own id and, where there are such, those of COCO and Flickr
(half of its pictures are COCO's, nearly all are Flickr's). COCO's files of captions, instances or `image_info_…` give
of a picture the address of its photo. With these, and by nothing else, a picture that one data set knows by COCO's
number is found in another that knows the photo.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members
from uniter_data.splits.rules import Clues
from uniter_data.splits.rules.flickr import flickr_ids

__all__ = ["CrossIds", "CrossLink", "listed_images", "read_coco_images", "read_cross_ids", "read_genome_images"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossLink:
    """That two ids are those of one picture.

    Attributes:
        one: key of an `Identity`.
        other: likewise.
        rule: under which such a link is counted.
        evidence: the file and the record that say so.
    """

    one: str
    other: str
    rule: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class CrossIds:
    """The links of some files.

    Attributes:
        links: in the order of the files.
        files: that they were read from.
    """

    links: tuple[CrossLink, ...] = ()
    files: tuple[Path, ...] = ()


def read_cross_ids(*, genome: Iterable[str | Path] = (), coco: Iterable[str | Path] = ()) -> CrossIds:
    """The links of several files.

    Args:
        genome: Visual Genome's `image_data.json`.
        coco: files of COCO with a list `images`, such as `captions_train2014.json` or `image_info_test2015.json`.

    Raises:
        ValueError: a file is of another format, or a record is wrong; the message names file and record.
    """
    readers = [(read_genome_images, list(map(Path, genome))), (read_coco_images, list(map(Path, coco)))]
    links = tuple(link for read, paths in readers for path in paths for link in read(path))
    return CrossIds(links=links, files=tuple(path for _, paths in readers for path in paths))


def read_genome_images(path: Path) -> Iterator[CrossLink]:
    """The ids that a picture of Visual Genome has elsewhere.

    Raises:
        ValueError: see `read_cross_ids`.
    """
    empty = True
    for key, index, value in read_members(path):
        if key or index is None or not isinstance(value, dict) or not {"coco_id", "flickr_id"} <= value.keys():
            raise other_format(path, "Visual Genome's image_data.json")
        empty = False
        fields = Fields(value, f"{path}: [{index}]")
        own = f"genome:{fields.integer('id' if 'image_id' not in value else 'image_id')}"
        for namespace in ("coco", "flickr"):
            if value[f"{namespace}_id"] is not None:
                other = f"{namespace}:{fields.integer(f'{namespace}_id')}"
                yield CrossLink(one=own, other=other, rule="genome id", evidence=f"{path.name}: [{index}]")
    if empty:
        raise other_format(path, "Visual Genome's image_data.json")


def read_coco_images(path: Path) -> Iterator[CrossLink]:
    """The Flickr photos of COCO's pictures; those without an address of one are passed over.

    Raises:
        ValueError: see `read_cross_ids`.
    """
    for index, fields in listed_images(path, "a file of COCO with a list of images"):
        own = f"coco:{fields.integer('id')}"
        for photo in flickr_ids(Clues(name="", url=str(fields.raw.get("flickr_url") or ""))):
            yield CrossLink(one=own, other=photo.key, rule="flickr id", evidence=f"{path.name}: images[{index}]")


def listed_images(path: Path, expected: str) -> Iterator[tuple[int, Fields]]:
    """The records of a document's list `images`, with their places, as COCO's own files and Karpathy's splits have it.

    Args:
        path: the document.
        expected: what it should have been, for the message if it has no such list.

    Raises:
        ValueError: there is no image, or a record is no object; the message names file and record.
    """
    empty = True
    for key, index, value in read_members(path):
        if key == "images" and index is not None:
            empty = False
            yield index, Fields(value, f"{path}: images[{index}]")
    if empty:
        raise other_format(path, expected)
