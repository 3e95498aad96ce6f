"""The world of scenes: objects with four attributes, laid out without overlap, and a curtain in some pictures.

A scene is plain data, a pure function of its generator: sentences, regions and pictures are all read off it.
Positions are pixels of a 160 x 160 picture, x to the right and y downwards; boxes are (x1, y1, x2, y2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from uniter_data.scenes.shapes import OUTLINES, bounds

__all__ = [
    "ATTRIBUTES",
    "CANVAS",
    "CLASS_NAMES",
    "COLOURS",
    "COUNTS",
    "SHAPES",
    "SIZES_IN_PIXELS",
    "TEXTURES",
    "Box",
    "Scene",
    "SceneObject",
    "overlap",
    "pick",
    "sample_scene",
]

CANVAS = 160

SHAPES = tuple(OUTLINES)
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "green": (56, 158, 72),
    "blue": (45, 100, 210),
    "yellow": (248, 208, 52),
    "purple": (134, 66, 176),
    "orange": (243, 133, 34),
    "pink": (246, 143, 183),
    "brown": (130, 80, 45),
    "black": (38, 38, 44),
    "turquoise": (45, 196, 190),
}
TEXTURES = ("plain", "striped", "dotted", "checkered")
SIZES_IN_PIXELS: dict[str, float] = {"small": 18.0, "medium": 27.0, "large": 39.0}
ATTRIBUTES = ("shape", "colour", "texture", "size")

# Class 0 is the background, as in the released region labels.
CLASS_NAMES = ("background", *SHAPES, "curtain")

COUNTS: dict[str, tuple[int, ...]] = {"in-domain": (3, 3, 3, 4, 4, 4, 5, 5, 6, 7, 8, 10), "snaps": (1, 2, 3)}
REPEAT_SHAPE = 0.30  # how often a new object takes the shape of an older one: the distractors
REPEAT_COLOUR = 0.25
PLAIN = 0.5
CURTAIN = 0.4
TILT = math.radians(12)
GAP = 3.0  # pixels between objects, and to the picture's edge
TRIES = 60

Box = tuple[float, float, float, float]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """One object: its four attributes and where it is.

    Attributes:
        shape, colour, texture, size: names, of `SHAPES`, `COLOURS`, `TEXTURES`, `SIZES_IN_PIXELS`.
        centre: of its unturned outline.
        extent: pixels of the outline's longer side.
        angle: radians it is turned by.
        tint: its colour as drawn, (3,) 0 to 255.
        box: tight.
    """

    shape: str
    colour: str
    texture: str
    size: str
    centre: tuple[float, float]
    extent: float
    angle: float
    tint: tuple[float, float, float]
    box: Box


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture's content. *Things* are numbered: the objects in order, then the curtain if there is one.

    Attributes:
        objects: no two agree in all four attributes.
        curtain: the box it hides, or None. No object reaches into it.
        backdrop: the colours of the background's two ends, 0 to 255, and the direction of its gradient in radians.
        noise: seeds the picture's noise.
    """

    objects: tuple[SceneObject, ...]
    curtain: Box | None
    backdrop: tuple[tuple[float, float, float], tuple[float, float, float], float]
    noise: int

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The box of every thing."""
        return (*(o.box for o in self.objects), *((self.curtain,) if self.curtain else ()))

    @property
    def classes(self) -> tuple[int, ...]:
        """The row in `CLASS_NAMES` of every thing."""
        names = [o.shape for o in self.objects] + (["curtain"] if self.curtain else [])
        return tuple(CLASS_NAMES.index(name) for name in names)

    def matching(self, **attributes: str) -> tuple[int, ...]:
        """The objects that have all the given attributes: `scene.matching(colour="red", size="small")`."""
        return tuple(
            number
            for number, thing in enumerate(self.objects)
            if all(getattr(thing, name) == value for name, value in attributes.items())
        )


def sample_scene(rng: np.random.Generator, *, counts: Sequence[int]) -> Scene:
    """A scene with a number of objects from `counts`; nothing overlaps, and no object equals another."""
    number = pick(rng, counts)
    while True:
        kinds = _attributes(rng, number)
        curtain = _curtain(rng) if rng.random() < CURTAIN else None
        objects = _layout(rng, kinds, curtain)
        if objects:
            return Scene(objects=objects, curtain=curtain, backdrop=_backdrop(rng), noise=int(rng.integers(2**62)))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union.

    >>> overlap((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    union = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other)) - width * height
    return width * height / union


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of `options`, each as likely."""
    return options[int(rng.integers(len(options)))]


# ---------------------------------------------------------------------------------------------------------------------


def _attributes(rng: np.random.Generator, number: int) -> list[tuple[str, str, str, str]]:
    """(shape, colour, texture, size) of each object, no two alike."""
    found: list[tuple[str, str, str, str]] = []
    while len(found) < number:
        shape = pick(rng, found)[0] if found and rng.random() < REPEAT_SHAPE else pick(rng, SHAPES)
        colour = pick(rng, found)[1] if found and rng.random() < REPEAT_COLOUR else pick(rng, tuple(COLOURS))
        texture = "plain" if rng.random() < PLAIN else pick(rng, TEXTURES[1:])
        size = pick(rng, tuple(SIZES_IN_PIXELS))
        if (shape, colour, texture, size) not in found:
            found.append((shape, colour, texture, size))
    return found


def _curtain(rng: np.random.Generator) -> Box:
    """A curtain that hangs from the picture's upper edge."""
    width, height = rng.uniform(34, 54), rng.uniform(64, 112)
    x = rng.uniform(0, CANVAS - width)
    return float(x), 0.0, float(x + width), float(height)


def _layout(
    rng: np.random.Generator, kinds: list[tuple[str, str, str, str]], curtain: Box | None
) -> tuple[SceneObject, ...]:
    """The objects in places of their own; empty when one found no room. Large ones choose first, as they fit worst."""
    taken: list[Box] = [curtain] if curtain else []
    objects: dict[int, SceneObject] = {}
    for number in sorted(range(len(kinds)), key=lambda n: -SIZES_IN_PIXELS[kinds[n][3]]):
        shape, colour, texture, size = kinds[number]
        extent = SIZES_IN_PIXELS[size] * float(rng.uniform(0.94, 1.06))
        angle = float(rng.uniform(-TILT, TILT))
        around = bounds(OUTLINES[shape], extent=extent, angle=angle)
        spot = _spot(rng, around, taken)
        if spot is None:
            return ()
        box = (around[0] + spot[0], around[1] + spot[1], around[2] + spot[0], around[3] + spot[1])
        taken.append(box)
        tint = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 9, size=3), 0, 255)
        objects[number] = SceneObject(
            shape=shape, colour=colour, texture=texture, size=size, centre=spot, extent=extent, angle=angle,
            tint=(float(tint[0]), float(tint[1]), float(tint[2])), box=box,
        )  # fmt: skip
    return tuple(objects[number] for number in range(len(kinds)))


def _spot(rng: np.random.Generator, around: Box, taken: list[Box]) -> tuple[float, float] | None:
    """A centre where `around`, moved there, keeps its distance from everything taken."""
    x1, y1, x2, y2 = around
    for x, y in rng.uniform((GAP - x1, GAP - y1), (CANVAS - GAP - x2, CANVAS - GAP - y2), size=(TRIES, 2)).tolist():
        if all(
            x + x1 - GAP >= other[2] or x + x2 + GAP <= other[0] or y + y1 - GAP >= other[3] or y + y2 + GAP <= other[1]
            for other in taken
        ):
            return x, y
    return None


def _backdrop(rng: np.random.Generator) -> tuple[tuple[float, float, float], tuple[float, float, float], float]:
    """Two light, muted colours of neighbouring hue."""
    ends = []
    hue = rng.uniform(0, 2 * math.pi)
    for level in (rng.uniform(196, 220), rng.uniform(222, 242)):
        turn = hue + np.array([0.0, 2.0, 4.0]) * math.pi / 3
        red, green, blue = (level + 14 * np.cos(turn)).tolist()
        ends.append((red, green, blue))
        hue += rng.uniform(-0.9, 0.9)
    return ends[0], ends[1], float(rng.uniform(0, 2 * math.pi))
