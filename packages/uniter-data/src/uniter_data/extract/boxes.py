"""The box file of a region store that is to be: which pictures, and which regions of each.

`regions-train.zarr` is made from `regions-train.boxes.jsonl` beside it, JSON lines in UTF-8. The first describes the
rest:

    {"format": "uniter-boxes", "version": 1, "pictures": "../pictures/train", "class_names": ["background", "circle"]}

`pictures` is the folder of the pictures seen from the data set's directory, class 0 is the background. Then a line an
image:

    {"image": "cat-1", "picture": "0/cat-1.png", "boxes": [[0.1, 0.2, 0.5, 0.9]], "classes": [1]}

`picture` is a file below that folder, `boxes` are x1, y1, x2, y2 in the picture's unit square, `classes` has a class a
box.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uniter_data.stores.locations import join

__all__ = ["BoxFile", "PictureBoxes", "box_file", "write_boxes"]

FORMAT = "uniter-boxes"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class PictureBoxes:
    """The regions of one picture.

    Attributes:
        image: its id.
        picture: its file, seen from the folder of pictures.
        boxes: x1, y1, x2, y2 of each region in the unit square.
        classes: class of each region.
    """

    image: str
    picture: str
    boxes: Sequence[Sequence[float]]
    classes: Sequence[int]


def box_file(regions: Path) -> Path:
    """The box file of a region store.

    >>> box_file(Path("nlvr/regions-dev.zarr")).name
    'regions-dev.boxes.jsonl'
    """
    return regions.with_suffix(".boxes.jsonl")


def write_boxes(path: Path, rows: Iterable[PictureBoxes], *, pictures: str, class_names: Sequence[str]) -> None:
    """Write a box file.

    Args:
        path: of the file.
        rows: one an image.
        pictures: the folder of pictures, seen from the data set's directory.
        class_names: class 0 the background.
    """
    header = {"format": FORMAT, "version": VERSION, "pictures": pictures, "class_names": list(class_names)}
    with path.open("w", encoding="utf-8") as file:
        file.write(_line(header))
        for row in rows:
            file.write(_line({"image": row.image, "picture": row.picture, "boxes": row.boxes, "classes": row.classes}))


class BoxFile:
    """A box file, read line after line.

    Args:
        path: of the file; its data set is the directory it lies in.

    Attributes:
        class_names: of the regions' classes, class 0 the background.
        pictures: folder of the pictures.

    Raises:
        ValueError: it is no box file, or one of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open(encoding="utf-8") as lines:
            header = self._parse(1, lines.readline())
        if header.get("format") != FORMAT or header.get("version") != VERSION:
            raise ValueError(f"{path} is not a box file of version {VERSION}: import the data set again")
        self.class_names: tuple[str, ...] = tuple(header["class_names"])
        self.pictures = Path(join(str(path.parent), header["pictures"]))

    def __iter__(self) -> Iterator[PictureBoxes]:
        """The images, in order.

        Raises:
            ValueError: a line is damaged; the message names it.
        """
        with self.path.open(encoding="utf-8") as lines:
            next(lines)
            for number, line in enumerate(lines, start=2):
                yield self._image(number, self._parse(number, line))

    def _image(self, number: int, raw: dict[str, Any]) -> PictureBoxes:
        try:
            row = PictureBoxes(**raw)
            fits = len(row.boxes) == len(row.classes) and all(_is_box(box) for box in row.boxes)
            known = all(0 <= number < len(self.class_names) for number in row.classes)
        except TypeError as error:
            raise ValueError(
                f"{self.path}:{number}: not an image's line ({error}): import the data set again"
            ) from error
        if not (fits and known):
            raise ValueError(
                f"{self.path}:{number}: image {row.image!r}: expected x1 < x2, y1 < y2 and a class from 0 to "
                f"{len(self.class_names) - 1} for each box: import the data set again"
            )
        return row

    def _parse(self, number: int, line: str) -> dict[str, Any]:
        try:
            raw = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{self.path}:{number}: not JSON ({error}): import the data set again") from error
        if not isinstance(raw, dict):
            raise ValueError(
                f"{self.path}:{number}: expected a JSON object, got {raw!r:.40}: import the data set again"
            )
        return raw


def _is_box(box: Sequence[float]) -> bool:
    return len(box) == 4 and box[0] < box[2] and box[1] < box[3]


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
