"""Sides and nearness with some slack, so that what is asked has one answer for whoever draws the line elsewhere."""

import numpy as np

from uniter_data.scenes.speaker import NEAR, middle
from uniter_data.scenes.world import Scene

__all__ = ["OPPOSITE", "SLACK", "may_be"]

OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
SLACK = 24.0  # pixels


def may_be(scene: Scene, one: int, other: int, relation: str) -> bool:
    """Whether somebody might say that `one` is in a relation to `other` that `relations` may not list.

    Args:
        scene: of the two things.
        one, other: things.
        relation: a key of `RELATIONS`.
    """
    (x1, y1), (x2, y2) = middle(scene, one), middle(scene, other)
    if relation == "near":
        return float(np.hypot(x1 - x2, y1 - y2)) < NEAR + SLACK
    beyond = {"left": x2 - x1, "right": x1 - x2, "above": y2 - y1, "below": y1 - y2}[relation]
    return beyond > 0
