"""Referring-expression predictions: a JSON list, {"sent_id": …, "pred_box": [x, y, w, h], "region": …} an entry.

The released code writes the same two first fields, in an object under "predictions", which is read as well.

E expressions.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from uniter_tasks.metrics.refexp import score_refexp
from uniter_tasks.predictions.files import field, read_json
from uniter_tasks.predictions.format import PredictionFormat, ScoreOptions, labels
from uniter_tasks.predictions.ids import integer_id
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["REFEXP", "ChosenRegion"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class ChosenRegion:
    """The region that an expression is taken to mean.

    Attributes:
        box: x, y, width, height in pixels.
        region: its number among the image's regions; None where a file does not say.
    """

    box: Box
    region: int | None = None


def _decode(predictions: Predictions) -> list[ChosenRegion]:
    if predictions.boxes is None:
        raise ValueError("boxes: expected those of the regions, got none")
    found = []
    for start, each in zip(predictions.starts.tolist(), predictions.probabilities, strict=True):
        region = int(each.argmax())
        found.append(ChosenRegion(box=_box(predictions.boxes[start + region].tolist(), "boxes"), region=region))
    return found


def _write(file: IO[str], ids: Sequence[str], chosen: Sequence[ChosenRegion]) -> None:
    entries: list[dict[str, Any]] = [
        {"sent_id": integer_id(name, "sent_id"), "pred_box": list(each.box)}
        | ({} if each.region is None else {"region": each.region})
        for name, each in zip(ids, chosen, strict=True)
    ]
    json.dump(entries, file)


def _read(path: Path) -> Iterator[tuple[str, str, ChosenRegion]]:
    content = read_json(path.read_text(encoding="utf-8"), str(path))
    entries = content.get("predictions") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected a list of sent_id and pred_box, got {type(entries).__name__}")
    for number, entry in enumerate(entries):
        where = f"{path}: entry {number}"
        name = str(field(entry, "sent_id", (int, str), where))
        region = field(entry, "region", (int,), where) if "region" in entry else None
        yield where, name, ChosenRegion(box=_box(field(entry, "pred_box", (list,), where), where), region=region)


def _score(
    chosen: Sequence[ChosenRegion], records: Sequence[Mapping[str, Any]], options: ScoreOptions
) -> dict[str, Any]:
    score = score_refexp([each.box for each in chosen], labels(records, "box", "sent_id"))
    found: dict[str, Any] = {
        "accuracy": score.accuracy,
        **options.interval("accuracy", score.examples),
        "mean_iou": score.mean_iou,
    }
    targets = [record.get("target", -1) for record in records]
    if min(targets) >= 0 and all(each.region is not None for each in chosen):
        found["region_accuracy"] = float(
            np.mean([each.region == row for each, row in zip(chosen, targets, strict=True)])
        )
    return found


def _box(numbers: Sequence[Any], where: str) -> Box:
    if len(numbers) != 4 or not all(isinstance(number, (int, float)) for number in numbers):
        raise ValueError(f"{where}: pred_box: expected x, y, width, height, got {numbers!s:.60}")
    x, y, width, height = map(float, numbers)
    return x, y, width, height


REFEXP = PredictionFormat(
    task="refexp", id_field="sent_id", suffix=".json", decode=_decode, write=_write, read=_read, score=_score
)
