"""What a released database calls a picture, as annotations name it."""

import re

from uniter_data.annotations.fields import Fields
from uniter_data.examples.image_names import ImageName, coco_image, flickr_image, genome_image, nlvr2_image, web_image

__all__ = ["image_of", "images_of", "scene_of"]

COCO = re.compile(r"coco_([a-z]+\d{4})_(\d{12})")
FLICKR = re.compile(r"flickr30k_(\d{12})")
GENOME = re.compile(r"vg_(\d+)")
NLVR2 = re.compile(r"nlvr2_(.+)")


def image_of(name: str) -> ImageName:
    """The picture of a feature file.

    >>> image_of("coco_train2014_000000000009.npz").stem, image_of("flickr30k_000000036979.npz").stem
    ('COCO_train2014_000000000009', '36979')
    >>> image_of("nlvr2_dev-1-0-img0.npz").stem, image_of("gcc_train_7.npz").stem
    ('dev-1-0-img0', 'gcc_train_7')
    """
    stem = name.removesuffix(".npz")
    if match := COCO.fullmatch(stem):
        return coco_image(int(match[2]), match[1])
    if match := FLICKR.fullmatch(stem):
        return flickr_image(str(int(match[1])))
    if match := GENOME.fullmatch(stem):
        return genome_image(int(match[1]))
    if match := NLVR2.fullmatch(stem):
        return nlvr2_image(match[1])
    return web_image(stem)


def images_of(fields: Fields, *, count: int) -> tuple[ImageName, ...]:
    """The one picture, or the two, that a record names."""
    raw = fields.raw.get("img_fname")
    names = raw if isinstance(raw, list) else [raw]
    if len(names) != count:
        fields.fail("img_fname", f"{count} name(s) of files", raw)
    return tuple(image_of(_name(fields, name)) for name in names)


def scene_of(fields: Fields) -> ImageName:
    """The picture of VCR, whose two feature files are those of its annotated objects and of detections."""
    objects, detected = (_name(fields, name).removesuffix(".npz") for name in fields.items("img_fname", count=2))
    common = detected.removeprefix("vcr_")
    if objects == f"vcr_gt_{common}":
        return ImageName(kind="vcr", stem=common, path=common)
    return ImageName(kind="vcr", stem=detected, path=objects)


def _name(fields: Fields, name: object) -> str:
    if not isinstance(name, str) or not name:
        fields.fail("img_fname", "names of files", fields.raw.get("img_fname"))
    return name
