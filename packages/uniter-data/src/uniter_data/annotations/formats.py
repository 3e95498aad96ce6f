"""Tells what an annotation file looks like, so that a wrong one is refused in a line that helps."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from uniter_data.annotations.json_stream import read_members

__all__ = ["describe", "other_format"]

# What marks a format, the narrower first: members of the document ("identifier"), members of the first element of an
# array that is a member ("questions.image_id"), or of the document itself (".qas").
SIGNATURES: tuple[tuple[str, frozenset[str]], ...] = (
    ("VQA multiple-choice questions, version 1", frozenset({"questions.multiple_choices"})),
    ("VQA questions", frozenset({"questions.question_id", "questions.question"})),
    ("VQA annotations", frozenset({"annotations.question_id", "annotations.answers"})),
    ("a VQA result file", frozenset({".question_id", ".answer"})),
    ("COCO keypoints", frozenset({"annotations.keypoints"})),
    ("COCO instances", frozenset({"annotations.bbox", "annotations.category_id"})),
    ("COCO captions", frozenset({"annotations.caption"})),
    ("Karpathy's splits", frozenset({"images.sentences", "images.split"})),
    ("Visual Genome's question_answers.json", frozenset({".qas"})),
    ("Visual Genome's region_descriptions.json", frozenset({".regions"})),
    ("detected boxes", frozenset({".box", ".image_id"})),
    ("NLVR (version 1)", frozenset({"identifier", "structured_rep"})),
    ("NLVR (version 1)", frozenset({"identifier", "evals"})),
    ("NLVR2", frozenset({"identifier", "left_url", "right_url"})),
    ("SNLI-VE", frozenset({"pairID", "sentence2", "Flickr30K_ID"})),
    ("SNLI-VE", frozenset({"pairID", "sentence2", "Flikr30kID"})),
    ("SNLI, which names no pictures", frozenset({"pairID", "sentence2"})),
    ("VCR", frozenset({"answer_choices", "img_fn"})),
    ("the metadata of a VCR picture", frozenset({"boxes", "names", "segms"})),
    ("a UNITER data set's dataset.json", frozenset({"format", "splits", "vocabulary"})),
)
MAGIC = (
    (b"PK\x03\x04", "a zip archive: unpack it"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x80", "a pickle"),
    (b"(lp", "a pickle"),
    (b"(dp", "a pickle"),
)


def other_format(path: Path, expected: str) -> ValueError:
    """The error for a file that is not what was asked for."""
    return ValueError(f"{path} is not {expected}: it looks like {describe(path)}; give the right file")


def describe(path: Path) -> str:
    """What a file looks like, in a few words."""
    with path.open("rb") as file:
        head = file.read(4)
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    marks: dict[str, None] = {}  # a set that keeps its order
    try:
        for mark in _marks(path):
            marks[mark] = None
    except ValueError:
        if not marks:
            return "a file that is not JSON" if head else "an empty file"
    for name, signature in SIGNATURES:
        if signature <= marks.keys():
            return name
    names = ", ".join(islice((mark for mark in marks if mark.find(".") <= 0), 6))
    return f"JSON with {names}" if names else "JSON without members"


def _marks(path: Path) -> Iterator[str]:
    """Names of the members; of JSON lines those of the first, behind which `read_members` fails."""
    for key, index, value in read_members(path):
        if key:
            yield key
        if not index and isinstance(value, dict):
            yield from _inner(key, value, element=index is not None)


def _inner(key: str, value: dict[str, Any], *, element: bool) -> Iterator[str]:
    if element:
        yield from (f"{key}.{name}" for name in value)
