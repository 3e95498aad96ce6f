"""VQA v2 (Goyal et al., CVPR 2017): questions about COCO pictures, and ten people's answers to each.

`v2_OpenEnded_mscoco_train2014_questions.json` holds `questions`, `v2_mscoco_train2014_annotations.json` `annotations`;
both name their pictures by COCO id and by `data_subtype`. Test sets have questions alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uniter_data.annotations.fields import Fields, Seen
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members

__all__ = ["PEOPLE", "VqaQuestions", "VqaRecord", "read_vqa", "read_vqa_annotations", "read_vqa_questions"]

PEOPLE = 10
VERSION = "2"


@dataclass(frozen=True, kw_only=True, slots=True)
class VqaRecord:
    """A question.

    Attributes:
        source: file and record, for messages.
        question_id: unique over all splits.
        image_id: COCO id.
        collection: of the picture, such as "val2014"; empty if the file does not say.
        question: as written.
        question_type: its first words, such as "is the"; empty without annotations.
        answer_type: "yes/no", "number", "other"; empty without annotations.
        answers: of ten people, as written; None without annotations.
    """

    source: str
    question_id: int
    image_id: int
    collection: str
    question: str
    question_type: str = ""
    answer_type: str = ""
    answers: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class VqaQuestions:
    """The questions of one file.

    Attributes:
        path: of the file.
        collection: `data_subtype`, such as "train2014" or "test-dev2015"; empty if the file does not say.
        asked: (question, image id) by question id, in the file's order.
    """

    path: Path
    collection: str = ""
    asked: dict[int, tuple[str, int]] = field(default_factory=dict)

    def record(self, question_id: int, **known: Any) -> VqaRecord:
        """One question with what is known of it."""
        question, image_id = self.asked[question_id]
        return VqaRecord(
            source=f"{self.path}: question {question_id}",
            question_id=question_id,
            image_id=image_id,
            # test-dev asks about a part of the pictures of test
            collection=self.collection.replace("test-dev", "test"),
            question=question,
            **known,
        )


def read_vqa(questions: Path, annotations: Path | None = None) -> Iterator[VqaRecord]:
    """The questions of a file, with the answers of the annotations that belong to it.

    Raises:
        ValueError: a file is of another format or version, a record is wrong or doubled, or the two files do not
            belong together; the message names file and record.
    """
    asked = read_vqa_questions(questions)
    if annotations is None:
        yield from map(asked.record, asked.asked)
        return
    seen: set[int] = set()
    for fields in _array(annotations, "annotations", ("question_id", "answers")):
        question_id = fields.integer("question_id")
        if question_id not in asked.asked:
            raise ValueError(f"{fields.where}: {questions} has no question {question_id}: give the files of one split")
        if question_id in seen:
            raise ValueError(f"{fields.where}: question {question_id} was annotated before: remove one of the two")
        seen.add(question_id)
        yield asked.record(question_id, **_said(fields))
    for question_id in asked.asked:
        if question_id not in seen:
            raise ValueError(f"{annotations} lacks question {question_id} of {questions}: give the files of one split")


def read_vqa_annotations(path: Path) -> Iterator[VqaRecord]:
    """The answers of a file of annotations, without the questions, which scores do not need.

    Raises:
        ValueError: the file is of another format or version, or a record is wrong or doubled; the message names both.
    """
    seen = Seen("question_id")
    for fields in _array(path, "annotations", ("question_id", "answers")):
        question_id = fields.integer("question_id")
        seen.add(question_id, fields.where)
        image_id = fields.integer("image_id") if "image_id" in fields.raw else 0
        yield VqaRecord(
            source=fields.where,
            question_id=question_id,
            image_id=image_id,
            collection="",
            question="",
            **_said(fields),
        )


def read_vqa_questions(path: Path) -> VqaQuestions:
    """The questions of a file; see `read_vqa`."""
    asked: dict[int, tuple[str, int]] = {}
    about: dict[str, Any] = {}
    for fields in _array(path, "questions", ("question_id", "question", "image_id"), about):
        question_id = fields.integer("question_id")
        if question_id in asked:
            raise ValueError(f"{fields.where}: question_id {question_id} was asked before: remove one of the two")
        asked[question_id] = (fields.text("question"), fields.integer("image_id"))
    return VqaQuestions(path=path, collection=str(about.get("data_subtype", "")), asked=asked)


# ---------------------------------------------------------------------------------------------------------------------


def _array(path: Path, name: str, marks: tuple[str, ...], about: dict[str, Any] | None = None) -> Iterator[Fields]:
    """The elements of the file's array of this name; `about` receives its other members."""
    empty = True
    for key, index, value in _members(path, name):
        if key == name and index is not None:
            if empty and not (isinstance(value, dict) and all(mark in value for mark in marks)):
                raise other_format(path, f"a file of VQA {name}")
            empty = False
            yield Fields(value, f"{path}: {name}[{index}]")
        elif index is None:
            _refuse_version(path, key, value)
            if about is not None:
                about[key] = value
    if empty:
        raise other_format(path, f"a file of VQA {name}")


def _members(path: Path, name: str) -> Iterator[tuple[str, int | None, Any]]:
    """The file's members; one that is no JSON before the array of this name is another file, JSON lines perhaps."""
    reached = False
    try:
        for key, index, value in read_members(path):
            reached = reached or key == name
            yield key, index, value
    except ValueError as error:
        if reached:
            raise
        raise other_format(path, f"a file of VQA {name}") from error


def _refuse_version(path: Path, key: str, value: Any) -> None:
    version = str(value.get("version", VERSION)) if key == "info" and isinstance(value, dict) else VERSION
    if not version.startswith(VERSION):
        raise ValueError(f"{path} says that it is version {version} of VQA: give the files of version 2.0 (v2_…)")


def _said(fields: Fields) -> dict[str, Any]:
    """What the annotation of a question says."""
    return {
        "question_type": fields.text("question_type", empty=True),
        "answer_type": fields.text("answer_type", empty=True),
        "answers": _answers(fields),
    }


def _answers(fields: Fields) -> tuple[str, ...]:
    count = len(fields.items("answers", count=PEOPLE))
    return tuple(fields.within("answers", place).text("answer", empty=True) for place in range(count))
