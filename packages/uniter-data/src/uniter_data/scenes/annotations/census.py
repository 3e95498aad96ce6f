"""Which pictures have how many objects of a kind: finds pictures that make a statement true, or nearly so."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from uniter_data.scenes.annotations.kinds import Kind, kinds_in
from uniter_data.scenes.annotations.pictures import Picture
from uniter_data.scenes.world import pick

__all__ = ["Census"]

CLASSES = (
    ("shape",), ("colour",), ("texture",), ("colour", "shape"), ("texture", "shape"), ("colour", "texture"),
)  # fmt: skip
NEARLY = 0.7  # how often a picture without a kind has something of its shape, colour or texture


class Census:
    """Of the pictures of one split, known by their place in it."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.size = len(pictures)
        self.counts: defaultdict[Kind, Counter[int]] = defaultdict(Counter)
        for place, picture in enumerate(pictures):
            for attributes in CLASSES:
                for kind, number in kinds_in(picture.scene, attributes).items():
                    self.counts[kind][place] = number

    def with_count(self, kind: Kind, least: int, most: int | None = None) -> list[int]:
        """The pictures that have at least one object of the kind, and so many."""
        found = self.counts.get(kind, Counter())
        return [place for place, number in found.items() if least <= number and (most is None or number <= most)]

    def without(self, kind: Kind, rng: np.random.Generator) -> int | None:
        """A picture that has none, mostly one that has something like it; None if every picture has one."""
        having = self.counts.get(kind, Counter())
        if len(having) == self.size:
            return None
        if len(kind.attributes) > 1 and rng.random() < NEARLY:
            name, value = pick(rng, list(kind.attributes.items()))
            near = [place for place in self.counts.get(Kind(**{name: value}), ()) if place not in having]
            if near:
                return pick(rng, near)
        while (place := int(rng.integers(self.size))) in having:
            pass
        return place
