"""Scenes: nothing overlaps, every object is unlike the others, and the world has the proportions it should have."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data.scenes.shapes import OUTLINES, bounds
from uniter_data.scenes.world import CANVAS, CLASS_NAMES, COUNTS, SHAPES, Scene, overlap, sample_scene


def scene(seed: int, source: str = "in-domain") -> Scene:
    return sample_scene(np.random.default_rng(seed), counts=COUNTS[source])


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene(seed) for seed in range(1500)]


def test_classes_begin_with_the_background_and_end_with_the_curtain() -> None:
    assert CLASS_NAMES[0] == "background"
    assert CLASS_NAMES[1:-1] == SHAPES
    assert len(SHAPES) == 12
    assert CLASS_NAMES[-1] == "curtain"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_outline_fills_its_unit_frame(shape: str) -> None:
    x1, y1, x2, y2 = bounds(OUTLINES[shape], extent=1.0, angle=0.0)
    assert max(x2 - x1, y2 - y1) == pytest.approx(1.0)
    assert (x1 + x2, y1 + y2) == pytest.approx((0.0, 0.0), abs=1e-9)


@given(seed=st.integers(0, 2**32), source=st.sampled_from(sorted(COUNTS)))
def test_things_lie_in_the_picture_and_apart(seed: int, source: str) -> None:
    found = scene(seed, source)
    assert len(found.objects) in COUNTS[source]
    for x1, y1, x2, y2 in found.boxes:
        assert 0 <= x1 < x2 <= CANVAS
        assert 0 <= y1 < y2 <= CANVAS
    assert all(overlap(one, other) == 0 for one, other in combinations(found.boxes, 2))


@given(seed=st.integers(0, 2**32))
def test_no_object_equals_another(seed: int) -> None:
    kinds = [(o.shape, o.colour, o.texture, o.size) for o in scene(seed).objects]
    assert len(set(kinds)) == len(kinds)


def test_a_scene_is_a_function_of_its_generator() -> None:
    assert scene(5) == scene(5)
    assert scene(5) != scene(6)


def test_matching_finds_what_has_every_attribute() -> None:
    found = scene(3)
    first = found.objects[0]
    assert found.matching() == tuple(range(len(found.objects)))
    assert found.matching(shape=first.shape, colour=first.colour, texture=first.texture, size=first.size) == (0,)


def test_the_world_has_its_proportions(scenes: list[Scene]) -> None:
    objects = [thing for found in scenes for thing in found.objects]
    assert np.mean([found.curtain is not None for found in scenes]) == pytest.approx(0.4, abs=0.04)
    assert len(objects) / len(scenes) == pytest.approx(np.mean(COUNTS["in-domain"]), abs=0.2)
    textures = Counter(thing.texture for thing in objects)
    assert textures["plain"] / len(objects) == pytest.approx(0.5, abs=0.03)
    for texture in ("striped", "dotted", "checkered"):
        assert textures[texture] / len(objects) == pytest.approx(1 / 6, abs=0.02)
    for name, number in (("shape", 12), ("colour", 10), ("size", 3)):
        shares = Counter(getattr(thing, name) for thing in objects)
        assert len(shares) == number
        assert all(share / len(objects) == pytest.approx(1 / number, rel=0.2) for share in shares.values())


def test_most_pictures_hold_distractors(scenes: list[Scene]) -> None:
    def repeated(name: str) -> float:
        return float(np.mean([len({getattr(o, name) for o in found.objects}) < len(found.objects) for found in scenes]))

    assert repeated("shape") > 0.6
    assert repeated("colour") > 0.6
