"""VQA predictions: the JSON list that the evaluation server takes, {"question_id": …, "answer": …} an entry."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from uniter_tasks.metrics.vqa import score_vqa
from uniter_tasks.predictions.files import field, read_json
from uniter_tasks.predictions.format import PredictionFormat, ScoreOptions, labels
from uniter_tasks.predictions.ids import integer_id
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["VQA"]


def _decode(predictions: Predictions) -> list[str]:
    if not predictions.answers:
        raise ValueError("answers: expected those of the classifier, got none")
    best = predictions.rows(len(predictions.answers)).argmax(axis=1)
    return [predictions.answers[row] for row in best.tolist()]


def _write(file: IO[str], ids: Sequence[str], answers: Sequence[str]) -> None:
    entries = [
        {"question_id": integer_id(name, "question_id"), "answer": answer}
        for name, answer in zip(ids, answers, strict=True)
    ]
    json.dump(entries, file)


def _read(path: Path) -> Iterator[tuple[str, str, str]]:
    entries = read_json(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected a list of question_id and answer, got {type(entries).__name__}")
    for number, entry in enumerate(entries):
        where = f"{path}: entry {number}"
        yield where, str(field(entry, "question_id", (int, str), where)), field(entry, "answer", (str,), where)


def _score(answers: Sequence[str], records: Sequence[Mapping[str, Any]], options: ScoreOptions) -> dict[str, Any]:
    given, answer_types, question_types = (
        labels(records, name, "question_id") for name in ("answers", "answer_type", "question_type")
    )
    score = score_vqa(answers, given, answer_types=answer_types, question_types=question_types)
    return {
        "accuracy": score.accuracy,
        **options.interval("accuracy", score.questions),
        "answer_types": score.answer_types,
        "question_types": score.question_types,
    }


VQA = PredictionFormat(
    task="vqa", id_field="question_id", suffix=".json", decode=_decode, write=_write, read=_read, score=_score
)
