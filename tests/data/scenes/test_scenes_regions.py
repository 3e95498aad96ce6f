"""Regions: one for each thing, a little off; the others hold none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data.scenes.regions import SPURIOUS, find_regions
from uniter_data.scenes.world import CANVAS, CLASS_NAMES, COUNTS, overlap, sample_scene


@given(seed=st.integers(0, 2**32), source=st.sampled_from(sorted(COUNTS)))
def test_regions_of_a_scene(seed: int, source: str) -> None:
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng, counts=COUNTS[source])
    regions = find_regions(scene, rng)
    assert sorted(thing for thing in regions.things if thing != SPURIOUS) == list(range(len(scene.boxes)))
    assert 0 <= regions.things.count(SPURIOUS) <= 2
    assert regions.boxes.dtype == np.float32
    assert (regions.boxes[:, :2] >= 0).all()
    assert (regions.boxes[:, 2:] <= CANVAS).all()
    assert (regions.boxes[:, :2] < regions.boxes[:, 2:]).all()
    for box, thing, class_ in zip(regions.boxes.tolist(), regions.things, regions.classes.tolist(), strict=True):
        overlaps = [overlap(tuple(box), other) for other in scene.boxes]
        if thing == SPURIOUS:
            assert max(overlaps) <= 0.2 + 1e-6
            assert CLASS_NAMES[class_] == "background"
        else:
            assert overlaps[thing] > 0.75
            assert class_ == scene.classes[thing]


def test_rows_of_things() -> None:
    rng = np.random.default_rng(0)
    regions = find_regions(sample_scene(rng, counts=(5,)), rng)
    for thing in range(5):
        assert regions.things[regions.row_of(thing)] == thing
    assert regions.row_of(-1) == -1


def test_six_and_a_half_a_picture_in_no_order() -> None:
    numbers, firsts = [], []
    for seed in range(600):
        rng = np.random.default_rng(seed)
        regions = find_regions(sample_scene(rng, counts=COUNTS["in-domain"]), rng)
        numbers.append(len(regions.things))
        firsts.append(regions.things[0])
    assert np.mean(numbers) == pytest.approx(6.6, abs=0.3)
    assert np.mean(np.array(firsts) == 0) < 0.3
