"""The records of NLVR v1 (Suhr et al., ACL 2017): SPLIT.json, a JSON object a line, each checked before it is used.

A record describes three grey boxes of 100 x 100 with objects in them. Its pictures, 400 x 100, show the boxes side by
side, 50 pixels apart, in each of the six orders.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["ORDERS", "Item", "NlvrRecord", "read_records"]

# Order k of a picture's name: at place p stands box ORDERS[k][p].
ORDERS = tuple(permutations(range(3)))
BOX = 100  # side of a grey box
STEP = 150  # from the left edge of one box to that of the next
WIDTH, HEIGHT = 400, 100  # of a picture


@dataclass(frozen=True, kw_only=True)
class Item:
    """An object in a grey box.

    Attributes:
        type: square, circle, triangle.
        x, y: left and top edge in the box's pixels.
        size: side of the square around it.
    """

    type: str
    x: float
    y: float
    size: float


@dataclass(frozen=True, kw_only=True)
class NlvrRecord:
    """A sentence and the scene it speaks about.

    Attributes:
        split: whose file it stands in.
        line: of the file, from 1.
        identifier: n-m: sentence n was written with four scenes in view, of which this is number m.
        sentence: as written.
        label: whether it holds of the scene.
        boxes: the objects of the three grey boxes.
    """

    split: str
    line: int
    identifier: str
    sentence: str
    label: bool
    boxes: tuple[tuple[Item, ...], ...]

    @property
    def group(self) -> str:
        """Pictures of one group are never shown as another's mismatch.

        The four scenes of a sentence belong together: it holds in several of them, so that a picture of another of
        them would often fit, and yet be called a mismatch.
        """
        return f"{self.split}-{self.identifier.rpartition('-')[0] or self.identifier}"

    def image_id(self, order: int) -> str:
        """The stem of the picture that shows the boxes in this order."""
        return f"{self.split}-{self.identifier}-{order}"

    def objects(self, order: int) -> list[tuple[str, tuple[float, float, float, float]]]:
        """Type and place (x1, y1, x2, y2 in the unit square of the picture) of each object in one of the pictures.

        >>> boxes = ((Item(type="square", x=40, y=80, size=20),), (), ())
        >>> record = NlvrRecord(split="dev", line=1, identifier="1-0", sentence="a tower", label=True, boxes=boxes)
        >>> record.objects(0), record.objects(5)
        ([('square', (0.1, 0.8, 0.15, 1.0))], [('square', (0.85, 0.8, 0.9, 1.0))])
        """
        found = []
        for box, items in enumerate(self.boxes):
            left = STEP * ORDERS[order].index(box)
            for item in items:
                # what reaches over the edge of its box is not drawn
                right, bottom = min(item.x + item.size, BOX), min(item.y + item.size, BOX)
                place = ((left + item.x) / WIDTH, item.y / HEIGHT, (left + right) / WIDTH, bottom / HEIGHT)
                found.append((item.type, place))
        return found


def read_records(path: Path) -> Iterator[NlvrRecord]:
    """The records of one SPLIT.json, line after line.

    Raises:
        ValueError: a line is no record; the message names the file, the line, the field and what is expected there.
    """
    split = path.stem
    seen: dict[str, int] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            reader = _Fields(f"{path}:{number}")
            record = reader.record(split, number, line)
            if record.identifier in seen:
                reader.fail(
                    "identifier", f"one of its own, line {seen[record.identifier]} has it too", record.identifier
                )
            seen[record.identifier] = number
            yield record


class _Fields:
    """Reads the fields of one line, and says what is wrong with one."""

    def __init__(self, where: str) -> None:
        self.where = where

    def record(self, split: str, line: int, text: bytes) -> NlvrRecord:
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{self.where}: not a JSON object ({error}): copy the file again") from error
        if not isinstance(raw, dict):
            self.fail("the line", "a JSON object", raw)
        label = self._text(raw, "label")
        if label not in ("true", "false"):
            self.fail("label", '"true" or "false"', label)
        return NlvrRecord(
            split=split,
            line=line,
            identifier=self._text(raw, "identifier"),
            sentence=self._text(raw, "sentence"),
            label=label == "true",
            boxes=self._boxes(raw.get("structured_rep")),
        )

    def fail(self, field: str, expected: str, got: Any) -> NoReturn:
        shown = "nothing" if got is None else repr(got)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        raise ValueError(f"{self.where}: {field}: expected {expected}, got {shown}: mend or remove the line")

    def _boxes(self, raw: Any) -> tuple[tuple[Item, ...], ...]:
        if not isinstance(raw, list) or len(raw) != 3 or not all(isinstance(items, list) for items in raw):
            self.fail("structured_rep", "three lists of items", raw)
        boxes = tuple(
            tuple(self._item(item, f"structured_rep[{box}][{place}]") for place, item in enumerate(items))
            for box, items in enumerate(raw)
        )
        if not any(boxes):
            self.fail("structured_rep", "an item in one of its boxes at least", raw)
        return boxes

    def _item(self, raw: Any, field: str) -> Item:
        if not isinstance(raw, dict):
            self.fail(field, "an object with type, x_loc, y_loc and size", raw)
        item = Item(
            type=self._text(raw, "type", field + "."),
            x=self._number(raw, "x_loc", field),
            y=self._number(raw, "y_loc", field),
            size=self._number(raw, "size", field),
        )
        for name, lies_right in (("size", item.size > 0), ("x_loc", item.x < BOX), ("y_loc", item.y < BOX)):
            if not lies_right:
                self.fail(f"{field}.{name}", "an item that covers some pixels of its box", raw[name])
        return item

    def _text(self, raw: dict[str, Any], name: str, prefix: str = "") -> str:
        value = raw.get(name)
        if not isinstance(value, str) or not value.strip():
            self.fail(prefix + name, "a text that is not empty", value)
        return str(value)

    def _number(self, raw: dict[str, Any], name: str, prefix: str) -> float:
        value = raw.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= BOX:
            self.fail(f"{prefix}.{name}", f"a number from 0 to {BOX}", value)
        return float(value or 0)
