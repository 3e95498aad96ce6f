"""VQA accuracy: an answer is as right as people agree with it.

Q questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniter_tasks.metrics.breakdown import mean_by
from uniter_tasks.metrics.vqa_answers import normalise_answer, strip_answer

__all__ = ["VqaScore", "agreement", "answer_accuracy", "score_vqa"]


@dataclass(frozen=True, kw_only=True)
class VqaScore:
    """Accuracies in [0, 1].

    Attributes:
        accuracy: mean over the questions.
        answer_types: mean over the questions of each answer type (yes/no, number, other).
        question_types: mean over the questions of each question type (how their wording begins).
        questions: (Q,) float64, of each question.
    """

    accuracy: float
    answer_types: dict[str, float]
    question_types: dict[str, float]
    questions: NDArray[np.float64]


def score_vqa(
    predicted: Sequence[str],
    answers: Sequence[Sequence[str]],
    *,
    answer_types: Sequence[str],
    question_types: Sequence[str],
) -> VqaScore:
    """The score of the official evaluation of VQA v2.

    Args:
        predicted: Q answers.
        answers: for each question what people answered, ten of them as a rule.
        answer_types, question_types: Q names.

    Raises:
        ValueError: the arguments differ in length, there is no question, or one has no answers.
    """
    lengths = {len(predicted), len(answers), len(answer_types), len(question_types)}
    if len(lengths) != 1 or not predicted:
        raise ValueError(f"expected as many answers, types and predictions, at least one, got {sorted(lengths)}")
    questions = np.array([answer_accuracy(*pair) for pair in zip(predicted, answers, strict=True)])
    return VqaScore(
        accuracy=float(questions.mean()),
        answer_types=mean_by(questions, answer_types),
        question_types=mean_by(questions, question_types),
        questions=questions,
    )


def answer_accuracy(predicted: str, answers: Sequence[str]) -> float:
    """How right an answer is: the mean, over each person left out, of min(1, others who said the same / 3).

    Both sides are normalised only where people disagree; where all say the same, the answer must be theirs to the
    letter.

    Raises:
        ValueError: nobody answered.

    >>> answer_accuracy("Two", ["2", "2", "two", *["3"] * 7])
    0.9
    >>> answer_accuracy("Two", ["two"] * 10)
    0.0
    """
    said = [strip_answer(answer) for answer in answers]
    if not said:
        raise ValueError("answers: expected at least one, got none")
    answer = strip_answer(predicted)
    if len(set(said)) > 1:
        answer, said = normalise_answer(answer), [normalise_answer(each) for each in said]
    return agreement(said.count(answer), len(said))


def agreement(matches: int, people: int = 10) -> float:
    """The accuracy of an answer that `matches` of the `people` gave: the mean over those left out, in closed form.

    Leaving out one of those who gave it leaves `matches` - 1, leaving out another leaves all of them.

    >>> [agreement(matches) for matches in range(6)]
    [0.0, 0.3, 0.6, 0.9, 1.0, 1.0]
    """
    return (matches * min(3, max(matches - 1, 0)) + (people - matches) * min(3, matches)) / (3 * people)
