"""Visual questions in the files of VQA v2: questions, and ten answers to each.

Seven types: colour, shape, texture, exist, count, relation (yes or no) and what-is.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uniter_core import key_of
from uniter_data.scenes.annotations.answers import ten_answers
from uniter_data.scenes.annotations.balance import Candidate, balanced, shared_out
from uniter_data.scenes.annotations.kinds import NAMED, counted, descriptions, named
from uniter_data.scenes.annotations.pictures import SPLITS, Picture
from uniter_data.scenes.annotations.records import Record, write_json
from uniter_data.scenes.annotations.sides import OPPOSITE, may_be
from uniter_data.scenes.lexicon import RELATIONS
from uniter_data.scenes.speaker import relations
from uniter_data.scenes.world import Scene, pick

__all__ = [
    "A_PICTURE",
    "SHARES",
    "TYPES",
    "Question",
    "annotations_file",
    "questions_file",
    "questions_of",
    "write_vqa",
]

A_PICTURE = 4.5  # questions
SHARES = {"colour": 4, "shape": 3, "texture": 3, "exist": 3, "count": 3, "relation": 2, "what is": 2}
MOST = 4  # that are to be counted
COUNTED = (("shape",), ("colour",), ("colour", "shape"), ("texture",), ("texture", "shape"))
INFO = {"description": "Questions about generated scenes.", "version": "2.0"}  # of the format
LICENCE = {"name": "CC0-1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, its type, and the right answer."""

    text: str
    type: str
    answer: str

    @property
    def answer_type(self) -> str:
        """As VQA has it: "yes/no", "number" or "other"."""
        return "number" if self.type == "count" else "yes/no" if self.answer in ("yes", "no") else "other"


Asker = Callable[[Picture, np.random.Generator], Sequence[Candidate[Question]]]


def questions_file(split: str) -> str:
    """The name of a split's questions."""
    return f"v2_OpenEnded_scenes_{split}_questions.json"


def annotations_file(split: str) -> str:
    """The name of a split's answers; those of the test split are hidden from whoever only looks for the others."""
    return f"v2_scenes_{split}_annotations{'_hidden' if split == 'test' else ''}.json"


def write_vqa(folder: Path, pictures: Mapping[str, Sequence[Picture]], *, seed: int) -> None:
    """Write the questions and the answers of every split.

    `image_id` is the picture's number, `data_subtype` its split: together they name it, as in VQA.
    """
    for split, of in pictures.items():
        rng = np.random.default_rng(key_of(seed, "annotations", "vqa", split))
        asked = list(questions_of(of, round(A_PICTURE * len(of)), rng))
        places = rng.permutation(len(asked)).tolist()  # types are asked one after the other
        first = (SPLITS.index(split) + 1) * 1_000_000
        numbered = [(first + at, *asked[place]) for at, place in enumerate(places)]
        head = {"info": INFO, "license": LICENCE, "data_type": "scenes", "data_subtype": split}
        questions = [{"image_id": one.number, "question": of.text, "question_id": at} for at, one, of in numbered]
        write_json(folder / questions_file(split), {**head, "task_type": "Open-Ended", "questions": questions})
        annotations = [_annotation(at, one, of, rng) for at, one, of in numbered]
        write_json(folder / annotations_file(split), {**head, "annotations": annotations})


def questions_of(
    pictures: Sequence[Picture], number: int, rng: np.random.Generator
) -> Iterator[tuple[Picture, Question]]:
    """So many questions, each with the picture that it is put to, type after type."""
    for kind, size in shared_out(number, SHARES).items():
        yield from balanced(pictures, TYPES[kind], size, rng)


# ---------------------------------------------------------------------------------------------------------------------


def _annotation(number: int, picture: Picture, question: Question, rng: np.random.Generator) -> Record:
    answers = ten_answers(question.answer, rng)
    return {
        "question_type": question.type,
        "multiple_choice_answer": question.answer,
        "answers": [
            {"answer": answer, "answer_confidence": "yes" if answer == question.answer else "maybe", "answer_id": at}
            for at, answer in enumerate(answers, start=1)
        ],
        "image_id": picture.number,
        "answer_type": question.answer_type,
        "question_id": number,
    }


def _attribute(name: str, *phrasings: str) -> Asker:
    """Asks what colour, shape or texture an object has that is described without it."""

    def ask(picture: Picture, rng: np.random.Generator) -> list[Candidate[Question]]:
        found = []
        for number, thing in enumerate(picture.scene.objects):
            for kind in descriptions(picture.scene, number, without=name):
                text = pick(rng, phrasings).format(kind.words(rng, article="the"))
                answer = getattr(thing, name)
                found.append(_candidate(kind, text, name, answer))
        return found

    return ask


def _exist(picture: Picture, rng: np.random.Generator) -> list[Candidate[Question]]:
    phrasing = pick(rng, ("is there {}?", "do you see {}?", "can you see {}?"))
    return [
        _candidate(kind, phrasing.format(kind.words(rng, article="a")), "exist", "yes" if number else "no")
        for kind, number in counted(picture.scene, pick(rng, NAMED), rng)
    ]


def _count(picture: Picture, rng: np.random.Generator) -> list[Candidate[Question]]:
    phrasing = pick(rng, ("how many {} are there?", "how many {} do you see?", "how many {} can you see?"))
    return [
        _candidate(kind, phrasing.format(kind.words(rng, plural=True)), "count", str(number))
        for kind, number in counted(picture.scene, pick(rng, COUNTED), rng)
        if number <= MOST
    ]


def _relation(picture: Picture, rng: np.random.Generator) -> list[Candidate[Question]]:
    """Asks for a side that is right, or for its opposite; what is on neither is not asked."""
    scene = picture.scene
    one, other = rng.permutation(len(scene.boxes))[:2].tolist()
    first, second = named(scene, one, rng), named(scene, other, rng)
    if not first or not second:
        return []
    found = []
    for side in relations(scene, one, other):
        for asked, answer in ((side, "yes"), (OPPOSITE.get(side, ""), "no")):
            if asked and side in OPPOSITE:
                text = f"is {first} {pick(rng, RELATIONS[asked])} {second}?"
                found.append(_candidate((asked, _noun(scene, one)), text, "relation", answer))
    return found


def _what_is(picture: Picture, rng: np.random.Generator) -> list[Candidate[Question]]:
    """Asks for the only thing on one side of another, or near it."""
    scene = picture.scene
    found = []
    for anchor in range(len(scene.boxes)):
        others = [thing for thing in range(len(scene.boxes)) if thing != anchor]
        held = {thing: relations(scene, thing, anchor) for thing in others}
        for thing, names in held.items():
            for name in names:
                name_of_anchor = named(scene, anchor, rng)
                others_may = any(may_be(scene, other, anchor, name) for other in held if other != thing)
                if name_of_anchor and not others_may:
                    text = f"{pick(rng, ('what is', 'what do you see'))} {pick(rng, RELATIONS[name])} {name_of_anchor}?"
                    found.append(_candidate((name, anchor), text, "what is", _noun(scene, thing)))
    return found


def _noun(scene: Scene, thing: int) -> str:
    return scene.objects[thing].shape if thing < len(scene.objects) else "curtain"


def _candidate(topic: Hashable, text: str, type_: str, answer: str) -> Candidate[Question]:
    return Candidate(topic=topic, answer=answer, content=Question(text=text, type=type_, answer=answer))


TYPES: dict[str, Asker] = {
    "colour": _attribute("colour", "what colour is {}?", "what is the colour of {}?", "which colour does {} have?"),
    "shape": _attribute("shape", "what shape is {}?", "what is the shape of {}?", "which shape does {} have?"),
    "texture": _attribute(
        "texture", "what texture is {}?", "what is the texture of {}?", "which texture does {} have?"
    ),
    "exist": _exist,
    "count": _count,
    "relation": _relation,
    "what is": _what_is,
}
