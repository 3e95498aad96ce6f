"""Pictures: an object is drawn where its box is, in its colour, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from uniter_data.scenes.drawing import SHADOW, TEXTURE_OF, draw_scene
from uniter_data.scenes.world import CANVAS, COUNTS, SHAPES, TEXTURES, Scene, SceneObject, sample_scene


def pixels(scene: Scene) -> np.ndarray:
    return np.asarray(draw_scene(scene), dtype=np.float64)


def scenes(number: int) -> list[Scene]:
    return [sample_scene(np.random.default_rng(seed), counts=COUNTS["in-domain"]) for seed in range(number)]


def test_a_picture_is_a_function_of_its_scene() -> None:
    scene = scenes(1)[0]
    picture = draw_scene(scene)
    assert isinstance(picture, Image.Image)
    assert picture.size == (CANVAS, CANVAS)
    assert picture.mode == "RGB"
    assert np.array_equal(pixels(scene), pixels(scene))


@pytest.mark.parametrize("scene", scenes(8))
def test_an_object_fills_its_box_and_leaves_the_rest_alone(scene: Scene) -> None:
    for number, thing in enumerate(scene.objects):
        without = replace(scene, objects=(*scene.objects[:number], *scene.objects[number + 1 :]))
        changed = np.abs(pixels(scene) - pixels(without)).max(axis=2)
        rows, columns = np.nonzero(changed > 0)
        x1, y1, x2, y2 = thing.box
        assert columns.min() >= x1 - SHADOW - 1
        assert rows.min() >= y1 - SHADOW - 1
        assert columns.max() <= x2 + SHADOW + 1
        assert rows.max() <= y2 + SHADOW + 1
        clearly = np.abs(changed) > 40
        if clearly.any():  # a pale object may hardly differ from its background
            rows, columns = np.nonzero(clearly)
            assert columns.max() - columns.min() <= x2 - x1 + 2
            assert rows.max() - rows.min() <= y2 - y1 + 2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plain_object_has_its_colour(shape: str) -> None:
    thing = SceneObject(
        shape=shape, colour="red", texture="plain", size="large", centre=(80.0, 80.0), extent=60.0, angle=0.0,
        tint=(214.0, 48.0, 49.0), box=(50.0, 50.0, 110.0, 110.0),
    )  # fmt: skip
    white = (235.0, 235.0, 235.0)
    found = pixels(Scene(objects=(thing,), curtain=None, backdrop=(white, white, 0.0), noise=1))[50:110, 50:110]
    red = (found[..., 0] > 150) & (found[..., 1] < 90) & (found[..., 2] < 90)
    assert 0.15 < red.mean() <= 1.0
    assert np.median(found[red], axis=0) == pytest.approx([214, 48, 49], abs=25)


def test_textures_cover_about_half_and_differ() -> None:
    axis = np.linspace(-0.5, 0.5, 60, dtype=np.float32)
    drawn = {name: TEXTURE_OF[name](axis[None, :], axis[:, None], 0.03) for name in TEXTURES}
    assert not drawn["plain"].any()
    for name in ("striped", "dotted", "checkered"):
        assert 0.2 < drawn[name].mean() < 0.6
        assert drawn[name].min() == 0
        assert drawn[name].max() == 1


def test_the_curtain_is_grey_and_hides_its_box() -> None:
    scene = next(scene for scene in scenes(20) if scene.curtain)
    assert scene.curtain is not None
    x1, y1, x2, y2 = (round(edge) for edge in scene.curtain)
    cloth = pixels(scene)[y1 + 6 : y2 - 4, x1:x2]
    assert np.abs(cloth[..., 0] - cloth[..., 2]).max() < 10
    assert cloth.mean() == pytest.approx(148, abs=15)
