"""VCR (Zellers et al., CVPR 2019): a question about a scene of a film, four answers, four rationales.

`train.jsonl` and its like hold a JSON object a line. Texts are lists of words and of tags: a tag is a list of numbers
of objects (`objects` says what each is). `metadata_fn` names a JSON file with the objects' boxes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uniter_data.annotations.fields import Fields, Seen
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_lines, read_members

__all__ = [
    "CHOICES",
    "NAMES",
    "PERSON",
    "TAGS",
    "VcrMetadata",
    "VcrRecord",
    "object_words",
    "read_vcr",
    "read_vcr_metadata",
    "written",
]

CHOICES = 4
PERSON = "person"
TAGS = ("names", "regions")
# given names that tell no gender, as the baselines published with VCR use them
NAMES = (
    "Casey", "Riley", "Jessie", "Jackie", "Avery", "Jaime", "Peyton", "Kerry", "Jody", "Kendall", "Skyler", "Frankie",
    "Pat", "Quinn",
)  # fmt: skip

Text = tuple[str | tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class VcrRecord:
    """A question.

    Attributes:
        source: file and line, for messages.
        annot_id: unique in the file, such as "train-0".
        image: path of the picture below vcr1images.
        metadata: path of the picture's metadata below vcr1images; empty if the file does not say.
        objects: what each object is, such as "person".
        question: words, and tags as tuples of numbers of objects.
        answers, rationales: four each, likewise.
        answer_label, rationale_label: which is right; None where the file has no labels.
    """

    source: str
    annot_id: str
    image: str
    metadata: str
    objects: tuple[str, ...]
    question: Text
    answers: tuple[Text, ...]
    rationales: tuple[Text, ...]
    answer_label: int | None
    rationale_label: int | None


@dataclass(frozen=True, kw_only=True)
class VcrMetadata:
    """The objects of a picture.

    Attributes:
        boxes: x1, y1, x2, y2 in pixels of each object.
        names: what each is.
        size: width and height in pixels.
    """

    boxes: tuple[tuple[float, float, float, float], ...]
    names: tuple[str, ...]
    size: tuple[int, int]


def read_vcr(path: Path) -> Iterator[VcrRecord]:
    """The records of a file, line after line.

    Raises:
        ValueError: the file is of another format, or a record is wrong or doubled; the message names file and line.
    """
    seen = Seen("annot_id")
    for number, raw in read_lines(path):
        if not {"annot_id", "question", "answer_choices", "rationale_choices", "objects", "img_fn"} <= raw.keys():
            raise other_format(path, "a file of VCR")
        fields = Fields(raw, f"{path}:{number}")
        annot_id = fields.text("annot_id")
        seen.add(annot_id, fields.where)
        yield _record(fields, annot_id)


def read_vcr_metadata(path: Path) -> VcrMetadata:
    """The metadata of one picture.

    Raises:
        ValueError: the file is of another format, or wrong; the message names it and the field.
    """
    members: dict[str, Any] = {}
    for key, index, value in read_members(path):
        if index is None:
            members[key] = value
        else:
            members.setdefault(key, []).append(value)
    if not {"boxes", "names"} <= members.keys():
        raise other_format(path, "the metadata of a VCR picture")
    fields = Fields(members, str(path))
    names = fields.items("names")
    boxes = [
        Fields({"box": box}, f"{path}: boxes[{i}]") for i, box in enumerate(fields.items("boxes", count=len(names)))
    ]
    corners = []
    for box in boxes:
        # the fifth number is the detector's score
        left, top, right, bottom = box.numbers("box", count=len(box.items("box")))[:4]
        corners.append((left, top, right, bottom))
    return VcrMetadata(
        boxes=tuple(corners),
        names=tuple(map(str, names)),
        size=(fields.integer("width", least=1), fields.integer("height", least=1)),
    )


def object_words(objects: Sequence[str], tags: str) -> tuple[str, ...]:
    """How each object of a picture is written.

    Args:
        objects: what each is.
        tags: "names": a person by a name that tells no gender, the same one throughout the record, everything else by
            what it is. "regions": everything by what it is and its number, counted from 1: row 0 of the regions
            annotated with the picture is "… 1".

    >>> object_words(["person", "dog", "person"], "names"), object_words(["person", "dog"], "regions")
    (('Casey', 'dog', 'Riley'), ('person 1', 'dog 2'))
    """
    if tags not in TAGS:
        raise ValueError(f"tags: expected one of {', '.join(TAGS)}, got {tags!r}")
    if tags == "regions":
        return tuple(f"{name} {number}" for number, name in enumerate(objects, start=1))
    words: list[str] = []
    people = 0
    for name in objects:
        words.append(NAMES[people % len(NAMES)] if name == PERSON else name)
        people += name == PERSON
    return tuple(words)


def written(text: Text, words: Sequence[str]) -> str:
    """A text as a sentence, its tags replaced by the objects' words.

    >>> written(("Is", (0, 2), "near", (1,), "?"), ("Casey", "dog", "Riley"))
    'Is Casey and Riley near dog ?'
    """
    return " ".join(part if isinstance(part, str) else " and ".join(words[number] for number in part) for part in text)


# ---------------------------------------------------------------------------------------------------------------------


def _record(fields: Fields, annot_id: str) -> VcrRecord:
    count = len(fields.items("objects"))
    objects = tuple(Fields({"object": name}, fields.where).text("object") for name in fields.items("objects"))
    choices = {
        name: tuple(_text(text, count, fields, f"{name}[{place}]") for place, text in enumerate(texts))
        for name in ("answer_choices", "rationale_choices")
        if (texts := fields.items(name, count=CHOICES))
    }
    return VcrRecord(
        source=fields.where,
        annot_id=annot_id,
        image=fields.text("img_fn"),
        metadata=fields.text("metadata_fn") if "metadata_fn" in fields.raw else "",
        objects=objects,
        question=_text(fields.items("question"), count, fields, "question"),
        answers=choices["answer_choices"],
        rationales=choices["rationale_choices"],
        answer_label=_label(fields, "answer_label"),
        rationale_label=_label(fields, "rationale_label"),
    )


def _label(fields: Fields, name: str) -> int | None:
    return fields.integer(name, most=CHOICES - 1) if name in fields.raw else None


def _text(raw: Any, objects: int, fields: Fields, name: str) -> Text:
    if not isinstance(raw, list) or not raw:
        fields.fail(name, "a list of words and tags", raw)
    return tuple(_part(part, objects, fields, name) for part in raw)


def _part(raw: Any, objects: int, fields: Fields, name: str) -> str | tuple[int, ...]:
    if isinstance(raw, str):
        return raw
    known = isinstance(raw, list) and all(type(number) is int and 0 <= number < objects for number in raw)
    if not known or not raw:
        fields.fail(name, f"words, and lists of numbers of the {objects} objects", raw)
    return tuple(raw)
