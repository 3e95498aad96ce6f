"""Kinds of objects: some attributes, the objects of a scene that have them, and words for them.

Questions and statements are asked about kinds, so that the same question can be put to any picture.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from uniter_data.scenes.lexicon import PLURALS
from uniter_data.scenes.speaker import SPOKEN_ORDER, VOWELS, Speaker, spoken, text_of
from uniter_data.scenes.world import ATTRIBUTES, COLOURS, SHAPES, TEXTURES, Scene, SceneObject, pick

__all__ = ["NAMED", "VALUES", "Kind", "counted", "descriptions", "kind_of", "kinds_in", "kinds_with", "named"]

# attributes by which things are named, the likelier the more often they stand here
NAMED = (("colour", "shape"), ("colour", "shape"), ("shape",), ("texture", "shape"), ("colour", "texture"))
ABSENT = 40  # kinds that are tried

VALUES = {"shape": SHAPES, "colour": tuple(COLOURS), "texture": TEXTURES[1:]}  # what nobody says is not asked for


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What some objects have in common; an empty attribute says nothing.

    >>> Kind(colour="red", shape="ball").words(np.random.default_rng(0), article="a", plural=False)
    'a red sphere'
    """

    shape: str = ""
    colour: str = ""
    texture: str = ""
    size: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """Those that say something."""
        return {name: value for name in ATTRIBUTES if (value := getattr(self, name))}

    def objects(self, scene: Scene) -> tuple[int, ...]:
        """The numbers of a scene's objects of this kind."""
        return scene.matching(**self.attributes)

    def words(self, rng: np.random.Generator, *, article: str = "", plural: bool = False) -> str:
        """A noun phrase; "object" or "thing" where the kind has no shape.

        Args:
            rng: chooses among synonyms.
            article: "the", "a" (said "an" where it must be), any other word such as "two", or none.
            plural: for several.
        """
        words = [spoken(rng, name, getattr(self, name)) for name in SPOKEN_ORDER if name != "shape" and self.has(name)]
        words.append(self._noun(rng, plural=plural))
        if article:
            words.insert(0, "an" if article == "a" and words[0][0] in VOWELS else article)
        return " ".join(words)

    def has(self, attribute: str) -> bool:
        """Whether the attribute says something."""
        return bool(getattr(self, attribute))

    def _noun(self, rng: np.random.Generator, *, plural: bool) -> str:
        if not self.shape:
            return pick(rng, ("objects", "things") if plural else ("object", "thing"))
        return pick(rng, PLURALS[self.shape]) if plural else spoken(rng, "shape", self.shape)


def kind_of(thing: SceneObject, attributes: Sequence[str]) -> Kind:
    """What an object is in some of its attributes."""
    return Kind(**{name: getattr(thing, name) for name in attributes})


def kinds_in(scene: Scene, attributes: Sequence[str]) -> Counter[Kind]:
    """How many objects of each kind there are, where kinds say the given attributes; nobody says "plain"."""
    return Counter(
        kind_of(thing, attributes) for thing in scene.objects if not ("texture" in attributes and _is_plain(thing))
    )


def kinds_with(attributes: Sequence[str]) -> Iterator[Kind]:
    """Every kind that says just the given attributes.

    >>> len(list(kinds_with(["colour", "shape"])))
    120
    """
    kinds: list[dict[str, str]] = [{}]
    for name in attributes:
        kinds = [{**kind, name: value} for kind in kinds for value in VALUES[name]]
    return (Kind(**kind) for kind in kinds)


def counted(scene: Scene, attributes: Sequence[str], rng: np.random.Generator) -> list[tuple[Kind, int]]:
    """Kinds with the number of their objects in a scene: all that are present, and some of those that are not."""
    present = kinds_in(scene, attributes)
    absent = [kind for kind in kinds_with(attributes) if kind not in present]
    return [*present.items(), *((absent[at], 0) for at in rng.permutation(len(absent))[:ABSENT].tolist())]


def descriptions(scene: Scene, number: int, *, without: str = "") -> list[Kind]:
    """The shortest ways to say which object is meant: kinds of it alone, of which no word can be spared.

    Args:
        scene: whose object it is.
        number: of the object.
        without: an attribute that must not be said.

    Returns:
        None, if it takes the forbidden attribute or the word "medium". Size is said where nothing else tells.
    """
    thing = scene.objects[number]
    alike = [
        {name for name in ATTRIBUTES if getattr(other, name) == getattr(thing, name)}
        for other in scene.objects
        if other is not thing
    ]
    allowed = [name for name in ATTRIBUTES if name != without and not (name == "size" and thing.size == "medium")]
    found: list[set[str]] = []
    for length in range(1, len(allowed) + 1):
        for said in map(set, combinations(allowed, length)):
            unique = not any(said <= same for same in alike)
            if unique and not any(shorter <= said for shorter in found):
                found.append(said)
    short = [names for names in found if "size" not in names] or found
    return [kind_of(thing, [name for name in ATTRIBUTES if name in names]) for names in short]


def named(scene: Scene, thing: int, rng: np.random.Generator) -> str:
    """Words for one thing, an object or the curtain; empty if only "medium" could tell it apart."""
    if thing == len(scene.objects):
        return text_of(Speaker(scene, rng).curtain_phrase())
    ways = descriptions(scene, thing)
    return pick(rng, ways).words(rng, article="the") if ways else ""


def _is_plain(thing: SceneObject) -> bool:
    return thing.texture == "plain"
