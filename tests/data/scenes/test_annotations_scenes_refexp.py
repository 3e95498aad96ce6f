"""Referring expressions: each fits the object that it is said of, and no other of its picture."""

import pickletools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from uniter_data.annotations.refcoco import Expression, read_refcoco
from uniter_data.scenes import CLASS_NAMES
from uniter_data.scenes.lexicon import PLACES, RELATIONS
from uniter_data.scenes.world import CANVAS, Scene

FLAVOURS = ("locations", "attributes", "relations")


@pytest.fixture(scope="session")
def expressions(annotations: Path) -> dict[str, list[Expression]]:
    return {
        flavour: list(
            read_refcoco(
                annotations / "refexp" / flavour / "refs(scenes).p", annotations / "refexp" / flavour / "instances.json"
            )
        )
        for flavour in FLAVOURS
    }


def meant(one: Expression, scene: Scene) -> int:
    """The thing of the expression's box."""
    x, y, width, height = one.box
    box = pytest.approx((x, y, x + width, y + height), abs=0.02)
    (thing,) = [at for at, corners in enumerate(scene.boxes) if corners == box]
    assert CLASS_NAMES[scene.classes[thing]] == one.category
    return thing


def scene_behind(one: Expression, scene_of: Any) -> Scene:
    split, number = {1: "train", 2: "val", 3: "test"}[one.image_id // 100_000], one.image_id % 100_000
    assert split == one.split
    scene: Scene = scene_of(f"in-domain-{split}-{number:05d}")
    return scene


def test_attributes_fit_one_object(expressions: Any, scene_of: Any, fitting: Any) -> None:
    words = {word for options in (*PLACES.values(), *RELATIONS.values()) for text in options for word in text.split()}
    for one in expressions["attributes"]:
        scene = scene_behind(one, scene_of)
        assert fitting(scene, one.sentence) == [meant(one, scene)], one.sentence
        assert not (words - {"the"}) & set(one.sentence.split())


def test_locations_fit_one_object(expressions: Any, scene_of: Any, fitting: Any) -> None:
    spots = {text: spot for spot, options in PLACES.items() for text in options}
    for one in expressions["locations"]:
        scene = scene_behind(one, scene_of)
        place = max((text for text in spots if one.sentence.endswith(text)), key=len)
        alike = fitting(scene, one.sentence.removesuffix(place))
        cells = {}
        for thing in alike:
            x1, y1, x2, y2 = scene.boxes[thing]
            cells[thing] = (int((y1 + y2) / 2 * 3 / CANVAS), int((x1 + x2) / 2 * 3 / CANVAS))
        assert [thing for thing in alike if cells[thing] == spots[place]] == [meant(one, scene)]
        row, column = spots[place]
        if (row, column) != (1, 1):  # "at the top" may be said of whatever is in the upper third
            wide = [
                thing
                for thing in alike
                if (row == 1 or cells[thing][0] == row) and (column == 1 or cells[thing][1] == column)
            ]
            assert wide == [meant(one, scene)], one.sentence


def test_relations_fit_one_object(
    expressions: Any, scene_of: Any, fitting: Any, sides_of: Any, around_relation: Any
) -> None:
    for one in expressions["relations"]:
        scene = scene_behind(one, scene_of)
        before, relation, after = around_relation(one.sentence)
        (anchor,) = fitting(scene, after)
        alike = [thing for thing in fitting(scene, before) if thing != anchor]
        assert [at for at in alike if relation in sides_of(scene, at, anchor)] == [meant(one, scene)], one.sentence


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_noun_alone_seldom_does(expressions: Any, scene_of: Any, flavour: str) -> None:
    shared = [
        len(scene.matching(shape=one.category)) > 1
        for one in expressions[flavour]
        for scene in [scene_behind(one, scene_of)]
    ]
    assert sum(shared) / len(shared) > 0.6


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_shapes_and_splits(expressions: Any, flavour: str) -> None:
    splits = Counter(one.split for one in expressions[flavour])
    assert splits["train"] == pytest.approx(240 * 4 / 3, rel=0.12)
    shapes = Counter(one.category for one in expressions[flavour] if one.split == "train")
    assert max(shapes.values()) < 2 * min(shapes.values())
    assert len(shapes) == 12
    assert max(Counter(one.ref_id for one in expressions[flavour]).values()) == 2


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_pickle_calls_nothing(annotations: Path, flavour: str) -> None:
    data = (annotations / "refexp" / flavour / "refs(scenes).p").read_bytes()
    assert not {opcode.name for opcode, *_ in pickletools.genops(data)} & {
        "GLOBAL", "STACK_GLOBAL", "REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD",
    }  # fmt: skip
