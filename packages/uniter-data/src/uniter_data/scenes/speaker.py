"""Puts the things of a scene into words: noun phrases that fit one object only, places, relations.

A sentence is a list of words; a word knows the thing of the scene that it speaks of (the gold link), and its kind.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from uniter_data.scenes.lexicon import CURTAIN, NAMES, PLACES, RELATIONS
from uniter_data.scenes.world import CANVAS, Scene, pick

__all__ = [
    "ATTRIBUTE",
    "FUNCTION",
    "NEAR",
    "NOBODY",
    "NOUN",
    "SPOKEN_ORDER",
    "VOWELS",
    "Speaker",
    "Word",
    "middle",
    "relations",
    "say",
    "spoken",
    "text_of",
]

NOBODY = -1
FUNCTION, NOUN, ATTRIBUTE = 0, 1, 2

USUAL_NAME = 0.6  # how often the first of several synonyms is said
CLEARLY = 1.5  # how many times further along one axis than along the other
NEAR = 48.0  # pixels between the middles
SPOKEN_ORDER = ("size", "texture", "colour", "shape")
VOWELS = "aeiou"


class Word(NamedTuple):
    """One word: its text, the thing of the scene it speaks of (`NOBODY`: none, or several), and its kind."""

    text: str
    thing: int = NOBODY
    kind: int = FUNCTION


def say(text: str) -> list[Word]:
    """Function words.

    >>> say("to the")
    [Word(text='to', thing=-1, kind=0), Word(text='the', thing=-1, kind=0)]
    """
    return [Word(word) for word in text.split()]


def text_of(sentence: Sequence[Word]) -> str:
    """The sentence as a string, one blank between words."""
    return " ".join(word.text for word in sentence)


def spoken(rng: np.random.Generator, attribute: str, value: str) -> str:
    """A word for an attribute's value, more often the usual one."""
    first, *others = NAMES[attribute][value]
    return first if not others or rng.random() < USUAL_NAME else pick(rng, others)


class Speaker:
    """Speaks of one scene; every choice comes from `rng`."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.scene = scene
        self.rng = rng

    def pick(self, *options: str) -> str:
        """One of the options, each as likely."""
        return pick(self.rng, options)

    def some(self, number: int) -> list[int]:
        """Different objects, in a random order; all when there are fewer than `number`."""
        order: list[int] = self.rng.permutation(len(self.scene.objects)).tolist()
        return order[:number]

    def name(self, attribute: str, value: str) -> str:
        """A word for an attribute's value, more often the usual one."""
        return spoken(self.rng, attribute, value)

    def noun_phrase(
        self, number: int, *, article: str = "", colour: float = 0.8, texture: float = 0.3, size: float = 0.2
    ) -> list[Word]:
        """Words that fit the object and no other of its scene.

        Args:
            number: of the object.
            article: "the", "a" (said "an" where it must be) or none.
            colour, texture, size: how often each is said although the phrase would be unique without it.
        """
        said = {"shape"}
        for attribute, often in (("colour", colour), ("texture", texture), ("size", size)):
            if self.rng.random() < often and not _goes_without_saying(getattr(self.scene.objects[number], attribute)):
                said.add(attribute)
        said |= self._distinguishing(number, said)
        words = [
            Word(
                self.name(attribute, getattr(self.scene.objects[number], attribute)),
                number,
                NOUN if attribute == "shape" else ATTRIBUTE,
            )
            for attribute in SPOKEN_ORDER
            if attribute in said
        ]
        return [*_article(article, words[0].text), *words]

    def curtain_phrase(self, *, article: str = "the") -> list[Word]:
        """The curtain, grey or not."""
        number = len(self.scene.objects)
        grey = [Word("grey", number, ATTRIBUTE)] if self.rng.random() < 0.5 else []
        name = CURTAIN[int(self.rng.random() > USUAL_NAME)]
        return [*say(article), *grey, Word(name, number, NOUN)]

    def place(self, number: int) -> list[Word]:
        """Where in the picture a thing is, by thirds."""
        x, y = middle(self.scene, number)
        row, column = (min(2, int(3 * at / CANVAS)) for at in (y, x))
        return say(pick(self.rng, PLACES[row, column]))

    def relation(self, one: int, other: int) -> list[Word]:
        """Where `one` is as seen from `other`."""
        return say(pick(self.rng, RELATIONS[pick(self.rng, relations(self.scene, one, other))]))

    def _distinguishing(self, number: int, said: set[str]) -> set[str]:
        """What more has to be said until only this object is meant: what people look at first comes first."""
        known = {name: getattr(self.scene.objects[number], name) for name in said}
        more: set[str] = set()
        meant = self.scene.matching(**known)
        for attribute in ("colour", "texture", "size"):
            if len(meant) > 1 and attribute not in said:
                narrowed = self.scene.matching(**known, **{attribute: getattr(self.scene.objects[number], attribute)})
                if len(narrowed) < len(meant):
                    meant = narrowed
                    known[attribute] = getattr(self.scene.objects[number], attribute)
                    more.add(attribute)
        return more


def relations(scene: Scene, one: int, other: int) -> tuple[str, ...]:
    """The keys of `RELATIONS` that hold: the side, on a diagonal both sides, on which `one` is of `other`; nearness."""
    (x1, y1), (x2, y2) = middle(scene, one), middle(scene, other)
    dx, dy = x1 - x2, y1 - y2
    across, along = ("left" if dx < 0 else "right"), ("above" if dy < 0 else "below")
    if abs(dx) > CLEARLY * abs(dy):
        sides: tuple[str, ...] = (across,)
    elif abs(dy) > CLEARLY * abs(dx):
        sides = (along,)
    else:
        sides = (across, along)
    return (*sides, "near") if math.hypot(dx, dy) < NEAR else sides


def middle(scene: Scene, number: int) -> tuple[float, float]:
    """Of a thing's box, in pixels."""
    x1, y1, x2, y2 = scene.boxes[number]
    return (x1 + x2) / 2, (y1 + y2) / 2


# ---------------------------------------------------------------------------------------------------------------------


def _goes_without_saying(value: str) -> bool:
    """Nobody says "plain" or "medium" unless it makes a difference."""
    return value in ("plain", "medium")


def _article(article: str, following: str) -> list[Word]:
    return say("an" if article == "a" and following[0] in VOWELS else article)
