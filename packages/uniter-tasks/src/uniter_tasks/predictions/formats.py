"""The tasks whose predictions are files of one answer an example, by name; and what can be done with any of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uniter_tasks.predictions.archive import load_archive, save_archive
from uniter_tasks.predictions.files import replacing
from uniter_tasks.predictions.format import PredictionFormat, ScoreOptions
from uniter_tasks.predictions.ids import match_ids, refuse_doubled
from uniter_tasks.predictions.nlvr2 import NLVR2
from uniter_tasks.predictions.predictions import Predictions
from uniter_tasks.predictions.refexp import REFEXP
from uniter_tasks.predictions.snli_ve import SNLI_VE
from uniter_tasks.predictions.vcr import VCR
from uniter_tasks.predictions.vqa import VQA

__all__ = [
    "FORMATS",
    "decode_predictions",
    "prediction_format",
    "read_official",
    "save_predictions",
    "score",
    "score_predictions",
]

FORMATS = {each.task: each for each in (VQA, VCR, NLVR2, SNLI_VE, REFEXP)}


def prediction_format(task: str) -> PredictionFormat:
    """The format of a task's predictions.

    Raises:
        ValueError: the task has none.
    """
    if task not in FORMATS:
        hint = " (retrieval is scored from its score matrix)" if task == "retrieval" else ""
        raise ValueError(f"task: expected one of {', '.join(FORMATS)}, got {task!r}{hint}")
    return FORMATS[task]


def decode_predictions(predictions: Predictions) -> list[Any]:
    """What the official file says of each example: the answer (vqa), the class (snli-ve), true or false (nlvr2), the
    region (refexp), the (5, 4) probabilities (vcr).

    >>> found = Predictions.gather("vqa", ["7"], [[0.1, 0.7]], answers=["yes", "no"])
    >>> decode_predictions(found)
    ['no']
    """
    return prediction_format(predictions.task).decode(predictions)


def save_predictions(predictions: Predictions, path: Path) -> tuple[Path, Path]:
    """Write the official file, and the probabilities beside it as `.npz`.

    Returns:
        Both paths.

    Raises:
        ValueError: the file's ending is not that of the official file.
    """
    expected = prediction_format(predictions.task)
    if path.suffix != expected.suffix:
        raise ValueError(f"{path}: expected a name that ends in {expected.suffix}, as {predictions.task} files do")
    answers = expected.decode(predictions)
    archive = path.with_suffix(".npz")
    save_archive(predictions, archive)
    with replacing(path) as file:
        expected.write(file, predictions.ids, answers)
    return path, archive


def read_official(task: str, path: Path) -> dict[str, Any]:
    """What an official file says, by id.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an entry is not of the task's format, or an id stands twice; the message names file, place and id.
    """
    found: dict[str, Any] = {}
    for where, name, answer in prediction_format(task).read(path):
        if name in found:
            raise ValueError(f"{where}: {name!r} stands twice: keep one of them")
        found[name] = answer
    return found


def score_predictions(
    task: str, path: Path, records: Sequence[Mapping[str, Any]], options: ScoreOptions | None = None
) -> dict[str, Any]:
    """What the official scorer says of a file of predictions, as plain JSON values; shares in [0, 1].

    Args:
        task: its name.
        path: an official file, or the `.npz` with the probabilities.
        records: annotation of every example of the split, in any order.
        options: subsets, phenomena, intervals.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or of another task; an id is missing, doubled or unknown; a record has no label.
    """
    prediction_format(task)
    found = _from_archive(task, path) if path.suffix == ".npz" else read_official(task, path)
    return _scored(task, found, records, options, str(path))


def score(
    predictions: Predictions, records: Sequence[Mapping[str, Any]], options: ScoreOptions | None = None
) -> dict[str, Any]:
    """The same of predictions in memory.

    Raises:
        ValueError: as `score_predictions`.
    """
    found = dict(zip(predictions.ids, decode_predictions(predictions), strict=True))
    return _scored(predictions.task, found, records, options, "predictions")


# ---------------------------------------------------------------------------------------------------------------------


def _scored(
    task: str, found: Mapping[str, Any], records: Sequence[Mapping[str, Any]], options: ScoreOptions | None, origin: str
) -> dict[str, Any]:
    expected = prediction_format(task)
    for number, record in enumerate(records):
        if expected.id_field not in record:
            raise ValueError(f"record {number}: expected an annotation of {task}, it has no {expected.id_field!r}")
    ids = [str(record[expected.id_field]) for record in records]
    if not ids:
        raise ValueError("records: expected at least one, got none")
    refuse_doubled(ids, "records")
    match_ids(found, ids, origin)
    answers = [found[name] for name in ids]
    return {"task": task, "examples": len(ids)} | expected.score(answers, records, options or ScoreOptions())


def _from_archive(task: str, path: Path) -> dict[str, Any]:
    predictions = load_archive(path)
    if predictions.task != task:
        raise ValueError(f"{path}: expected predictions of {task}, these are of {predictions.task}")
    try:
        answers = decode_predictions(predictions)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return dict(zip(predictions.ids, answers, strict=True))
