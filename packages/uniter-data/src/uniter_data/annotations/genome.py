"""Visual Genome's questions (Krishna et al., IJCV 2017): further training questions for VQA, one answer each.

`question_answers.json` is a list of pictures, each with its `qas`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uniter_data.annotations.fields import Fields, Seen
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members

__all__ = ["GenomeQuestion", "read_genome_questions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class GenomeQuestion:
    """A question with its answer.

    Attributes:
        source: file and record, for messages.
        qa_id: unique in the file; no VQA question id.
        image_id: Visual Genome's own.
        question, answer: as written.
    """

    source: str
    qa_id: int
    image_id: int
    question: str
    answer: str


def read_genome_questions(path: Path) -> Iterator[GenomeQuestion]:
    """The questions of every picture.

    Raises:
        ValueError: the file is of another format, or a record is wrong or doubled; the message names file and record.
    """
    seen = Seen("qa_id")
    empty = True
    for key, index, value in read_members(path):
        if key or index is None or not isinstance(value, dict) or "qas" not in value:
            raise other_format(path, "Visual Genome's question_answers.json")
        empty = False
        picture = Fields(value, f"{path}: [{index}]")
        for place in range(len(picture.items("qas"))):
            yield _question(picture.within("qas", place), seen)
    if empty:
        raise other_format(path, "Visual Genome's question_answers.json")


def _question(fields: Fields, seen: Seen) -> GenomeQuestion:
    qa_id = fields.integer("qa_id")
    seen.add(qa_id, fields.where)
    return GenomeQuestion(
        source=fields.where,
        qa_id=qa_id,
        image_id=fields.integer("image_id"),
        question=fields.text("question"),
        answer=fields.text("answer", empty=True),
    )
