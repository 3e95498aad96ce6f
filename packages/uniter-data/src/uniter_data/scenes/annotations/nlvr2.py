"""Statements about two pictures in the JSON lines of NLVR2: four pairs to a sentence, two of which make it true.

So the sentence tells nothing about the label, and consistency over a sentence's pairs is a hard measure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uniter_core import key_of
from uniter_data.scenes.annotations.balance import shared_out
from uniter_data.scenes.annotations.census import Census
from uniter_data.scenes.annotations.kinds import NAMED, Kind, kinds_in
from uniter_data.scenes.annotations.pictures import Picture
from uniter_data.scenes.annotations.records import Record, write_lines
from uniter_data.scenes.lexicon import NUMBERS
from uniter_data.scenes.world import pick

__all__ = ["FILES", "FORMS", "PAIRS", "SENTENCES_A_PICTURE", "Statement", "statements_of", "write_nlvr2"]

SENTENCES_A_PICTURE = 2 / 3
PAIRS = 4
FILES = {"train": "train.json", "val": "dev.json", "test": "test1.json"}
TRIES = 2000

COUNTED = (("shape",), ("colour",), ("texture",), ("colour", "shape"), ("colour", "texture"))


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A sentence and its pairs.

    Attributes:
        form: how it speaks of the two pictures.
        kind: what it speaks of first.
        sentence: in words.
        pairs: (left, right, whether it is true of them), pictures by their place in the split.
    """

    form: str
    kind: Kind
    sentence: str
    pairs: tuple[tuple[int, int, bool], ...]


Pairs = list[tuple[int, int, bool]]


def write_nlvr2(folder: Path, pictures: Mapping[str, Sequence[Picture]], *, seed: int) -> None:
    """Write the pairs of every split. The stems of `left_url` and `right_url` are the pictures' names."""
    for split, of in pictures.items():
        rng = np.random.default_rng(key_of(seed, "annotations", "nlvr2", split))
        statements = statements_of(of, round(SENTENCES_A_PICTURE * len(of)), rng)
        records = [
            _record(split, number, place, statement, of)
            for number, statement in enumerate(statements)
            for place in range(PAIRS)
        ]
        write_lines(folder / FILES[split], records)


def statements_of(pictures: Sequence[Picture], number: int, rng: np.random.Generator) -> list[Statement]:
    """So many sentences in a random order, all different."""
    census = Census(pictures)
    said: dict[str, Statement] = {}
    for form, size in shared_out(number, dict.fromkeys(FORMS, 1)).items():
        wanted = len(said) + size
        for _ in range(TRIES + size):
            if len(said) == wanted:
                break
            statement = _statement(form, pictures, census, rng)
            if statement:
                said.setdefault(statement.sentence, statement)
    statements = list(said.values())
    return [statements[place] for place in rng.permutation(len(statements)).tolist()]


# ---------------------------------------------------------------------------------------------------------------------


def _record(split: str, number: int, place: int, statement: Statement, pictures: Sequence[Picture]) -> Record:
    left, right, label = statement.pairs[place]
    return {
        "identifier": f"{Path(FILES[split]).stem}-{number}-{place}-0",
        "sentence": statement.sentence,
        "label": str(label),
        "left_url": f"pictures/{split}/{pictures[left].image_id}.jpg",
        "right_url": f"pictures/{split}/{pictures[right].image_id}.jpg",
        "synset": statement.form,
        "query": " ".join(statement.kind.attributes.values()),
        "writer": "0",
        "validation": {"0": str(label)},
        **({"directory": number % 100} if split == "train" else {}),
    }


def _statement(form: str, pictures: Sequence[Picture], census: Census, rng: np.random.Generator) -> Statement | None:
    """A statement of a form about a kind that some picture has; None if the pictures make no four pairs for it."""
    counted = form in ("more", "total")
    found = kinds_in(pictures[int(rng.integers(len(pictures)))].scene, pick(rng, COUNTED if counted else NAMED))
    if not found:
        return None
    kind = pick(rng, list(found))
    try:
        sentence, pairs = FORMS[form](kind, census, rng)
    except _NoPictureError:
        return None
    if any(left == right for left, right, _ in pairs) or len(set(pairs)) < PAIRS:
        return None
    order = rng.permutation(PAIRS).tolist()
    return Statement(form=form, kind=kind, sentence=sentence, pairs=tuple(pairs[at] for at in order))


class _NoPictureError(Exception):
    """No picture of the split fits a statement."""


def _any(rng: np.random.Generator, places: Sequence[int]) -> int:
    if not places:
        raise _NoPictureError
    return pick(rng, places)


def _with(kind: Kind, number: int, census: Census, rng: np.random.Generator) -> int:
    """A picture that has just so many."""
    if number:
        return _any(rng, census.with_count(kind, number, number))
    place = census.without(kind, rng)
    return _any(rng, [] if place is None else [place])


def _four(kind: Kind, census: Census, rng: np.random.Generator, true: str, false: str) -> Pairs:
    """Pairs after patterns of two letters, "y" for a picture that has the kind: "yn ny": left only, right only."""

    def draw(letter: str) -> int:
        return _any(rng, census.with_count(kind, 1)) if letter == "y" else _with(kind, 0, census, rng)

    return [
        (draw(pattern[0]), draw(pattern[1]), label)
        for patterns, label in ((true, True), (false, False))
        for pattern in patterns.split()
    ]


def _naming(true: str, false: str, *phrasings: str) -> "Form":
    """A form that says where something of a kind is."""

    def form(kind: Kind, census: Census, rng: np.random.Generator) -> tuple[str, Pairs]:
        phrasing = pick(rng, phrasings)
        article = "" if "no {}" in phrasing else "a"
        return phrasing.format(kind.words(rng, article=article)), _four(kind, census, rng, true, false)

    return form


def _each(kind: Kind, census: Census, rng: np.random.Generator) -> tuple[str, Pairs]:
    """One thing on the left, another on the right; false pairs are true pairs turned round."""
    other = pick(rng, [one for one in census.counts if set(one.attributes) == set(kind.attributes)])
    first = [place for place in census.with_count(kind, 1) if place not in census.counts[other]]
    second = [place for place in census.with_count(other, 1) if place not in census.counts[kind]]
    pairs = [(_any(rng, first), _any(rng, second)) for _ in range(PAIRS)]
    phrasings = (
        "the left picture shows {} and the right picture shows {}",
        "{} is in the left picture and {} is in the right picture",
    )
    sentence = pick(rng, phrasings).format(kind.words(rng, article="a"), other.words(rng, article="a"))
    return sentence, [(*pair, True) for pair in pairs[:2]] + [(right, left, False) for left, right in pairs[2:]]


def _more(kind: Kind, census: Census, rng: np.random.Generator) -> tuple[str, Pairs]:
    """True of one picture and one that shows fewer; false of such a pair turned round, and of two that show as many."""
    few = pick(rng, (0, 1, 1, 2))
    more = census.with_count(kind, few + 1, few + 2)
    pairs = [(_any(rng, more), _with(kind, few, census, rng)) for _ in range(3)]
    as_many = _with(kind, census.counts[kind][pairs[0][0]], census, rng)
    here, there = pick(rng, (("left", "right"), ("right", "left")))
    phrasings = (
        "there are more {} in the {} picture than in the {} picture",
        "we see more {} in the {} picture than in the {} picture",
        "more {} are in the {} picture than in the {} picture",
    )
    sentence = pick(rng, phrasings).format(kind.words(rng, plural=True), here, there)
    found = [(*pairs[0], True), (*pairs[1], True), (*pairs[2][::-1], False), (as_many, pairs[0][0], False)]
    return sentence, [(one, other, label) if here == "left" else (other, one, label) for one, other, label in found]


def _total(kind: Kind, census: Census, rng: np.random.Generator) -> tuple[str, Pairs]:
    """How many there are in the two pictures together; false pairs have one less, or one more."""
    number = pick(rng, (2, 3, 3, 4))
    pairs = []
    for total in (number, number, number - 1, number + 1):
        here = pick(rng, range(total + 1))
        left, right = (_with(kind, count, census, rng) for count in (here, total - here))
        pairs.append((left, right, total == number))
    words = kind.words(rng, article=NUMBERS[number], plural=True)
    phrasings = ("there are {} in the two pictures in all", "in all the two pictures show {}")
    return pick(rng, phrasings).format(words), pairs


Form = Callable[[Kind, Census, np.random.Generator], tuple[str, Pairs]]

FORMS: dict[str, Form] = {
    "both": _naming("yy yy", "yn ny", "both pictures show {}", "there is {} in both pictures"),
    "exactly one": _naming(
        "yn ny", "yy nn", "exactly one picture shows {}", "there is {} in exactly one of the pictures"
    ),
    "at least one": _naming(
        "yn ny", "nn nn", "at least one picture shows {}", "there is {} in at least one of the pictures"
    ),
    "neither": _naming("nn nn", "yn ny", "neither picture shows {}", "there is no {} in either picture"),
    "left": _naming("yn yy", "ny nn", "the left picture shows {}", "there is {} in the left picture"),
    "right": _naming("ny yy", "yn nn", "the right picture shows {}", "there is {} in the right picture"),
    "each": _each,
    "more": _more,
    "total": _total,
}
