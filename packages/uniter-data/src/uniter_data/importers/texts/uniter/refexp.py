"""Referring expressions of the released databases: beside the texts, JSON files say what is in the pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.json_stream import read_members
from uniter_data.examples.draft import Draft
from uniter_data.examples.image_names import coco_file
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.uniter.database import TextDatabase, pieces
from uniter_data.importers.texts.uniter.sentences import Sentences
from uniter_data.tokenizer import Tokenizer

__all__ = ["SIDE_FILES", "refexp_drafts"]

SIDE_FILES = ("refs.json", "annotations.json", "categories.json", "images.json")


def refexp_drafts(database: TextDatabase, tokenizer: Tokenizer, damages: Damages, *, boxes: str) -> Iterator[Draft]:
    """Expressions in the order of refs.json and of its sentences.

    Args:
        database: with its side files.
        tokenizer: of the word pieces.
        damages: what becomes of wrong records.
        boxes: "ground-truth": region i is object i of the picture's list; "detected": it has to be found.

    Raises:
        ValueError: a side file is wrong; or a record is, unless damaged records are left out.
    """
    sentences = Sentences(database, "sent", tokenizer)
    objects = _Objects(database.folder)
    lengths = dict(database.lengths())
    records = database.records(_in_order(database.folder, lengths), damages)

    def make(name: str, length: int, fields: Fields) -> Draft:
        number, ann_id = fields.integer("image_id"), fields.integer("ann_id")
        ids = pieces(fields, count=length)
        sentence = sentences.of(fields)
        if ann_id not in objects.orders.get(number, {}):
            fields.fail("ann_id", f"an object that images.json lists for image {number}", ann_id)
        annotation = {
            "sent_id": int(name) if name.isdecimal() else name,
            "ref_id": fields.integer("ref_id") if "ref_id" in fields.raw else -1,
            "expression": sentence,
            "box": list(fields.numbers("bbox", count=4)),
            "size": list(objects.sizes[number]),
            "category": objects.categories.get(ann_id, ""),
        }
        if boxes == "ground-truth":
            annotation["target"] = objects.orders[number][ann_id]
        image = coco_file(objects.names[number], number)
        return Draft(
            id=name, source=fields.where, texts=(sentence,), images=(image,), annotation=annotation, pieces=(ids,)
        )

    return damages.sift(lambda record: make(*record), records)


# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Objects:
    """What the side files say of pictures and their objects.

    Attributes:
        folder: of the database.
        orders: by picture, the position of each object among its objects.
        sizes: width and height of each picture in pixels.
        names: of the pictures' files.
        categories: what each object is.
    """

    folder: Path
    orders: dict[int, dict[int, int]] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for fields in _elements(self.folder / "images.json"):
            number = fields.integer("id")
            objects = fields.items("ann_ids")
            if not all(type(ann_id) is int for ann_id in objects):
                fields.fail("ann_ids", "a list of whole numbers", objects)
            self.orders[number] = {ann_id: place for place, ann_id in enumerate(objects)}
            self.sizes[number] = (fields.integer("width", least=1), fields.integer("height", least=1))
            self.names[number] = fields.text("file_name")
        names = {fields.integer("id"): fields.text("name") for fields in _elements(self.folder / "categories.json")}
        for fields in _elements(self.folder / "annotations.json"):
            self.categories[fields.integer("id")] = names.get(fields.integer("category_id"), "")


def _in_order(folder: Path, lengths: dict[str, int]) -> Iterator[tuple[str, int]]:
    for fields in _elements(folder / "refs.json"):
        for number in fields.items("sent_ids"):
            if str(number) not in lengths:
                fields.fail("sent_ids", "sentences that id2len.json has", number)
            yield str(number), lengths[str(number)]


def _elements(path: Path) -> Iterator[Fields]:
    for key, index, value in read_members(path):
        if key:
            raise ValueError(f"{path}: expected a list, got an object with {key!r}: copy the file again")
        if index is not None:
            yield Fields(value, f"{path}: [{index}]")
