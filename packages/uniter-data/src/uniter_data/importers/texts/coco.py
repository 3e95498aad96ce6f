"""COCO captions (Chen et al., 2015): `captions_train2014.json`, five sentences or so a picture."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members
from uniter_data.examples.image_names import ImageName, coco_file
from uniter_data.examples.splits import Files, by_split, split_of_name
from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionReport, CaptionSource
from uniter_data.importers.texts.coco_boxes import write_coco_boxes
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.importing import import_captions
from uniter_data.importers.texts.web import is_url

__all__ = ["import_coco", "read_coco_captions"]


def import_coco(
    out: str | Path,
    *,
    files: Files,
    instances: Sequence[str | Path] = (),
    options: CaptionOptions | None = None,
) -> CaptionReport:
    """Import the captions of COCO, of 2014 or 2017.

    Args:
        out: the data set to write.
        files: of captions of each split; under "", the split is the last word of the file's name without its year.
        instances: `instances_….json`, whose boxes are to be the regions when features are extracted.
        options: see `CaptionOptions`.

    Raises:
        ValueError: `instances` are given beside regions, which have boxes of their own; and see `import_captions`.
    """
    options = options or CaptionOptions()
    if instances and options.regions:
        raise ValueError(
            "instances: expected none, the region stores have boxes of their own; give --pictures instead of --regions "
            "to extract features of the annotated boxes"
        )
    splits = by_split(files, lambda path: split_of_name(path).rstrip("0123456789"))
    paths = [path for of_split in splits.values() for path in of_split]
    source = CaptionSource(
        name="coco",
        source="COCO captions (Chen et al., 2015): " + ", ".join(path.name for path in paths),
        licence="CC-BY-4.0",
        files=[*paths, *map(Path, instances)],
        captions=partial(_captions, splits),
        finish=partial(write_coco_boxes, [Path(path) for path in instances]) if instances else None,
    )
    return import_captions(out, source, options)


def read_coco_captions(path: Path, split: str, damages: Damages) -> Iterator[Caption]:
    """The captions of a file, one after another; only its list of pictures is in memory.

    Raises:
        ValueError: the file is of another format, or a record is wrong; the message names file and record.
    """
    images: dict[int, tuple[ImageName, str]] = {}
    records = ((index, value) for key, index, value in read_members(path) if key == "images" and index is not None)
    for number, image, url in damages.sift(partial(_image, path), records):
        images[number] = (image, url)
    empty = True
    for key, index, value in read_members(path):
        if key != "annotations" or index is None:
            continue
        if empty and not (isinstance(value, dict) and "caption" in value):
            raise other_format(path, "a file of COCO captions")
        empty = False
        yield from damages.sift(partial(_caption, path, split, images), [(index, value)])
    if empty:
        raise other_format(path, "a file of COCO captions")


# ---------------------------------------------------------------------------------------------------------------------


def _captions(splits: dict[str, list[Path]], damages: Damages) -> Iterator[Caption]:
    for split, paths in splits.items():
        for path in paths:
            yield from read_coco_captions(path, split, damages)


def _image(path: Path, record: tuple[int, Any]) -> tuple[int, ImageName, str]:
    index, raw = record
    fields = Fields(raw, f"{path}: images[{index}]")
    number = fields.integer("id")
    # Flickr's own address names the photo, COCO's only repeats the id
    url = next(filter(is_url, (str(raw.get(name)) for name in ("flickr_url", "coco_url"))), "")
    return number, coco_file(fields.text("file_name"), number), url


def _caption(path: Path, split: str, images: dict[int, tuple[ImageName, str]], record: tuple[int, Any]) -> Caption:
    index, raw = record
    fields = Fields(raw, f"{path}: annotations[{index}]")
    number = fields.integer("image_id")
    if number not in images:
        fields.fail("image_id", "a picture of the file's list of images", number)
    image, url = images[number]
    images[number] = (image, "")
    return Caption(
        id=str(fields.integer("id")),
        source=fields.where,
        split=split,
        sentence=fields.text("caption", empty=True),
        image=image,
        url=url,
    )
