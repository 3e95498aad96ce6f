"""Questions: every answer is worked out again from the words of the question and the objects of the scene."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uniter_data.annotations.vqa import read_vqa, read_vqa_questions
from uniter_data.scenes.world import Scene

SPLITS = ("train", "val", "test")
TYPES = ["colour", "count", "exist", "relation", "shape", "texture", "what is"]


@pytest.fixture(scope="session")
def asked(annotations: Path) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """(question, annotation) of every split."""
    found = {}
    for split in SPLITS:
        hidden = "_hidden" if split == "test" else ""
        questions = json.loads((annotations / "vqa" / f"v2_OpenEnded_scenes_{split}_questions.json").read_text())
        answers = json.loads((annotations / "vqa" / f"v2_scenes_{split}_annotations{hidden}.json").read_text())
        texts = {q["question_id"]: (q["question"], q["image_id"]) for q in questions["questions"]}
        assert {a["question_id"]: a["image_id"] for a in answers["annotations"]} == {
            number: image for number, (_, image) in texts.items()
        }
        found[split] = [(texts[a["question_id"]][0], a) for a in answers["annotations"]]
    return found


def truth(question: str, scene: Scene, fitting: Any, sides_of: Any, around_relation: Any) -> str:
    if found := re.fullmatch(r"how many (.+) (?:are there|(?:do|can) you see)\?", question):
        return str(len(fitting(scene, found[1])))
    if found := re.fullmatch(r"(?:is there|(?:do|can) you see) an? (.+)\?", question):
        return "yes" if fitting(scene, found[1]) else "no"
    patterns = (r"what (\w+) is (the .+)\?", r"what is the (\w+) of (the .+)\?", r"which (\w+) does (the .+) have\?")
    for pattern in patterns:
        found = re.fullmatch(pattern, question)
        if found and found[1] in ("colour", "shape", "texture"):
            (number,) = fitting(scene, found[2])
            return str(getattr(scene.objects[number], found[1]))
    before, relation, after = around_relation(question.removesuffix("?"))
    (anchor,) = fitting(scene, after)
    if before in ("what is", "what do you see"):
        things = [at for at in range(len(scene.boxes)) if at != anchor and relation in sides_of(scene, at, anchor)]
        (thing,) = things
        return "curtain" if thing == len(scene.objects) else scene.objects[thing].shape
    (thing,) = fitting(scene, before.removeprefix("is "))
    held = sides_of(scene, thing, anchor)
    opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}[relation]
    assert (relation in held) != (opposite in held)
    return "yes" if relation in held else "no"


@pytest.mark.parametrize("split", SPLITS)
def test_answers_are_true(
    asked: Any, scene_of: Any, fitting: Any, sides_of: Any, around_relation: Any, split: str
) -> None:
    for question, annotation in asked[split]:
        scene = scene_of(f"in-domain-{split}-{annotation['image_id']:05d}")
        right = truth(question, scene, fitting, sides_of, around_relation)
        assert right == annotation["multiple_choice_answer"], question


def test_ten_people_mostly_agree(asked: Any) -> None:
    wrong: dict[str, list[int]] = defaultdict(list)
    for _, annotation in asked["train"]:
        answers = [answer["answer"] for answer in annotation["answers"]]
        assert [answer["answer_id"] for answer in annotation["answers"]] == list(range(1, 11))
        (most, count), *_ = Counter(answers).most_common()
        assert most == annotation["multiple_choice_answer"]
        assert count >= 6
        wrong[annotation["answer_type"]].append(10 - count)
    shares = {kind: sum(found) / len(found) / 10 for kind, found in wrong.items()}
    assert shares["yes/no"] == pytest.approx(0.05, abs=0.02)
    assert shares["other"] == pytest.approx(0.12, abs=0.03)
    assert shares["number"] == pytest.approx(0.12, abs=0.04)


def test_neither_type_nor_words_tell_the_answer(asked: Any) -> None:
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    by_question: dict[str, Counter[str]] = defaultdict(Counter)
    for question, annotation in asked["train"]:
        by_type[annotation["question_type"]][annotation["multiple_choice_answer"]] += 1
        by_question[question][annotation["multiple_choice_answer"]] += 1
    priors = {kind: max(answers.values()) / answers.total() for kind, answers in by_type.items()}
    bounds = {
        "colour": 0.12, "shape": 0.10, "texture": 0.27, "exist": 0.51, "count": 0.33, "relation": 0.52, "what is": 0.12,
    }  # fmt: skip
    assert priors.keys() == bounds.keys()
    assert all(priors[kind] <= bounds[kind] for kind in bounds), priors
    often = [answers for question, answers in by_question.items() if answers.total() >= 8 and "is there" in question]
    assert all(max(answers.values()) / answers.total() < 0.8 for answers in often)


def test_types_and_answer_types(asked: Any) -> None:
    for split in SPLITS:
        assert sorted({annotation["question_type"] for _, annotation in asked[split]}) == TYPES
        for _, annotation in asked[split]:
            answer = annotation["multiple_choice_answer"]
            kind = "number" if answer.isdigit() else "yes/no" if answer in ("yes", "no") else "other"
            assert annotation["answer_type"] == kind


def test_pictures_share_the_questions_and_none_is_asked_the_same_twice(asked: Any) -> None:
    for split, pictures in (("train", 240), ("val", 60), ("test", 60)):
        each = Counter(annotation["image_id"] for _, annotation in asked[split])
        assert len(asked[split]) == pytest.approx(4.5 * pictures, abs=1)
        assert max(each.values()) <= 8
        assert len(each) > 0.95 * pictures
        assert max(Counter((text, a["image_id"]) for text, a in asked[split]).values()) == 1


def test_question_ids_are_unique_over_splits(asked: Any) -> None:
    ids = [annotation["question_id"] for split in SPLITS for _, annotation in asked[split]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("split", SPLITS)
def test_the_importers_reader_reads_them(annotations: Path, asked: Any, split: str) -> None:
    folder = annotations / "vqa"
    questions = folder / f"v2_OpenEnded_scenes_{split}_questions.json"
    assert read_vqa_questions(questions).collection == split
    answers = next(path for path in folder.glob(f"v2_scenes_{split}_annotations*.json"))
    records = list(read_vqa(questions, answers))
    assert [record.question for record in records] == [question for question, _ in asked[split]]


def test_the_answers_of_the_test_split_are_hidden(annotations: Path) -> None:
    assert not (annotations / "vqa" / "v2_scenes_test_annotations.json").exists()


def test_topics_are_balanced_as_well_as_types(asked: Any, fitting: Callable[..., list[int]]) -> None:
    """The same question is answered yes about as often as no."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for question, annotation in asked["train"]:
        if annotation["question_type"] == "exist":
            words = re.sub(r"^(is there|do you see|can you see) an? ", "", question)
            answers[words][annotation["multiple_choice_answer"]] += 1
    guessed = sum(max(found.values()) - min(found["yes"], found["no"]) for found in answers.values() if len(found) > 1)
    both = sum(found.total() for found in answers.values() if len(found) > 1)
    assert both > 20
    assert guessed / both < 0.35
