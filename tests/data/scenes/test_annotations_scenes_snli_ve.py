"""Hypotheses: labels are worked out again, a curtain hiding whatever it may; the type tells little."""

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from uniter_data import PairDataset
from uniter_data.annotations.snli_ve import SnliVeRecord, read_snli_ve
from uniter_data.scenes.annotations import generate_annotations
from uniter_data.scenes.generate import TINY
from uniter_data.scenes.lexicon import NUMBERS, meaning
from uniter_data.scenes.world import Scene

FILES = {"train": "snli_ve_train.jsonl", "val": "snli_ve_dev.jsonl", "test": "snli_ve_test.jsonl"}


@pytest.fixture(scope="session")
def records(annotations: Path) -> dict[str, list[SnliVeRecord]]:
    return {split: list(read_snli_ve(annotations / "snli-ve" / name)) for split, name in FILES.items()}


def type_of(text: str) -> str:
    for kind, pattern in (
        ("absent", r"there (is|are) no .+|the picture shows no .+"),
        ("count", r"there (is|are) exactly .+"),
        ("attribute", r"the .+ is \w+"),
        ("two", r".+ and .+"),
    ):
        if re.fullmatch(pattern, text):
            return kind
    return "exist"


def possible(text: str, scene: Scene, fitting: Any, *, hidden: int) -> bool | None:
    """Whether the text is true if so many more things of its kind are behind the curtain; None if it cannot be said."""
    kind = type_of(text)
    if kind == "absent":
        phrase = re.sub(r"there (is|are) no |the picture shows no ", "", text)
        return len(fitting(scene, phrase)) + hidden == 0
    if kind == "count":
        m = re.fullmatch(r"there (?:is|are) exactly (\w+) (.+)", text)
        assert m
        return len(fitting(scene, m[2])) + hidden == NUMBERS.index(m[1])
    existing = re.sub(r"^(there is|we see|the picture shows) | can be seen$", "", text)
    return all(len(fitting(scene, phrase)) + hidden > 0 for phrase in existing.split(" and "))


def label_of(text: str, scene: Scene, fitting: Any) -> str:
    if type_of(text) == "attribute":
        m = re.fullmatch(r"(the .+) is (\w+)", text)
        assert m
        seen = fitting(scene, m[1])
        if not seen:
            assert scene.curtain
            return "neutral"
        (number,) = seen
        name, value = meaning(m[2]) or ("", "")
        return "entailment" if getattr(scene.objects[number], name) == value else "contradiction"
    worlds = {possible(text, scene, fitting, hidden=hidden) for hidden in range(6 if scene.curtain else 1)}
    return "neutral" if len(worlds) == 2 else "entailment" if worlds == {True} else "contradiction"


@pytest.mark.parametrize("split", FILES)
def test_labels_are_true(records: Any, scene_of: Any, fitting: Any, split: str) -> None:
    for record in records[split]:
        assert record.flickr_id.startswith(f"in-domain-{split}-")
        assert label_of(record.hypothesis, scene_of(record.flickr_id), fitting) == record.label, record.hypothesis


def test_neither_type_nor_curtain_tells_the_label(records: Any, scene_of: Any) -> None:
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    by_sight: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for record in records["train"]:
        kind = type_of(record.hypothesis)
        by_type[kind][record.label] += 1
        by_sight[kind, bool(scene_of(record.flickr_id).curtain)][record.label] += 1
    total = len(records["train"])
    assert by_type.keys() == {"exist", "absent", "attribute", "two", "count"}
    assert all(max(labels.values()) / labels.total() < 0.45 for labels in by_type.values())
    assert all(min(labels.values()) / labels.total() > 0.2 for labels in by_type.values())
    assert sum(max(labels.values()) for labels in by_type.values()) / total < 0.41
    assert sum(max(labels.values()) for labels in by_sight.values()) / total < 0.62


def test_sizes(records: Any) -> None:
    assert [len(records[split]) for split in FILES] == [640, 160, 160]


def test_premises_are_captions_of_the_picture(tiny_scenes: Path, tmp_path: Path) -> None:
    folder = generate_annotations(tmp_path / "annotations", sizes=TINY) / "snli-ve"
    captions = PairDataset.open(tiny_scenes / "captions", "val")
    said = {(text_id.rsplit("-", 2)[0], captions.sentence(row)) for row, text_id in enumerate(captions.text_ids)}
    lines = (folder / "snli_ve_dev.jsonl").read_text().splitlines()
    found = {(m[1], m[2]) for line in lines if (m := re.search(r'ID": "([^"]+)".+sentence1": "([^"]+)"', line))}
    assert found <= said
    assert len(found) > 5
