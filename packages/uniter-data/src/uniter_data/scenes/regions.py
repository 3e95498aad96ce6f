"""The regions that a detector might have found in a scene: its things, a little off, and now and then no thing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniter_data.scenes.world import CANVAS, Box, Scene, overlap

__all__ = ["SPURIOUS", "Regions", "find_regions"]

SPURIOUS = -1

JITTER = 0.05  # of a box's side
MOST_SPURIOUS = 2
SPURIOUS_SIDES = (16.0, 44.0)  # pixels
SPURIOUS_OVERLAP = 0.2  # most IoU with a thing


@dataclass(frozen=True, kw_only=True)
class Regions:
    """The regions of one picture, in the order of its store.

    Attributes:
        boxes: (R, 4) float32 pixels, x1, y1, x2, y2.
        things: the scene's thing in each region, or `SPURIOUS`; each thing is in exactly one.
        classes: (R,) int64 rows of `CLASS_NAMES`.
    """

    boxes: NDArray[np.float32]
    things: tuple[int, ...]
    classes: NDArray[np.int64]

    def row_of(self, thing: int) -> int:
        """The region of a thing; -1 for none."""
        return self.things.index(thing) if thing >= 0 else -1


def find_regions(scene: Scene, rng: np.random.Generator) -> Regions:
    """The boxes of all things, jittered, and up to two spurious ones, shuffled."""
    boxes = [_jittered(box, rng) for box in scene.boxes]
    things = list(range(len(boxes)))
    for _ in range(int(rng.integers(MOST_SPURIOUS + 1))):
        boxes.append(_spurious(scene, rng))
        things.append(SPURIOUS)
    order = rng.permutation(len(boxes)).tolist()
    classes = (*scene.classes, *[0] * (len(boxes) - len(scene.boxes)))
    return Regions(
        boxes=np.array([boxes[at] for at in order], dtype=np.float32),
        things=tuple(things[at] for at in order),
        classes=np.array([classes[at] for at in order], dtype=np.int64),
    )


# ---------------------------------------------------------------------------------------------------------------------


def _jittered(box: Box, rng: np.random.Generator) -> Box:
    x1, y1, x2, y2 = box
    moves = rng.uniform(-JITTER, JITTER, size=4) * np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
    a, b, c, d = np.clip(np.array(box) + moves, 0, CANVAS).tolist()
    return a, b, c, d


def _spurious(scene: Scene, rng: np.random.Generator) -> Box:
    """A box that holds no thing by any measure, though it may cut one."""
    while True:
        width, height = rng.uniform(*SPURIOUS_SIDES, size=2).tolist()
        x, y = rng.uniform(0, (CANVAS - width, CANVAS - height)).tolist()
        box = (x, y, x + width, y + height)
        if all(overlap(box, other) <= SPURIOUS_OVERLAP for other in scene.boxes):
            return box
