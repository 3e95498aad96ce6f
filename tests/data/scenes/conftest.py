"""The smallest scenes, generated once, and annotations of some more; what a noun phrase fits, told from its words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from uniter_data.scenes import SEED, TINY, Sizes, generate_scenes
from uniter_data.scenes.annotations import generate_annotations
from uniter_data.scenes.lexicon import CURTAIN, PLURALS, RELATIONS, meaning
from uniter_data.scenes.rendering import content_of
from uniter_data.scenes.world import Scene

Fitting = Callable[[Scene, str], list[int]]
SAID_OF_ANYTHING = {"the", "a", "an", "object", "objects", "thing", "things", "grey"}
SOME = Sizes(train=240, val=60, test=60)


@pytest.fixture(scope="session")
def tiny_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_scenes(tmp_path_factory.mktemp("tiny") / "scenes", sizes=TINY)


@pytest.fixture(scope="session")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_annotations(tmp_path_factory.mktemp("annotations") / "annotations", sizes=SOME)


@pytest.fixture(scope="session")
def scene_of() -> Callable[[str], Scene]:
    """The scene of a picture by its name."""
    known: dict[str, Scene] = {}

    def find(image_id: str) -> Scene:
        if image_id not in known:
            source, split, number = image_id.rsplit("-", 2)
            known[image_id] = content_of(SEED, source, split, int(number))[0]
        return known[image_id]

    return find


@pytest.fixture(scope="session")
def fitting() -> Fitting:
    """The things of a scene that have everything the words of a noun phrase say."""

    def find(scene: Scene, phrase: str) -> list[int]:
        words = [word for word in phrase.split() if word not in SAID_OF_ANYTHING]
        if words and words[-1] in CURTAIN:
            assert len(words) == 1
            return [len(scene.objects)] if scene.curtain else []
        singular = {plural: (("shape", shape)) for shape, plurals in PLURALS.items() for plural in plurals}
        said = [meaning(word) or singular[word] for word in words]
        return [
            number
            for number, thing in enumerate(scene.objects)
            if all(getattr(thing, name) == value for name, value in said)
        ]

    return find


@pytest.fixture(scope="session")
def sides_of() -> Callable[[Scene, int, int], set[str]]:
    """The relations that hold between two things, told from their boxes."""

    def find(scene: Scene, one: int, other: int) -> set[str]:
        (a, b, c, d), (e, f, g, h) = scene.boxes[one], scene.boxes[other]
        right, down = (a + c - e - g) / 2, (b + d - f - h) / 2
        held = {"near"} if right**2 + down**2 < 48**2 else set()
        if abs(right) * 1.5 >= abs(down):
            held.add("left" if right < 0 else "right")
        if abs(down) * 1.5 >= abs(right):
            held.add("above" if down < 0 else "below")
        return held

    return find


@pytest.fixture(scope="session")
def around_relation() -> Callable[[str], tuple[str, str, str]]:
    """What stands before a relation, the relation's key, and what stands behind it."""
    phrasings = {phrase: key for key, phrases in RELATIONS.items() for phrase in phrases}

    def split(text: str) -> tuple[str, str, str]:
        phrase = max((phrase for phrase in phrasings if f" {phrase} " in f" {text}"), key=len)
        before, after = f" {text}".split(f" {phrase} ", 1)
        return before.strip(), phrasings[phrase], after

    return split
