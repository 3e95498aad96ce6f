"""The boxes that COCO's annotators drew, as the regions to extract features of."""

# R regions of a picture

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from uniter_data.annotations.instances import Instances, read_instances
from uniter_data.examples.image_names import coco_file
from uniter_data.extract.boxes import PictureBoxes, box_file, write_boxes
from uniter_data.pictures import SUFFIXES, find_files
from uniter_data.stores.locations import join
from uniter_data.stores.manifest import Split
from uniter_data.stores.text_store import TextStore

__all__ = ["write_coco_boxes"]

BACKGROUND = "background"


def write_coco_boxes(instances: Sequence[Path], folder: Path, target: Path, splits: Mapping[str, Split]) -> None:
    """Write the box files of a data set's region stores.

    Args:
        instances: `instances_….json`, any number.
        folder: of the data set while it is written.
        target: where it will be.
        splits: its stores.

    Raises:
        ValueError: a file of instances is of another format or wrong.
    """
    found = [read_instances(path) for path in instances]
    names = {number: name for file in found for number, name in file.categories.items()}
    class_names = (BACKGROUND, *(names[number] for number in sorted(names)))
    classes = {number: row for row, number in enumerate(sorted(names), start=1)}
    for store in dict.fromkeys(split.regions for split in splits.values()):
        mine = [split for split in splits.values() if split.regions == store]
        images = {str(name) for split in mine for name in TextStore(folder / split.texts).image_names.tolist()}
        pictures = _pictures(join(str(target.resolve()), mine[0].pictures), images)
        rows = (row for file in found for row in _rows(file, pictures, classes))
        write_boxes(box_file(folder / store), rows, pictures=mine[0].pictures, class_names=class_names)


def _pictures(location: str, images: set[str]) -> dict[str, str]:
    """The file of each image below the folder."""
    files = (path for path in find_files(location) if path.suffix.lower() in SUFFIXES)
    return {path.stem: str(path) for path in files if path.stem in images}


def _rows(found: Instances, pictures: Mapping[str, str], classes: Mapping[int, int]) -> Iterator[PictureBoxes]:
    """A row for each picture that the captions name; one without objects has no box and is skipped when extracting."""
    objects: dict[int, list[tuple[int, tuple[float, ...]]]] = {number: [] for number in found.sizes}
    for thing in found.objects.values():
        if thing.image_id in objects and thing.category_id in classes:
            box = _in_unit_square(thing.box, found.sizes[thing.image_id])
            if box:
                objects[thing.image_id].append((classes[thing.category_id], box))
    for number, things in objects.items():
        candidates = coco_file(found.file_names[number], number).candidates()
        image = next((name for name in candidates if name in pictures), None)
        if image is not None:
            yield PictureBoxes(
                image=image,
                picture=pictures[image],
                boxes=[box for _, box in things],
                classes=[kind for kind, _ in things],
            )


def _in_unit_square(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, ...]:
    """x1, y1, x2, y2 of x, y, width, height in pixels, cut at the picture's edges; nothing where no area is left.

    >>> _in_unit_square((50, 0, 100, 25), (100, 50)), _in_unit_square((10, 10, 0, 5), (100, 50))
    ((0.5, 0.0, 1.0, 0.5), ())
    """
    left, top, width, height = box
    edges = (left / size[0], top / size[1], (left + width) / size[0], (top + height) / size[1])
    x1, y1, x2, y2 = (min(max(edge, 0.0), 1.0) for edge in edges)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else ()
