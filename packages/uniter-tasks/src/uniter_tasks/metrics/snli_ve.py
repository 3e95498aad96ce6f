"""SNLI-VE: accuracy, overall and per class, and what is taken for what.

E examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniter_tasks.metrics.breakdown import mean_by

__all__ = ["CLASSES", "SnliVeScore", "score_snli_ve"]

CLASSES = ("entailment", "neutral", "contradiction")


@dataclass(frozen=True, kw_only=True)
class SnliVeScore:
    """Shares in [0, 1].

    Attributes:
        accuracy: of the examples.
        classes: of the examples with each label; labels that no example has are left out.
        confusion: label → predicted class → number of examples.
        examples: (E,) bool, right or wrong.
    """

    accuracy: float
    classes: dict[str, float]
    confusion: dict[str, dict[str, int]]
    examples: NDArray[np.bool_]


def score_snli_ve(predicted: Sequence[str], labels: Sequence[str]) -> SnliVeScore:
    """Accuracy of three-way visual entailment (Xie et al., 2019).

    Raises:
        ValueError: the arguments differ in length, there is no example, or a name is none of the classes.

    >>> score = score_snli_ve(["neutral", "neutral"], ["neutral", "contradiction"])
    >>> score.accuracy, score.classes, score.confusion["contradiction"]["neutral"]
    (0.5, {'contradiction': 0.0, 'neutral': 1.0}, 1)
    """
    if len(predicted) != len(labels) or not labels:
        raise ValueError(
            f"expected as many predictions as labels, at least one, got {len(predicted)} and {len(labels)}"
        )
    unknown = set(predicted).union(labels).difference(CLASSES)
    if unknown:
        raise ValueError(f"expected {', '.join(CLASSES)}, got {min(unknown)!r}")
    examples = np.array([answer == label for answer, label in zip(predicted, labels, strict=True)])
    confusion = {label: dict.fromkeys(CLASSES, 0) for label in CLASSES}
    for answer, label in zip(predicted, labels, strict=True):
        confusion[label][answer] += 1
    return SnliVeScore(
        accuracy=float(examples.mean()), classes=mean_by(examples, labels), confusion=confusion, examples=examples
    )
