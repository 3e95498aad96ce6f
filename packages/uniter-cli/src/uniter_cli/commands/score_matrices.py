"""The part of `uniter evaluate` for tasks whose predictions are a score matrix: retrieval."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uniter_cli.errors import UsageError

__all__ = ["evaluate_retrieval"]


def evaluate_retrieval(
    run: str | None,
    predictions: Path | None,
    annotations: list[str] | None,
    *,
    split: str | None,
    data: str | None,
    folds: int,
    out: Path | None,
    json: bool,
    others: Mapping[str, Any],
) -> dict[str, Any]:
    """Recall of a model, or of a score matrix; empty on all processes but the main one.

    Args:
        run: the model.
        predictions: instead, the score matrix.
        annotations: of a score matrix, the data set that it is of.
        split, data, folds, out, json: as `uniter evaluate` has them.
        others: options of other tasks that were given.

    Raises:
        UsageError: an option belongs to other tasks, or options do not go together.
    """
    for option, value in others.items():
        if value:
            raise UsageError(f"{option} is no option of retrieval")
    pairs = annotations or []
    if len(pairs) > 1:
        raise UsageError(f"--annotations: retrieval takes one data set of pairs, got {len(pairs)}")

    from uniter_cli import retrieval_evaluation as evaluation

    if predictions is not None:
        return evaluation.evaluate_matrix(predictions, data=pairs[0], split=split, folds=folds)
    return evaluation.evaluate_retrieval(str(run), split=split, data=data, folds=folds, out=out, hidden=json)
