"""VCR's three accuracies: by definition, by hand where the predicted answer is wrong, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_tasks.metrics import score_vcr


@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_by_definition(examples: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    answers = generator.random((examples, 4))
    rationales = generator.random((examples, 4, 4))
    truth = generator.integers(0, 4, (2, examples))
    score = score_vcr(answers, rationales, answer_labels=truth[0], rationale_labels=truth[1])
    counts = np.zeros(3)
    for row in range(examples):
        said = max(range(4), key=lambda answer: answers[row, answer])
        answer, rationale = int(truth[0, row]), int(truth[1, row])
        given_truth = max(range(4), key=lambda choice: rationales[row, answer, choice])
        given_said = max(range(4), key=lambda choice: rationales[row, said, choice])
        counts += [said == answer, given_truth == rationale, (said, given_said) == (answer, rationale)]
    assert [score.q_a, score.qa_r, score.q_ar] == pytest.approx((counts / examples).tolist())


def test_rationale_is_chosen_given_the_predicted_answer() -> None:
    """The true pair is (1, 2). First: both right. Second: answer 0 predicted, after which rationale 2 would be chosen,
    and the true answer's rationale is right as well: Q→AR stays wrong. Third: answer right, rationale wrong."""
    answers = np.zeros((3, 4))
    answers[[0, 1, 2], [1, 0, 1]] = 1
    rationales = np.zeros((3, 4, 4))
    rationales[:2, :, 2] = 1
    rationales[2, :, 3] = 1
    score = score_vcr(answers, rationales, answer_labels=[1, 1, 1], rationale_labels=[2, 2, 2])
    assert score.answers.tolist() == [True, False, True]
    assert score.rationales.tolist() == [True, True, False]
    assert score.both.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("answers", "rationales", "label", "message"),
    [
        (np.zeros((1, 3)), np.zeros((1, 4, 4)), [0], r"\(E, 4\) answers"),
        (np.zeros((0, 4)), np.zeros((0, 4, 4)), [], r"\(E, 4\) answers"),
        (np.full((1, 4), np.nan), np.zeros((1, 4, 4)), [0], "finite"),
        (np.zeros((1, 4)), np.zeros((1, 4, 4)), [4], "answer_labels: expected 1 numbers from 0 to 3"),
    ],
)
def test_refusals(answers: np.ndarray, rationales: np.ndarray, label: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_vcr(answers, rationales, answer_labels=label, rationale_labels=label)
