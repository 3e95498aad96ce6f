"""Four-way questions with four-way reasons in the JSON lines of VCR; things are named by their index among `objects`.

Questions ask for the colour or the texture of a thing, for what has the colour of another, and for the only thing that
has some colour or texture. A reason says one attribute more than the answer: three of the four are wrong in that.
An index says no more than the thing's shape, so only things whose shape no other has are named.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uniter_core import key_of
from uniter_data.scenes.annotations.balance import Candidate, balanced, shared_out
from uniter_data.scenes.annotations.pictures import Picture
from uniter_data.scenes.annotations.records import Record, write_json, write_lines
from uniter_data.scenes.world import CANVAS, CLASS_NAMES, COLOURS, TEXTURES, Scene, pick

__all__ = ["A_PICTURE", "CHOICES", "FILES", "SHARES", "TYPES", "Riddle", "riddles_of", "write_vcr"]

A_PICTURE = 3 / 2  # questions, of which a few find no picture
CHOICES = 4
LEAD = 1 / 200  # of the questions of a type, by which an answer may be ahead of another
FILES = {"train": "train.jsonl", "val": "val.jsonl", "test": "test.jsonl"}
SHARES = {"colour": 8, "texture": 7, "which colour": 4, "which texture": 2, "same colour": 1}
VALUES = {"colour": tuple(COLOURS), "texture": TEXTURES}
OTHER = {"colour": "texture", "texture": "colour"}

Tokens = list[str | list[int]]


@dataclass(frozen=True, kw_only=True)
class Riddle:
    """A question with four answers and four reasons; in each the first is the right one.

    Attributes:
        type: a key of `TYPES`.
        question, answers, reasons: words, and lists of numbers of things.
    """

    type: str
    question: Tokens
    answers: tuple[Tokens, ...]
    reasons: tuple[Tokens, ...]


Riddler = Callable[[Picture, np.random.Generator], Sequence[Candidate[Riddle]]]


def write_vcr(folder: Path, pictures: Mapping[str, Sequence[Picture]], *, seed: int) -> None:
    """Write the questions of every split, and below `vcr1images` what is known of each picture's boxes."""
    for split, of in pictures.items():
        rng = np.random.default_rng(key_of(seed, "annotations", "vcr", split))
        riddles = riddles_of(of, round(A_PICTURE * len(of)), rng)
        order = rng.permutation(len(riddles)).tolist()
        # each place is as often the right one's
        labels = [rng.permutation(np.arange(len(riddles)) % CHOICES).tolist() for _ in range(2)]
        records = []
        for number, (at, *right) in enumerate(zip(order, *labels, strict=True)):
            picture, riddle = riddles[at]
            answers, reasons = (_order(label, rng) for label in right)
            records.append(_record(number, picture, riddle, answers, reasons))
        write_lines(folder / FILES[split], records)
        for picture in of:
            write_json(folder / "vcr1images" / _metadata_file(picture), _metadata(picture.scene))


def riddles_of(pictures: Sequence[Picture], number: int, rng: np.random.Generator) -> list[tuple[Picture, Riddle]]:
    """So many riddles, each with its picture, type after type."""
    return [
        posed
        for kind, size in shared_out(number, SHARES).items()
        for posed in balanced(pictures, TYPES[kind], size, rng, lead=1 + round(LEAD * size))
    ]


# ---------------------------------------------------------------------------------------------------------------------


def _order(label: int, rng: np.random.Generator) -> list[int]:
    """The choices in a random order, the first of them at the label's place."""
    order: list[int] = (1 + rng.permutation(CHOICES - 1)).tolist()
    order.insert(label, 0)
    return order


def _record(number: int, picture: Picture, riddle: Riddle, answers: Sequence[int], reasons: Sequence[int]) -> Record:
    identifier = f"{picture.split}-{number}"
    return {
        "annot_id": identifier,
        "img_id": f"{picture.split}-{picture.number}",
        "movie": "scenes",
        "img_fn": f"{picture.split}/{picture.image_id}.jpg",
        "metadata_fn": _metadata_file(picture),
        "objects": _names(picture.scene),
        "question": riddle.question,
        "question_orig": _plain(riddle.question),
        "question_number": number,
        "answer_choices": [riddle.answers[at] for at in answers],
        "answer_label": answers.index(0),
        "answer_orig": _plain(riddle.answers[0]),
        "answer_likelihood": "likely",
        "answer_match_iter": list(answers),
        "answer_sources": [number] * CHOICES,
        "rationale_choices": [riddle.reasons[at] for at in reasons],
        "rationale_label": reasons.index(0),
        "rationale_orig": _plain(riddle.reasons[0]),
        "rationale_match_iter": list(reasons),
        "rationale_sources": [number] * CHOICES,
        "interesting_scores": [1],
        "match_fold": f"{picture.split}-0",
        "match_index": number,
    }


def _plain(tokens: Tokens) -> str:
    """As its author wrote it: things are counted from 1 there."""
    return " ".join(token if isinstance(token, str) else ",".join(str(at + 1) for at in token) for token in tokens)


def _metadata_file(picture: Picture) -> str:
    return f"{picture.split}/{picture.image_id}.json"


def _metadata(scene: Scene) -> Record:
    boxes = [[round(at, 2) for at in box] for box in scene.boxes]
    return {
        "boxes": [[*box, 1.0] for box in boxes],
        "segms": [[[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]] for x1, y1, x2, y2 in boxes],
        "names": _names(scene),
        "width": CANVAS,
        "height": CANVAS,
    }


def _names(scene: Scene) -> list[str]:
    return [CLASS_NAMES[row] for row in scene.classes]


def _nameable(scene: Scene) -> list[int]:
    """Objects whose shape tells them apart."""
    shapes = Counter(thing.shape for thing in scene.objects)
    return [at for at, thing in enumerate(scene.objects) if shapes[thing.shape] == 1]


def _asking(name: str) -> Riddler:
    """What colour (texture) is it? The reason says its texture (colour), too."""

    def ask(picture: Picture, rng: np.random.Generator) -> list[Candidate[Riddle]]:
        found = []
        for thing in _nameable(picture.scene):
            answers: tuple[Tokens, ...] = tuple(
                [[thing], "is", value, "."] for value in _choices(picture.scene, thing, name, rng)
            )
            question: Tokens = ["what", name, "is", [thing], "?"]
            found.append(_candidate(picture.scene, thing, name, name, question, answers, rng))
        return found

    return ask


def _which(name: str) -> Riddler:
    """Which of four things is red (striped)? The reason says its texture (colour), too."""

    def ask(picture: Picture, rng: np.random.Generator) -> list[Candidate[Riddle]]:
        scene = picture.scene
        nameable = _nameable(scene)
        found = []
        for thing in nameable if len(nameable) >= CHOICES else ():
            value = getattr(scene.objects[thing], name)
            if len(scene.matching(**{name: value})) == 1:
                answers = _things(thing, [other for other in nameable if other != thing], "is", rng)
                question: Tokens = ["which", "thing", "is", value, "?"]
                found.append(_candidate(scene, thing, f"which {name}", name, question, answers, rng))
        return found

    return ask


def _same(picture: Picture, rng: np.random.Generator) -> list[Candidate[Riddle]]:
    """Which of four things has the colour of a fifth? The reason says which colour that is."""
    scene = picture.scene
    nameable = _nameable(scene)
    found = []
    for asked in nameable:
        colour = scene.objects[asked].colour
        twins = [other for other in scene.matching(colour=colour) if other != asked]
        others = [other for other in nameable if scene.objects[other].colour != colour]
        if len(twins) == 1 and twins[0] in nameable and len(others) >= CHOICES - 1:
            question: Tokens = ["what", "has", "the", "same", "colour", "as", [asked], "?"]
            reasons: tuple[Tokens, ...] = tuple(
                ["both", "are", value, "."] for value in _choices(scene, asked, "colour", rng)
            )
            answers = _things(twins[0], others, "has", rng)
            riddle = Riddle(type="same colour", question=question, answers=answers, reasons=reasons)
            found.append(Candidate(topic=asked, answer=colour, content=riddle))
    return found


def _candidate(
    scene: Scene,
    thing: int,
    type_: str,
    name: str,
    question: Tokens,
    answers: tuple[Tokens, ...],
    rng: np.random.Generator,
) -> Candidate[Riddle]:
    """With the four reasons that differ in the attribute that was not asked for."""
    known = {each: getattr(scene.objects[thing], each) for each in VALUES}
    reasons: list[Tokens] = []
    for value in _choices(scene, thing, OTHER[name], rng):
        said = {**known, OTHER[name]: value}
        reasons.append([[thing], "is", "a", said["texture"], said["colour"], "thing", "."])
    riddle = Riddle(type=type_, question=question, answers=answers, reasons=tuple(reasons))
    return Candidate(topic=thing, answer=" ".join(known.values()), content=riddle)


def _things(right: int, wrong: Sequence[int], verb: str, rng: np.random.Generator) -> tuple[Tokens, ...]:
    chosen = [wrong[at] for at in rng.permutation(len(wrong))[: CHOICES - 1].tolist()]
    return tuple([[thing], verb, "."] for thing in (right, *chosen))


def _choices(scene: Scene, thing: int, name: str, rng: np.random.Generator) -> list[str]:
    """Four values of an attribute, the right one first; one of the others is that of another object if possible."""
    right = getattr(scene.objects[thing], name)
    wrong = [value for value in VALUES[name] if value != right]
    seen = sorted({getattr(other, name) for other in scene.objects} - {right})
    first = [pick(rng, seen)] if seen else []
    rest = [wrong[at] for at in rng.permutation(len(wrong)).tolist() if wrong[at] not in first]
    return [right, *first, *rest][:CHOICES]


TYPES: dict[str, Riddler] = {
    "colour": _asking("colour"),
    "texture": _asking("texture"),
    "which colour": _which("colour"),
    "which texture": _which("texture"),
    "same colour": _same,
}
