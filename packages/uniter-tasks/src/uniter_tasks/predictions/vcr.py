"""VCR predictions: the CSV of the leaderboard, the probabilities of the four answers and of the four rationales given
each of them, 20 columns behind `annot_id` (r2c's models/README.md, "Submitting to the leaderboard").

E examples.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uniter_tasks.metrics.vcr import score_vcr
from uniter_tasks.predictions.format import PredictionFormat, ScoreOptions, labels
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["COLUMNS", "VCR"]

BLOCKS = ("answer", *(f"rationale_conditioned_on_a{answer}" for answer in range(4)))
COLUMNS = tuple(f"{block}_{choice}" for block in BLOCKS for choice in range(4))


def _decode(predictions: Predictions) -> list[NDArray[np.float32]]:
    """(5, 4) of each example: answers, then the rationales given each of them."""
    return list(predictions.rows(len(COLUMNS)).reshape(-1, len(BLOCKS), 4))


def _write(file: IO[str], ids: Sequence[str], blocks: Sequence[NDArray[np.float32]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("annot_id", *COLUMNS))
    # nine digits tell any two float32 apart
    writer.writerows((name, *(f"{p:.9g}" for p in block.ravel())) for name, block in zip(ids, blocks, strict=True))


def _read(path: Path) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = {"annot_id", *COLUMNS}.difference(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}:1: expected the leaderboard's 21 columns, there is no {min(missing)!r}")
        for row in reader:
            where = f"{path}:{reader.line_num}"
            try:
                block = np.array([float(row[column]) for column in COLUMNS], dtype=np.float32).reshape(-1, 4)
                if not np.isfinite(block).all():
                    raise ValueError("one is not finite")
            except (TypeError, ValueError) as error:
                raise ValueError(f"{where}: expected 20 numbers behind the id ({error})") from error
            yield where, str(row["annot_id"]), block


def _score(
    blocks: Sequence[NDArray[np.float32]], records: Sequence[Mapping[str, Any]], options: ScoreOptions
) -> dict[str, Any]:
    both = np.stack(blocks)
    score = score_vcr(
        both[:, 0],
        both[:, 1:],
        answer_labels=labels(records, "answer_label", "annot_id"),
        rationale_labels=labels(records, "rationale_label", "annot_id"),
    )
    return {
        "accuracy": score.q_ar,  # the task's own figure, under the name that every task has
        "q_a": score.q_a,
        **options.interval("q_a", score.answers),
        "qa_r": score.qa_r,
        **options.interval("qa_r", score.rationales),
        "q_ar": score.q_ar,
        **options.interval("q_ar", score.both),
    }


VCR = PredictionFormat(
    task="vcr", id_field="annot_id", suffix=".csv", decode=_decode, write=_write, read=_read, score=_score
)
