"""COCO's instances (Lin et al., ECCV 2014): a box and a category for each object, in `instances_train2014.json`."""

from dataclasses import dataclass
from pathlib import Path

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members

__all__ = ["Instance", "Instances", "read_instances"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One object.

    Attributes:
        image_id: of its picture.
        category_id: what it is.
        box: x, y, width, height in pixels.
    """

    image_id: int
    category_id: int
    box: Box


@dataclass(frozen=True, kw_only=True)
class Instances:
    """The objects of a file.

    Attributes:
        objects: by annotation id.
        sizes: (width, height) in pixels by image id.
        file_names: by image id.
        categories: names by category id.
    """

    objects: dict[int, Instance]
    sizes: dict[int, tuple[int, int]]
    file_names: dict[int, str]
    categories: dict[int, str]


def read_instances(path: Path) -> Instances:
    """The objects of a file of instances; RefCOCO's `instances.json` has the same format.

    Raises:
        ValueError: the file is of another format, or a record is wrong or doubled; the message names file and record.
    """
    found = Instances(objects={}, sizes={}, file_names={}, categories={})
    for key, index, value in read_members(path):
        if index is None or key not in ("images", "annotations", "categories"):
            continue
        fields = Fields(value, f"{path}: {key}[{index}]")
        if key == "images":
            _add_image(found, fields)
        elif key == "categories":
            found.categories[fields.integer("id")] = fields.text("name")
        elif "bbox" not in value:
            raise other_format(path, "a file of COCO instances")
        else:
            _add_object(found, fields)
    if not (found.objects and found.sizes):
        raise other_format(path, "a file of COCO instances")
    return found


# ---------------------------------------------------------------------------------------------------------------------


def _add_image(found: Instances, fields: Fields) -> None:
    number = fields.integer("id")
    _refuse_double(found.sizes, number, fields)
    found.sizes[number] = (fields.integer("width", least=1), fields.integer("height", least=1))
    found.file_names[number] = fields.text("file_name")


def _add_object(found: Instances, fields: Fields) -> None:
    number = fields.integer("id")
    _refuse_double(found.objects, number, fields)
    left, top, width, height = fields.numbers("bbox", count=4)
    found.objects[number] = Instance(
        image_id=fields.integer("image_id"),
        category_id=fields.integer("category_id"),
        box=(left, top, width, height),
    )


def _refuse_double(known: "dict[int, Instance] | dict[int, tuple[int, int]]", number: int, fields: Fields) -> None:
    if number in known:
        fields.fail("id", "one of its own", number)
