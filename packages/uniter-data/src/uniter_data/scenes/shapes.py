"""The twelve shapes as outlines: polygons in a unit frame, and where they lie once placed in a picture.

x grows to the right, y downwards; an outline's longer side is 1 and its centre 0. P points of a polygon.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OUTLINES", "Outline", "Polygon", "bounds", "placed"]

Polygon = NDArray[Any]  # (P, 2) float64


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A shape: what is filled, what is cut out again, and what is drawn darker on top (a door, an eye)."""

    solid: tuple[Polygon, ...]
    holes: tuple[Polygon, ...] = ()
    ink: tuple[Polygon, ...] = ()


def placed(polygon: Polygon, *, centre: tuple[float, float], extent: float, angle: float) -> Polygon:
    """The polygon turned by `angle` radians, `extent` pixels long, around `centre`.

    >>> placed(np.array([[0.5, 0.0]]), centre=(10, 10), extent=4, angle=math.pi / 2).round(6).tolist()
    [[10.0, 12.0]]
    """
    cos, sin = math.cos(angle), math.sin(angle)
    turned: Polygon = polygon @ (extent * np.array([[cos, sin], [-sin, cos]]))
    turned += np.asarray(centre)
    return turned


def bounds(outline: Outline, *, extent: float, angle: float) -> tuple[float, float, float, float]:
    """The tight box (x1, y1, x2, y2) of the outline placed around (0, 0)."""
    points = placed(np.concatenate(outline.solid), centre=(0.0, 0.0), extent=extent, angle=angle)
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


# ---------------------------------------------------------------------------------------------------------------------


def _polygon(*points: tuple[float, float]) -> Polygon:
    return np.array(points, dtype=np.float64)


def _ellipse(x: float, y: float, rx: float, ry: float, *, start: float = 0.0, end: float = 360.0) -> Polygon:
    turn = np.radians(np.linspace(start, end, 40, endpoint=end - start < 360))
    return np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], axis=1)


def _rectangle(x1: float, y1: float, x2: float, y2: float) -> Polygon:
    return _polygon((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def _star() -> Outline:
    turn = np.radians(np.arange(10) * 36 - 90)
    radius = np.where(np.arange(10) % 2, 0.23, 0.5)
    return Outline(solid=(np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1),))


def _heart() -> Outline:
    t = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return Outline(solid=(np.stack([x, y], axis=1),))


def _cross() -> Outline:
    a = 0.17
    return Outline(solid=(_rectangle(-a, -0.5, a, 0.5), _rectangle(-0.5, -a, 0.5, a)))


def _moon() -> Outline:
    outer = _ellipse(0.0, 0.0, 0.5, 0.5, start=50, end=310)
    inner = _ellipse(0.27, 0.0, 0.39, 0.39, start=283, end=77)
    return Outline(solid=(np.concatenate([outer, inner]),))


def _cone() -> Outline:
    return Outline(solid=(np.concatenate([_polygon((0.0, -0.5)), _ellipse(0.0, 0.34, 0.42, 0.16, end=180)]),))


def _kite() -> Outline:
    body = _polygon((0.0, -0.5), (0.32, -0.12), (0.0, 0.5), (-0.32, -0.12))
    struts = (_rectangle(-0.018, -0.48, 0.018, 0.47), _rectangle(-0.31, -0.138, 0.31, -0.102))
    return Outline(solid=(body,), ink=struts)


def _house() -> Outline:
    walls = _rectangle(-0.36, -0.08, 0.36, 0.5)
    roof = _polygon((-0.5, -0.06), (0.0, -0.5), (0.5, -0.06))
    return Outline(solid=(walls, roof), ink=(_rectangle(-0.09, 0.2, 0.09, 0.5),))


def _tree() -> Outline:
    trunk = _rectangle(-0.07, 0.28, 0.07, 0.5)
    tiers = tuple(
        _polygon((0.0, top), (half, top + height), (-half, top + height))
        for top, half, height in ((-0.5, 0.22, 0.3), (-0.33, 0.31, 0.36), (-0.13, 0.4, 0.44))
    )
    return Outline(solid=(trunk, *tiers), ink=(trunk,))


def _fish() -> Outline:
    tail = _polygon((0.2, 0.0), (0.5, -0.24), (0.43, 0.0), (0.5, 0.24))
    fin = _polygon((-0.2, -0.24), (0.1, -0.42), (0.13, -0.18))
    body = _ellipse(-0.12, 0.0, 0.38, 0.28)
    return Outline(solid=(body, tail, fin), ink=(_ellipse(-0.32, -0.06, 0.04, 0.04),))


def _centred(outline: Outline) -> Outline:
    """The outline moved and scaled so that its box is centred on 0 and its longer side is 1."""
    points = np.concatenate(outline.solid)
    low, high = points.min(axis=0), points.max(axis=0)
    middle, length = (low + high) / 2, float((high - low).max())

    def move(polygons: tuple[Polygon, ...]) -> tuple[Polygon, ...]:
        return tuple((polygon - middle) / length for polygon in polygons)

    return Outline(solid=move(outline.solid), holes=move(outline.holes), ink=move(outline.ink))


_BUILDERS: dict[str, Callable[[], Outline]] = {
    "ball": lambda: Outline(solid=(_ellipse(0.0, 0.0, 0.5, 0.5),)),
    "box": lambda: Outline(solid=(_rectangle(-0.5, -0.5, 0.5, 0.5),)),
    "cone": _cone,
    "star": _star,
    "ring": lambda: Outline(solid=(_ellipse(0.0, 0.0, 0.5, 0.5),), holes=(_ellipse(0.0, 0.0, 0.25, 0.25),)),
    "cross": _cross,
    "heart": _heart,
    "moon": _moon,
    "kite": _kite,
    "house": _house,
    "tree": _tree,
    "fish": _fish,
}

OUTLINES: dict[str, Outline] = {shape: _centred(build()) for shape, build in _BUILDERS.items()}
