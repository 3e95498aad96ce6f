"""SNLI-VE predictions: a JSON object a line, {"pairID": …, "prediction": …}, ids and names as in the annotations."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from uniter_tasks.metrics.snli_ve import CLASSES, score_snli_ve
from uniter_tasks.predictions.files import field, read_json, text_lines
from uniter_tasks.predictions.format import PredictionFormat, ScoreOptions, labels
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["SNLI_VE"]


def _decode(predictions: Predictions) -> list[str]:
    if sorted(predictions.answers) != sorted(CLASSES):
        raise ValueError(f"answers: expected {', '.join(CLASSES)} in some order, got {predictions.answers}")
    return [predictions.answers[row] for row in predictions.rows(len(CLASSES)).argmax(axis=1).tolist()]


def _write(file: IO[str], ids: Sequence[str], classes: Sequence[str]) -> None:
    for name, answer in zip(ids, classes, strict=True):
        file.write(json.dumps({"pairID": name, "prediction": answer}) + "\n")


def _read(path: Path) -> Iterator[tuple[str, str, str]]:
    for where, line in text_lines(path):
        entry = read_json(line, where)
        answer = field(entry, "prediction", (str,), where)
        if answer not in CLASSES:
            raise ValueError(f"{where}: prediction: expected {', '.join(CLASSES)}, got {answer!r}")
        yield where, field(entry, "pairID", (str,), where), answer


def _score(classes: Sequence[str], records: Sequence[Mapping[str, Any]], options: ScoreOptions) -> dict[str, Any]:
    score = score_snli_ve(classes, labels(records, "label", "pair_id"))
    return {
        "accuracy": score.accuracy,
        **options.interval("accuracy", score.examples),
        "classes": score.classes,
        "confusion": score.confusion,
    }


SNLI_VE = PredictionFormat(
    task="snli-ve", id_field="pair_id", suffix=".jsonl", decode=_decode, write=_write, read=_read, score=_score
)
