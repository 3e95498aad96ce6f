"""RefCOCO, RefCOCO+ and RefCOCOg (Kazemzadeh et al. 2014; Yu et al. 2016; Mao et al. 2016): which object is meant?

Each is a folder of `instances.json` (COCO's objects) and `refs(unc).p` or `refs(umd).p`: a pickle of references, each
to one object with several expressions. The name in brackets says who made the splits.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from uniter_data.annotations.fields import Fields, Seen
from uniter_data.annotations.formats import describe, other_format
from uniter_data.annotations.instances import Instance, Instances, read_instances
from uniter_data.annotations.plain_pickle import read_plain_pickle

__all__ = ["SPLITS", "Expression", "read_refcoco"]

SPLITS = {  # that each maker has
    "unc": ("train", "val", "testA", "testB"),
    "umd": ("train", "val", "test"),
}
UNUSED = ("google", "berkeley")  # makers of splits on which nobody reports results with region features
COLLECTION = re.compile(r"COCO_([a-z]+\d{4})_\d{12}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """One expression for an object.

    Attributes:
        source: file and record, for messages.
        sent_id: unique in the file.
        ref_id: of the reference, which has several expressions.
        ann_id: of the object in COCO's instances.
        image_id: COCO id.
        stem: the picture's file name without suffix.
        collection: of the picture, such as "train2014"; empty if its name does not say.
        split: train, val, and testA and testB or test.
        sentence: as the owners have cleaned it, lower case; may be empty.
        box: of the object: x, y, width, height in pixels.
        size: of the picture: width and height in pixels.
        category: of the object; empty if the instances do not say.
    """

    source: str
    sent_id: int
    ref_id: int
    ann_id: int
    image_id: int
    stem: str
    collection: str
    split: str
    sentence: str
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    category: str


def read_refcoco(refs: Path, instances: Path) -> Iterator[Expression]:
    """The expressions of every split, reference after reference.

    Raises:
        ValueError: a file is of another format, holds more than plain data, a record is wrong or doubled, or names an
            object that the instances lack; the message names file and record.
    """
    splits, references = _splits(refs), _references(refs)
    objects = read_instances(instances)
    seen, sentences = Seen("ref_id"), Seen("sent_id")
    for index, raw in enumerate(references):
        fields = Fields(raw, f"{refs}: [{index}]")
        seen.add(fields.integer("ref_id"), fields.where)
        thing, size = _object(fields, objects, instances)
        split = fields.choice("split", splits)
        stem = PurePosixPath(objects.file_names[thing.image_id]).stem
        collection = COLLECTION.fullmatch(stem)
        for place in range(len(fields.items("sentences"))):
            sentence = fields.within("sentences", place)
            sent_id = sentence.integer("sent_id")
            sentences.add(sent_id, sentence.where)
            yield Expression(
                source=f"{refs}: sentence {sent_id}",
                sent_id=sent_id,
                ref_id=fields.integer("ref_id"),
                ann_id=fields.integer("ann_id"),
                image_id=thing.image_id,
                stem=stem,
                collection=collection[1] if collection else "",
                split=split,
                sentence=sentence.text("sent", empty=True),
                box=thing.box,
                size=size,
                category=objects.categories.get(thing.category_id, ""),
            )


# ---------------------------------------------------------------------------------------------------------------------


def _splits(refs: Path) -> tuple[str, ...]:
    """Those of the maker that the file's name gives; any, if it gives another."""
    maker = re.search(r"\((\w+)\)", refs.name)
    if maker and maker[1] in UNUSED:
        raise ValueError(
            f"{refs} has the splits by {maker[1]}: results are reported on those by unc (RefCOCO, RefCOCO+) or umd "
            "(RefCOCOg); give refs(unc).p or refs(umd).p"
        )
    every = tuple(dict.fromkeys(split for splits in SPLITS.values() for split in splits))
    return SPLITS.get(maker[1], every) if maker else every


def _references(refs: Path) -> list[object]:
    try:
        found = read_plain_pickle(refs)
    except ValueError as error:
        if "no whole pickle" in str(error) and "pickle" not in describe(refs):
            raise other_format(refs, "a pickle of references") from error
        raise
    first = found[0] if isinstance(found, list) and found else None
    if not isinstance(first, dict) or not {"ref_id", "ann_id", "sentences", "split"} <= first.keys():
        raise ValueError(
            f"{refs} holds no references: give refs(unc).p or refs(umd).p of RefCOCO, RefCOCO+ or RefCOCOg"
        )
    return list(found)


def _object(fields: Fields, objects: Instances, instances: Path) -> tuple[Instance, tuple[int, int]]:
    ann_id = fields.integer("ann_id")
    thing = objects.objects.get(ann_id)
    if thing is None or thing.image_id != fields.integer("image_id") or thing.image_id not in objects.sizes:
        raise ValueError(
            f"{fields.where}: {instances} has no object {ann_id} in image {fields.raw.get('image_id')}: give the "
            "instances.json that came with the references"
        )
    return thing, objects.sizes[thing.image_id]
