"""Draws a scene: a soft gradient with a little grain, lit objects that cast a shadow, and a curtain in folds.

Outlines are filled at `OVERSAMPLING` times their size and reduced; textures are smooth functions of the object's own
frame, so they need no oversampling. H rows and W columns of a patch of the picture; colours are float32 from 0 to 255.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from uniter_data.scenes.shapes import OUTLINES, Polygon, placed
from uniter_data.scenes.world import CANVAS, Box, Scene, SceneObject

__all__ = ["draw_scene"]

OVERSAMPLING = 4
GRAIN = 3.0
RIM = 0.04  # of the extent: how far the light falls off at an edge
EDGE = 1.2  # pixels over which a texture changes
SHADOW = 5  # pixels around an object that its shadow may darken
STRIPES = 4  # across an object
CLOTH = 150.0  # the curtain's mean grey
CLOTH_TINT = np.array([0, 1, 5], dtype=np.float32)
LUMINANCE = np.array([0.3, 0.59, 0.11], dtype=np.float32)
FOLD = 9.0  # pixels from fold to fold

Plane = NDArray[Any]  # (H, W) float32
Colour = NDArray[Any]  # (3,) float32


def draw_scene(scene: Scene) -> Image.Image:
    """The picture, RGB, 160 x 160."""
    canvas = _background(scene)
    if scene.curtain:
        _draw_curtain(canvas, scene.curtain)
    for thing in scene.objects:
        _draw_object(canvas, thing)
    return Image.fromarray(np.clip(canvas + 0.5, 0, 255).astype(np.uint8))


# ---------------------------------------------------------------------------------------------------------------------


def _background(scene: Scene) -> NDArray[np.float32]:
    """(H, W, 3)"""
    start, end, turn = scene.backdrop
    y, x = _grid(0, 0, CANVAS, CANVAS)
    along = 0.5 + ((x / CANVAS - 0.5) * math.cos(turn) + (y / CANVAS - 0.5) * math.sin(turn)) / math.sqrt(2)
    grain = GRAIN * np.random.default_rng(scene.noise).standard_normal((CANVAS, CANVAS), dtype=np.float32)
    low, high = _colour(start), _colour(end)
    canvas: NDArray[np.float32] = along[..., None] * (high - low) + low + grain[..., None]
    return canvas


def _draw_object(canvas: NDArray[np.float32], thing: SceneObject) -> None:
    x1, y1 = (max(0, math.floor(edge) - SHADOW) for edge in thing.box[:2])
    x2, y2 = (min(CANVAS, math.ceil(edge) + SHADOW) for edge in thing.box[2:])
    outline = OUTLINES[thing.shape]

    def fill(filled: Iterable[Polygon], cut: Iterable[Polygon] = ()) -> Image.Image:
        return _coverage(thing, filled, cut, box=(x1, y1, x2, y2))

    shape = fill(outline.solid, outline.holes)
    cover = _plane(shape)
    soft = _plane(shape.filter(ImageFilter.GaussianBlur(RIM * thing.extent)))
    y, x = _grid(x1, y1, x2, y2)
    u, v = _own_frame(thing, x, y)
    light = 1.04 - 0.16 * (u + v) - 0.34 * (1 - soft) ** 2  # from the upper left; darker towards the rim
    if outline.ink:
        light *= 1 - 0.55 * _plane(fill(outline.ink))
    ground = _colour(thing.tint)
    inside = np.clip(4 * soft - 2.2, 0, 1)  # the texture stops short of the rim, which keeps the outline in one piece
    pattern = inside * TEXTURE_OF[thing.texture](u, v, EDGE / thing.extent)
    surface = ground + pattern[..., None] * (_accent(ground) - ground)

    patch = canvas[y1:y2, x1:x2]
    patch *= 1 - 0.3 * _shifted(soft, round(0.06 * thing.extent))[..., None]
    patch += cover[..., None] * (np.minimum(surface * light[..., None], 255) - patch)


def _coverage(
    thing: SceneObject, filled: Iterable[Polygon], cut: Iterable[Polygon], *, box: tuple[int, int, int, int]
) -> Image.Image:
    """How much of each pixel of the patch `box` the polygons cover, 0 to 255."""
    x1, y1, x2, y2 = box
    large = Image.new("L", ((x2 - x1) * OVERSAMPLING, (y2 - y1) * OVERSAMPLING))
    pen = ImageDraw.Draw(large)
    for polygons, value in ((filled, 255), (cut, 0)):
        for polygon in polygons:
            points = placed(polygon, centre=thing.centre, extent=thing.extent, angle=thing.angle)
            pen.polygon(((points - (x1, y1)) * OVERSAMPLING - 0.5).ravel().tolist(), fill=value)
    return large.reduce(OVERSAMPLING)


def _accent(ground: Colour) -> Colour:
    """The second colour of a texture: nearly white; on light colours a deeper tone of their own."""
    if float(ground @ LUMINANCE) > 178:
        return ground * np.float32(0.62)
    return ground + np.float32(0.78) * (255 - ground)


def _striped(u: Plane, v: Plane, blur: float) -> Plane:
    rate = 2 * math.pi * STRIPES
    return _edge(np.sin(rate * (0.8 * u + 0.6 * v)), rate * blur)


def _dotted(u: Plane, v: Plane, blur: float) -> Plane:
    period = 0.27
    row = np.round(v / period)
    shift = 0.5 * (row % 2)
    du = u / period - shift - np.round(u / period - shift)
    dv = v / period - row
    return _edge(0.31 - np.sqrt(du * du + dv * dv), blur / period)


def _checkered(u: Plane, v: Plane, blur: float) -> Plane:
    rate = math.pi / 0.21
    return _edge(np.sin(rate * (u + 0.1)) * np.sin(rate * (v + 0.1)), rate * blur)


def _edge(height: Plane, blur: float) -> Plane:
    """0 where `height` is below zero, 1 above, over a ramp of `blur`."""
    return np.clip(0.5 + height / blur, 0, 1)


TEXTURE_OF: dict[str, Callable[[Plane, Plane, float], Plane]] = {
    "plain": lambda u, v, blur: np.zeros_like(u),
    "striped": _striped,
    "dotted": _dotted,
    "checkered": _checkered,
}


def _draw_curtain(canvas: NDArray[np.float32], box: Box) -> None:
    """Grey cloth in folds with a scalloped hem, on a rod."""
    x1, x2, bottom = round(box[0]), round(box[2]), box[3]
    y, x = _grid(x1, 0, x2, CANVAS)
    fold = 2 * math.pi * (x - x1) / FOLD
    cloth = CLOTH + 26 * np.sin(fold + 0.25 * np.sin(y / 17)) + 10 * np.sin(0.5 * fold + 1) - 14 * (y / CANVAS)
    cloth = np.where(y < 5, 92 + 40 * np.sin(math.pi * y / 5), cloth)
    below = y - (bottom - 1.5 + 1.5 * np.sin(fold))
    patch = canvas[:, x1:x2]
    patch *= 1 - (0.25 * np.clip(1 - below / 5, 0, 1))[..., None]
    patch += np.clip(0.5 - below, 0, 1)[..., None] * (cloth[..., None] + CLOTH_TINT - patch)


def _own_frame(thing: SceneObject, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """Picture coordinates as those of the object's outline."""
    dx, dy = x - thing.centre[0], y - thing.centre[1]
    cos, sin = math.cos(thing.angle) / thing.extent, math.sin(thing.angle) / thing.extent
    return dx * cos + dy * sin, dy * cos - dx * sin


def _grid(x1: int, y1: int, x2: int, y2: int) -> tuple[Plane, Plane]:
    """(y, x) of the pixels' middles; each (H, W) or broadcast to it."""
    y = np.arange(y1, y2, dtype=np.float32)[:, None] + np.float32(0.5)
    x = np.arange(x1, x2, dtype=np.float32)[None, :] + np.float32(0.5)
    return y, x


def _colour(values: tuple[float, float, float]) -> Colour:
    return np.array(values, dtype=np.float32)


def _plane(image: Image.Image) -> Plane:
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def _shifted(plane: Plane, by: int) -> Plane:
    moved = np.zeros_like(plane)
    moved[by:, by:] = plane[:-by, :-by]
    return moved
