"""Four-way questions: only the right answer and the right reason are true of the picture."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from uniter_data.annotations.vcr import VcrRecord, read_vcr, read_vcr_metadata
from uniter_data.scenes.lexicon import meaning
from uniter_data.scenes.world import Scene

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="session")
def records(annotations: Path) -> dict[str, list[VcrRecord]]:
    return {split: list(read_vcr(annotations / "vcr" / f"{split}.jsonl")) for split in SPLITS}


def kind_of(record: VcrRecord) -> str:
    first, second = record.question[:2]
    return f"{first} {second}" if first == "what" else f"which {dict([meaning(str(record.question[3])) or ('', '')])}"


def is_true(text: tuple[Any, ...], question: tuple[Any, ...], scene: Scene) -> bool:
    """Whether a choice holds."""
    if text[0] == "both":
        (asked,) = question[6]
        same = [thing for thing in scene.objects if thing.colour == scene.objects[asked].colour]
        return len(same) == 2 and same[0].colour == text[2]
    thing = scene.objects[text[0][0]]
    said = [word for word in text[1:] if word not in ("is", "has", "a", "thing", ".")]
    if text[1] == "has":
        (asked,) = question[6]
        return text[0] != question[6] and thing.colour == scene.objects[asked].colour
    if not said:  # which thing is …?
        said = [question[3]]
    return all(getattr(thing, name) == value for name, value in filter(None, map(meaning, said)))


@pytest.mark.parametrize("split", SPLITS)
def test_one_answer_and_one_reason_are_true(records: Any, scene_of: Any, split: str) -> None:
    for record in records[split]:
        scene = scene_of(Path(record.image).stem)
        for choices, label in ((record.answers, record.answer_label), (record.rationales, record.rationale_label)):
            assert len(set(choices)) == 4
            assert [is_true(text, record.question, scene) for text in choices] == [n == label for n in range(4)]


def test_only_things_of_their_own_shape_are_named(records: Any, scene_of: Any) -> None:
    for record in records["train"]:
        scene = scene_of(Path(record.image).stem)
        assert record.objects == tuple([o.shape for o in scene.objects] + (["curtain"] if scene.curtain else []))
        named = {part[0] for text in (record.question, *record.answers) for part in text if not isinstance(part, str)}
        assert all(record.objects.count(record.objects[number]) == 1 for number in named)


def test_the_right_one_may_be_any(records: Any) -> None:
    for name in ("answer_label", "rationale_label"):
        places = Counter(getattr(record, name) for record in records["train"])
        assert max(places.values()) - min(places.values()) <= 1


def test_neither_colours_nor_textures_are_mostly_right(records: Any) -> None:
    right: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for record in records["train"]:
        for role, texts, label in (
            ("answer", record.answers, record.answer_label),
            ("reason", record.rationales, record.rationale_label),
        ):
            texture = [word for word in texts[label] if word in ("plain", "striped", "dotted", "checkered")]
            right[kind_of(record), role].update(texture)
    for (kind, role), textures in right.items():
        varied = (kind == "what texture") == (role == "answer") or kind.startswith("which")
        if varied and textures.total() > 60:
            assert max(textures.values()) / textures.total() < 0.4, (kind, role)


def test_metadata(annotations: Path, records: Any, scene_of: Any) -> None:
    for record in records["val"]:
        metadata = read_vcr_metadata(annotations / "vcr" / "vcr1images" / record.metadata)
        scene = scene_of(Path(record.image).stem)
        assert metadata.names == record.objects
        assert metadata.size == (160, 160)
        assert all(
            one == pytest.approx(other, abs=0.01) for one, other in zip(metadata.boxes, scene.boxes, strict=True)
        )


def test_every_type_is_asked(records: Any) -> None:
    kinds = Counter(kind_of(record).split()[1] for record in records["train"])
    assert kinds.keys() >= {"colour", "texture", "has"}
    assert len(records["train"]) == pytest.approx(240 * 4 / 3, rel=0.15)


def test_originals_count_from_one(annotations: Path) -> None:
    raw = json.loads((annotations / "vcr" / "val.jsonl").read_text().splitlines()[0])
    tag = next(part for part in raw["answer_choices"][raw["answer_label"]] if not isinstance(part, str))
    assert str(tag[0] + 1) in raw["answer_orig"].split()
