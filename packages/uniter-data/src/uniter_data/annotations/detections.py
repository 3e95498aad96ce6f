"""Detected boxes for referring expressions, as MAttNet (Yu et al., CVPR 2018) publishes them: a JSON list of boxes."""

from dataclasses import dataclass
from pathlib import Path

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members

__all__ = ["Detection", "read_detections"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """What a detector found in one place.

    Attributes:
        box: x, y, width, height in pixels.
        category: name of what it is, or its id as text; empty if the file does not say.
        score: of the detector, from 0 to 1.
    """

    box: tuple[float, float, float, float]
    category: str
    score: float


def read_detections(path: Path) -> dict[int, list[Detection]]:
    """The boxes of each COCO picture, by its id, in the file's order.

    Raises:
        ValueError: the file is of another format, or a record is wrong; the message names file and record.
    """
    found: dict[int, list[Detection]] = {}
    for key, index, value in read_members(path):
        if index is None or key not in ("", "dets"):
            continue
        if not isinstance(value, dict) or not {"box", "image_id"} <= value.keys():
            raise other_format(path, "a file of detected boxes")
        fields = Fields(value, f"{path}: {key}[{index}]")
        left, top, width, height = fields.numbers("box", count=4)
        category = value.get("category_name", value.get("category", value.get("category_id", "")))
        detection = Detection(
            box=(left, top, width, height),
            category=str(category),
            score=float(value["score"]) if isinstance(value.get("score"), (int, float)) else 1.0,
        )
        found.setdefault(fields.integer("image_id"), []).append(detection)
    if not found:
        raise other_format(path, "a file of detected boxes")
    return found
