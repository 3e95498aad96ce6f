"""VCR: Q→A, QA→R and Q→AR from the probabilities of answers and of rationales given each answer.

E examples; four answers, four rationales.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["VcrScore", "score_vcr"]

CHOICES = 4


@dataclass(frozen=True, kw_only=True)
class VcrScore:
    """Accuracies in [0, 1] and, as (E,) bool, what is right in each example.

    Attributes:
        q_a, answers: the likeliest answer is the true one.
        qa_r, rationales: the likeliest rationale given the true answer is the true one.
        q_ar, both: the likeliest answer and the likeliest rationale given that answer are true.
    """

    q_a: float
    qa_r: float
    q_ar: float
    answers: NDArray[np.bool_]
    rationales: NDArray[np.bool_]
    both: NDArray[np.bool_]


def score_vcr(
    answers: ArrayLike, rationales: ArrayLike, *, answer_labels: ArrayLike, rationale_labels: ArrayLike
) -> VcrScore:
    """The three numbers of the leaderboard (Zellers et al., CVPR 2019, section 3).

    A rationale is right only after a right answer, so that Q→AR may be read off the rationales given the true answer as
    well; here it is written as the task poses it.

    Args:
        answers: (E, 4) probability or score of each answer.
        rationales: (E, 4, 4) of each rationale (last axis) given each answer (middle axis).
        answer_labels, rationale_labels: (E,) the true choices, 0 to 3.

    Raises:
        ValueError: a shape differs, a number is not finite, a label is none of the choices, or there is no example.

    >>> answers = [[0.1, 0.9, 0, 0], [0.9, 0.1, 0, 0]]
    >>> given = np.zeros((2, 4, 4))
    >>> given[:, 1, 2] = given[:, 0, 3] = 1.0
    >>> score = score_vcr(answers, given, answer_labels=[1, 1], rationale_labels=[2, 2])
    >>> score.q_a, score.qa_r, score.q_ar
    (0.5, 1.0, 0.5)
    """
    first, second = np.asarray(answers, dtype=np.float64), np.asarray(rationales, dtype=np.float64)
    examples = len(first)
    if not examples or first.shape != (examples, CHOICES) or second.shape != (examples, CHOICES, CHOICES):
        raise ValueError(f"expected (E, 4) answers and (E, 4, 4) rationales, got {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("answers, rationales: expected finite numbers only")
    true_answers = _labels(answer_labels, examples, "answer_labels")
    true_rationales = _labels(rationale_labels, examples, "rationale_labels")
    rows = np.arange(examples)
    chosen = first.argmax(axis=1)
    answered = chosen == true_answers
    given_truth = second[rows, true_answers].argmax(axis=1) == true_rationales
    given_chosen = second[rows, chosen].argmax(axis=1) == true_rationales
    both = answered & given_chosen
    return VcrScore(
        q_a=float(answered.mean()),
        qa_r=float(given_truth.mean()),
        q_ar=float(both.mean()),
        answers=answered,
        rationales=given_truth,
        both=both,
    )


# ---------------------------------------------------------------------------------------------------------------------


def _labels(labels: ArrayLike, examples: int, name: str) -> NDArray[np.int64]:
    numbers = np.asarray(labels, dtype=np.int64)
    if numbers.shape != (examples,) or not ((numbers >= 0) & (numbers < CHOICES)).all():
        raise ValueError(f"{name}: expected {examples} numbers from 0 to 3, got {labels!r:.60}")
    return numbers
