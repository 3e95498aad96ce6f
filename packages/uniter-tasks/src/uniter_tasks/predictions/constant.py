"""What always giving the most frequent answer of the training split would reach: the bar of a fine-tuned model.

E examples, R regions of an example.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_tasks.downstream.vqa import build_answers
from uniter_tasks.metrics.snli_ve import CLASSES
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["constant_predictions"]

Annotations = Iterable[Mapping[str, Any]]


def constant_predictions(
    task: str,
    training: Annotations,
    ids: Sequence[str],
    *,
    boxes: Sequence[NDArray[np.float64]] | None = None,
) -> Predictions:
    """Predictions that say the same of every example; the scorer says what they are worth.

    Of vqa the answer that is most often the most frequent one of a question, of nlvr2 and snli-ve the most frequent
    label, of vcr the most frequent places of the right answer and of the right rationale, of refexp the row that is
    most often the region meant (of an image with fewer regions, its last).

    Args:
        task: its name.
        training: annotations of the training split.
        ids: E ids of the split to be scored.
        boxes: of refexp, (R, 4) x, y, width, height in pixels of each example's regions.

    Raises:
        ValueError: no training example has a label; or refexp has no boxes.

    >>> training = [{"label": "neutral"}, {"label": "entailment"}, {"label": "neutral"}]
    >>> found = constant_predictions("snli-ve", training, ["a", "b"])
    >>> [found.answers[row] for row in found.rows(3).argmax(axis=1)]
    ['neutral', 'neutral']
    """
    if task == "refexp":
        if boxes is None:
            raise ValueError("boxes: expected those of the regions, got none")
        row = most_frequent(record.get("target", -1) for record in training)
        lengths = [len(own) for own in boxes]
        certain = [one_hot(min(max(row, 0), length - 1), length) for length in lengths]
        return Predictions.gather(task, ids, certain, boxes=boxes)
    probabilities, answers = SAID[task](list(training))
    return Predictions.gather(task, ids, [probabilities] * len(ids), answers=answers)


def most_frequent(values: Iterable[Any]) -> Any:
    """The most frequent value, of several the smallest; None, an absent label, does not count.

    >>> most_frequent([True, None, False, True, None, None])
    True
    """
    counts = Counter(value for value in values if value is not None)
    if not counts:
        raise ValueError("training: expected examples with labels, got none")
    return min(counts, key=lambda value: (-counts[value], value))


def one_hot(row: int, length: int) -> NDArray[np.float32]:
    """(length,) 1 at `row`, else 0."""
    found: NDArray[np.float32] = (np.arange(length) == row).astype(np.float32)
    return found


# ---------------------------------------------------------------------------------------------------------------------

Constant = tuple[NDArray[np.float32], tuple[str, ...]]  # probabilities, and what they stand for


def _vqa(training: Sequence[Mapping[str, Any]]) -> Constant:
    return np.ones(1, dtype=np.float32), build_answers(training, least=1)[:1]


def _nlvr2(training: Sequence[Mapping[str, Any]]) -> Constant:
    return one_hot(int(most_frequent(record.get("label") for record in training)), 2), ()


def _snli_ve(training: Sequence[Mapping[str, Any]]) -> Constant:
    label = most_frequent(record.get("label") for record in training)
    return one_hot(CLASSES.index(label), len(CLASSES)), CLASSES


def _vcr(training: Sequence[Mapping[str, Any]]) -> Constant:
    answer, rationale = (
        one_hot(most_frequent(record.get(name) for record in training), 4)
        for name in ("answer_label", "rationale_label")
    )
    return np.concatenate([answer, *[rationale] * 4]), ()


SAID: dict[str, Callable[[Sequence[Mapping[str, Any]]], Constant]] = {
    "vqa": _vqa,
    "nlvr2": _nlvr2,
    "snli-ve": _snli_ve,
    "vcr": _vcr,
}
