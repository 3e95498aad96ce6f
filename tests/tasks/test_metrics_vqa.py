"""VQA accuracy: the traps of normalisation by hand, leave-one-out by definition, the official scorer's numbers."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_tasks.metrics import agreement, answer_accuracy, normalise_answer, score_vqa

MARKS = ';/[]"{}()=+\\_-><@`,?!'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Dog", "dog"),  # case and article
        ("a an the", ""),
        ("Two", "2"),
        ("none", "0"),
        ("eleven", "eleven"),  # words stop at ten
        ("twothree", "twothree"),
        ("wont", "won't"),
        ("won't", "won't"),
        ("couldnt've", "couldn't've"),
        ("couldntve", "couldntve"),  # lacks two apostrophes
        ("somebody'd", "somebodyd"),  # the official table has this one the wrong way round
        ("let's go", "let's go"),
        ("9:30", "9:30"),  # a colon is no mark
        ("black/white", "black white"),
        ("black, white", "black white"),  # deleted next to a space
        ("t-shirt", "t shirt"),
        ("t -shirt", "t shirt"),
        ("1,000", "1000"),
        ("1,000-2,000", "10002000"),  # with a comma between digits every mark is deleted
        ("3.5", "3.5"),
        ("3.", "3"),
        (".5", ".5"),
        ("u.s.a.", "usa"),
        ("no.7", "no.7"),  # a digit follows
        ("3 . 5", "3 5"),
        ("yes!", "yes"),
        ("  Yes\n", "yes"),
        ("on\tthe table", "on table"),
        ("." * 40, "." * 8),  # the official scorer deletes 32 periods
        ("", ""),
    ],
)
def test_normalised_by_hand(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


def normalised_by_definition(text: str) -> str:
    """Letter by letter, for texts without contractions."""
    pairs = list(pairwise(text))
    triples = zip(text, text[1:], text[2:], strict=False)
    comma = any(a.isdigit() and b == "," and c.isdigit() for a, b, c in triples)
    near_space = {a for a, b in pairs if b == " "} | {b for a, b in pairs if a == " "}
    kept = [letter if letter not in MARKS else "" if comma or letter in near_space else " " for letter in text]
    cleaned = "".join(kept) + " "
    spoken = [a for a, b in pairwise(cleaned) if a != "." or b.isdigit()]
    numbers = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    words = ["0" if word == "none" else word for word in "".join(spoken).lower().split()]
    words = [str(numbers.index(word)) if word in numbers else word for word in words]
    return " ".join(word for word in words if word not in ("a", "an", "the"))


fragments = st.sampled_from(["a", "the ", "two", "ten ", "Dog", " ", "1", "9", ",", ".", "-", "/", "?", ";", "\\", ":"])


@given(st.lists(fragments, max_size=12).map("".join))
def test_normalised_by_definition(text: str) -> None:
    text = text.strip()
    assert normalise_answer(text) == normalised_by_definition(text)


def accuracy_by_definition(predicted: str, answers: list[str]) -> float:
    """Both sides in one form already."""
    kept = []
    for person in range(len(answers)):
        others = answers[:person] + answers[person + 1 :]
        kept.append(min(1.0, others.count(predicted) / 3))
    return sum(kept) / len(kept)


@given(st.sampled_from("pqr"), st.lists(st.sampled_from("pqrs"), min_size=1, max_size=10))
def test_accuracy_by_definition(predicted: str, answers: list[str]) -> None:
    assert answer_accuracy(predicted, answers) == pytest.approx(accuracy_by_definition(predicted, answers))


@pytest.mark.parametrize(("matches", "accuracy"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_average_over_ten_people(matches: int, accuracy: float) -> None:
    """With three of ten: seven people leave out another and see 3/3, three leave out one of them and see 2/3."""
    assert agreement(matches) == pytest.approx(accuracy)


def test_nothing_is_normalised_where_all_agree() -> None:
    assert answer_accuracy("2", ["Two"] * 10) == 0.0
    assert answer_accuracy(" Two\n", ["Two"] * 9 + ["Two "]) == 1.0  # space around an answer never counts
    assert answer_accuracy("2", ["Two"] * 9 + ["three"]) == 1.0


def test_means_by_type() -> None:
    score = score_vqa(
        ["yes", "no", "2"],
        [["yes"] * 10, ["yes"] * 10, ["2"] * 3 + ["3"] * 7],
        answer_types=["yes/no", "yes/no", "number"],
        question_types=["is the", "are", "is the"],
    )
    assert score.questions.tolist() == pytest.approx([1, 0, 0.9])
    assert score.accuracy == pytest.approx(1.9 / 3)
    assert score.answer_types == pytest.approx({"number": 0.9, "yes/no": 0.5})
    assert score.question_types == pytest.approx({"are": 0.0, "is the": 0.95})


def test_refusals() -> None:
    with pytest.raises(ValueError, match="answers: expected at least one"):
        answer_accuracy("yes", [])
    with pytest.raises(ValueError, match="as many answers"):
        score_vqa(["yes"], [], answer_types=[], question_types=[])


@pytest.mark.golden
def test_official_scorer(golden_dir: Path) -> None:
    folder = golden_dir / "scorers"
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text())["vqa"]
    records = json.loads((folder / "vqa_annotations.json").read_text())["annotations"]
    results = json.loads((folder / "vqa_results.json").read_text())
    predicted = {entry["question_id"]: entry["answer"] for entry in results}
    score = score_vqa(
        [predicted[record["question_id"]] for record in records],
        [[answer["answer"] for answer in record["answers"]] for record in records],
        answer_types=[record["answer_type"] for record in records],
        question_types=[record["question_type"] for record in records],
    )
    assert round(100 * score.accuracy, 4) == expected["overall"]
    percent = {name: round(100 * share, 4) for name, share in score.answer_types.items()}
    assert percent == expected["perAnswerType"]
    percent = {name: round(100 * share, 4) for name, share in score.question_types.items()}
    assert percent == expected["perQuestionType"]
    for record, accuracy in zip(records, score.questions, strict=True):
        assert accuracy == pytest.approx(expected["perQuestion"][str(record["question_id"])]), record["question_id"]
