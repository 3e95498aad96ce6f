"""Hypotheses about a picture in the JSON lines of SNLI-VE: entailed, contradicted, or neither.

The curtain makes "neutral" something to see: an object that is not in sight may be behind it. Without a curtain, what
is not in sight is not there.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uniter_core import key_of
from uniter_data.scenes.annotations.balance import Candidate, balanced, shared_out
from uniter_data.scenes.annotations.kinds import NAMED, VALUES, Kind, counted, kinds_in, kinds_with
from uniter_data.scenes.annotations.pictures import Picture
from uniter_data.scenes.annotations.records import Record, write_lines
from uniter_data.scenes.annotations.retrieval import captions_of
from uniter_data.scenes.lexicon import NUMBERS
from uniter_data.scenes.world import Scene, pick

__all__ = ["A_PICTURE", "FILES", "SHARES", "TYPES", "Hypothesis", "hypotheses_of", "write_snli_ve"]

A_PICTURE = 8 / 3  # hypotheses
FILES = {"train": "snli_ve_train.jsonl", "val": "snli_ve_dev.jsonl", "test": "snli_ve_test.jsonl"}
SHARES = {"exist": 4, "absent": 3, "attribute": 4, "two": 3, "count": 2}

ENTAILMENT, NEUTRAL, CONTRADICTION = "entailment", "neutral", "contradiction"
COUNTED = (("shape",), ("colour",), ("texture",))
THERE_IS = ("there is {}", "we see {}", "the picture shows {}", "{} can be seen")


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A sentence, its type, and what the picture says to it."""

    text: str
    type: str
    label: str


Claimer = Callable[[Picture, np.random.Generator], Sequence[Candidate[Hypothesis]]]


def write_snli_ve(folder: Path, pictures: Mapping[str, Sequence[Picture]], *, seed: int) -> None:
    """Write the hypotheses of every split; `sentence1` is one of the picture's captions, `Flickr30K_ID` its name."""
    for split, of in pictures.items():
        rng = np.random.default_rng(key_of(seed, "annotations", "snli-ve", split))
        said = hypotheses_of(of, round(A_PICTURE * len(of)), rng)
        records = [_record(place, *said[place], seed=seed) for place in rng.permutation(len(said)).tolist()]
        write_lines(folder / FILES[split], records)


def hypotheses_of(
    pictures: Sequence[Picture], number: int, rng: np.random.Generator
) -> list[tuple[Picture, Hypothesis]]:
    """So many hypotheses, each with the picture that it is put to, type after type."""
    curtained = [picture for picture in pictures if picture.scene.curtain]
    evened = [*pictures, *curtained[::2]]  # four pictures of ten have a curtain: now five of ten
    return [
        said for kind, size in shared_out(number, SHARES).items() for said in balanced(evened, TYPES[kind], size, rng)
    ]


# ---------------------------------------------------------------------------------------------------------------------


def _record(place: int, picture: Picture, hypothesis: Hypothesis, *, seed: int) -> Record:
    spoken = captions_of(picture, seed=seed)
    caption = place % len(spoken)
    return {
        "Flickr30K_ID": picture.image_id,
        "captionID": f"{picture.image_id}.jpg#{caption}",
        "pairID": f"{picture.image_id}.jpg#{caption}r{place}{hypothesis.label[0]}",
        "gold_label": hypothesis.label,
        "annotator_labels": [hypothesis.label],
        "sentence1": spoken[caption],
        "sentence2": hypothesis.text,
    }


def _unseen(scene: Scene) -> str:
    """What a scene says to the existence of what is not in sight."""
    return NEUTRAL if scene.curtain else CONTRADICTION


def _exist(picture: Picture, rng: np.random.Generator) -> list[Candidate[Hypothesis]]:
    phrasing = pick(rng, THERE_IS)
    return [
        _candidate(
            picture,
            kind,
            phrasing.format(kind.words(rng, article="a")),
            "exist",
            ENTAILMENT if number else _unseen(picture.scene),
        )
        for kind, number in counted(picture.scene, pick(rng, NAMED), rng)
    ]


def _absent(picture: Picture, rng: np.random.Generator) -> list[Candidate[Hypothesis]]:
    phrasing, plural = pick(
        rng, (("there is no {}", False), ("there are no {}", True), ("the picture shows no {}", False))
    )
    unseen = NEUTRAL if picture.scene.curtain else ENTAILMENT
    return [
        _candidate(
            picture,
            kind,
            phrasing.format(kind.words(rng, plural=plural)),
            "absent",
            CONTRADICTION if number else unseen,
        )
        for kind, number in counted(picture.scene, pick(rng, NAMED), rng)
    ]


def _attribute(picture: Picture, rng: np.random.Generator) -> list[Candidate[Hypothesis]]:
    """Claims a colour or a texture for the only object of a shape, or for one that may be behind the curtain."""
    name = pick(rng, ("colour", "colour", "texture"))
    present = kinds_in(picture.scene, ("shape",))
    found = []
    for kind in kinds_with(("shape",)):
        if present[kind] == 1:
            (number,) = kind.objects(picture.scene)
            truth = getattr(picture.scene.objects[number], name)
        elif not present[kind] and picture.scene.curtain:
            truth = ""
        else:
            continue
        for value in VALUES[name]:
            said = replace(kind, **{name: value})
            label = NEUTRAL if not truth else ENTAILMENT if value == truth else CONTRADICTION
            text = f"{kind.words(rng, article='the')} is {Kind(**{name: value}).words(rng).rsplit(' ', 1)[0]}"
            found.append(_candidate(picture, said, text, "attribute", label))
    return found


def _two(picture: Picture, rng: np.random.Generator) -> list[Candidate[Hypothesis]]:
    """Claims that two things exist, one of which is in sight."""
    kinds = counted(picture.scene, pick(rng, NAMED), rng)
    present = [kind for kind, number in kinds if number]
    if not present:
        return []
    one = pick(rng, present)
    phrasing = pick(rng, THERE_IS[:3])
    found = []
    for other, number in kinds:
        if other != one:
            first, second = (one, other) if rng.random() < 0.5 else (other, one)
            words = f"{first.words(rng, article='a')} and {second.words(rng, article='a')}"
            label = ENTAILMENT if number else _unseen(picture.scene)
            found.append(_candidate(picture, frozenset((one, other)), phrasing.format(words), "two", label))
    return found


def _count(picture: Picture, rng: np.random.Generator) -> list[Candidate[Hypothesis]]:
    """Claims a number, right or off by one; more than are in sight may be there if there is a curtain."""
    attributes = pick(rng, COUNTED)
    found = []
    for kind, seen in kinds_in(picture.scene, attributes).items():
        for said in (seen - 1, seen, seen + 1):
            if 0 < said <= 5:
                right = ENTAILMENT if said == seen else CONTRADICTION
                label = NEUTRAL if picture.scene.curtain and said >= seen else right
                words = kind.words(rng, article=f"exactly {NUMBERS[said]}", plural=said > 1)
                text = f"there {'are' if said > 1 else 'is'} {words}"
                found.append(_candidate(picture, (kind, said), text, "count", label))
    return found


def _candidate(picture: Picture, topic: Hashable, text: str, type_: str, label: str) -> Candidate[Hypothesis]:
    content = Hypothesis(text=text, type=type_, label=label)
    return Candidate(topic=topic, answer=label, content=content, setting=bool(picture.scene.curtain))


TYPES: dict[str, Claimer] = {
    "exist": _exist,
    "absent": _absent,
    "attribute": _attribute,
    "two": _two,
    "count": _count,
}
