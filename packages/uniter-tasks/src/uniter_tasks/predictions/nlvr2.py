"""NLVR2 predictions: the CSV that its metrics script reads, identifier,True or identifier,False a line, no header."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from uniter_tasks.metrics.breakdown import mean_over
from uniter_tasks.metrics.nlvr2 import phenomenon_accuracy, score_nlvr2
from uniter_tasks.predictions.files import text_lines
from uniter_tasks.predictions.format import PredictionFormat, ScoreOptions, labels
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["NLVR2"]

ANSWERS = {"true": True, "false": False}


def _decode(predictions: Predictions) -> list[bool]:
    false, true = predictions.rows(2).T
    return [bool(answer) for answer in true > false]


def _write(file: IO[str], ids: Sequence[str], answers: Sequence[bool]) -> None:
    file.writelines(f"{name},{answer}\n" for name, answer in zip(ids, answers, strict=True))


def _read(path: Path) -> Iterator[tuple[str, str, bool]]:
    for where, line in text_lines(path):
        name, _, answer = line.partition(",")
        if answer.strip().lower() not in ANSWERS:
            raise ValueError(f"{where}: expected identifier,True or identifier,False, got {line:.60}")
        yield where, name.strip(), ANSWERS[answer.strip().lower()]


def _score(answers: Sequence[bool], records: Sequence[Mapping[str, Any]], options: ScoreOptions) -> dict[str, Any]:
    identifiers = [str(record["identifier"]) for record in records]
    score = score_nlvr2(answers, labels(records, "label", "identifier"), identifiers)
    found: dict[str, Any] = {
        "accuracy": score.accuracy,
        **options.interval("accuracy", score.examples),
        "consistency": score.consistency,
        **options.interval("consistency", score.sentences),
        "sentences": len(score.sentences),
    }
    if options.subsets:
        found["subsets"] = {
            name: {"accuracy": mean_over(score.examples, identifiers, chosen), "examples": len(chosen)}
            for name, chosen in options.subsets.items()
        }
    if options.phenomena:
        sentences = labels(records, "sentence", "identifier")
        found["phenomena"] = {
            name: {"accuracy": accuracy, "examples": examples}
            for name, (accuracy, examples) in phenomenon_accuracy(score.examples, sentences, options.phenomena).items()
        }
    return found


NLVR2 = PredictionFormat(
    task="nlvr2", id_field="identifier", suffix=".csv", decode=_decode, write=_write, read=_read, score=_score
)
