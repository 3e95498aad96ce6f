"""The files of all tasks: deterministic, published whole, within the vocabulary, importable, cached once."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from uniter_data import PairDataset, Tokenizer
from uniter_data.examples import ExampleDataset, task_splits
from uniter_data.scenes import SEED, TINY
from uniter_data.scenes.annotations import (
    TASK_DATA,
    VERSION,
    ensure_annotations,
    ensure_task_data,
    generate,
    generate_annotations,
    import_task_data,
)
from uniter_data.scenes.rendering import content_of
from uniter_data.task_preview import draw_task_preview

SPLITS = ("train", "val", "test")


def digest(folder: Path) -> str:
    found = hashlib.blake2b(digest_size=8)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


@pytest.fixture(scope="session")
def tiny_annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_annotations(tmp_path_factory.mktemp("tiny") / "annotations", sizes=TINY)


@pytest.fixture(scope="session")
def tasks(tiny_scenes: Path, tiny_annotations: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tasks")
    for name in TASK_DATA:
        import_task_data(name, root / name, scenes=tiny_scenes, annotations=tiny_annotations)
    return root


def test_the_same_in_another_process(tiny_annotations: Path, tmp_path: Path) -> None:
    script = (
        "from uniter_data.scenes import TINY\nfrom uniter_data.scenes.annotations import generate_annotations\n"
        f"generate_annotations({str(tmp_path / 'again')!r}, sizes=TINY)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONHASHSEED": "11"})
    assert digest(tmp_path / "again") == digest(tiny_annotations)


def test_what_is_generated_changes_only_with_the_version(tiny_annotations: Path) -> None:
    """If this fails because the annotations were changed on purpose, raise `VERSION` and write down the new digest."""
    assert (VERSION, digest(tiny_annotations)) == (2, "5461ee3e5cc89ec1")


def test_another_seed_gives_other_annotations(tiny_annotations: Path, tmp_path: Path) -> None:
    assert digest(generate_annotations(tmp_path / "other", sizes=TINY, seed=SEED + 1)) != digest(tiny_annotations)


def test_a_failed_generation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **settings: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setitem(generate.WRITERS, "vcr", fail)
        with pytest.raises(OSError, match="full"):
            generate_annotations(tmp_path / "annotations", sizes=TINY)
    assert not (tmp_path / "annotations").exists()
    assert generate_annotations(tmp_path / "annotations", sizes=TINY).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["annotations"]


def test_an_existing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist yet"):
        generate_annotations(tmp_path, sizes=TINY)


@pytest.mark.parametrize("name", [name for name in TASK_DATA if name != "retrieval"])
def test_task_data(tasks: Path, tiny_scenes: Path, name: str) -> None:
    tokenizer = Tokenizer.from_file(tiny_scenes / "captions" / "tokenizer.json")
    assert task_splits(tasks / name) == list(SPLITS)
    for split in SPLITS:
        dataset = ExampleDataset.open(tasks / name, split)
        assert dataset.task == name.split("-loc")[0].split("-att")[0].split("-rel")[0]
        assert dataset.labelled
        assert dataset.vocabulary == tokenizer.vocabulary
        for index, example in enumerate(dataset.examples(range(len(dataset)))):
            assert dataset.picture(index)
            assert all(len(image.features) for image in example.images)
            pieces = [piece for text in example.texts for piece in tokenizer.tokens(text.tolist())]
            assert not any(piece == "[UNK]" or piece.startswith("##") for piece in pieces), pieces


@pytest.mark.parametrize("name", [name for name in TASK_DATA if name.startswith("refexp")])
def test_the_target_is_the_region_of_the_object(tasks: Path, name: str) -> None:
    dataset = ExampleDataset.open(tasks / name, "train")
    for example in dataset.examples(range(len(dataset))):
        scene, regions = content_of(SEED, "in-domain", "train", int(example.images[0].id.rsplit("-", 1)[1]))
        x, y, _, _ = example.annotation["box"]
        (thing,) = [at for at, box in enumerate(scene.boxes) if box[:2] == pytest.approx((x, y), abs=0.01)]
        assert example.annotation["target"] == regions.row_of(thing)


def test_retrieval_is_the_captions(tasks: Path, tiny_scenes: Path) -> None:
    for split in SPLITS:
        ours = PairDataset.open(tasks / "retrieval", split)
        theirs = PairDataset.open(tiny_scenes / "captions", split)
        assert [ours.sentence(row) for row in range(len(ours))] == [theirs.sentence(row) for row in range(len(theirs))]
        assert (ours.image_rows == theirs.image_rows).all()
        assert ours.vocabulary == theirs.vocabulary


@pytest.mark.parametrize("name", [name for name in TASK_DATA if name != "retrieval"])
def test_a_sheet_of_examples(tasks: Path, tmp_path: Path, name: str) -> None:
    path = draw_task_preview(ExampleDataset.open(tasks / name, "val"), tmp_path / "new" / "sheet.png", count=3)
    assert path.stat().st_size > 10_000


def test_a_sheet_of_nothing_is_refused(tasks: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="count: expected at least 1, got 0"):
        draw_task_preview(ExampleDataset.open(tasks / "vqa", "val"), tmp_path / "sheet.png", count=0)


def test_an_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"expected one of vqa, nlvr2, .*refexp-relations, got 'gqa'"):
        ensure_task_data("gqa")


def test_the_cache_is_filled_once(
    tiny_scenes: Path, tiny_annotations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def stand_in(out: Path, *, progress: object) -> None:
        made.append(out.name)
        out.mkdir(parents=True)

    def import_stand_in(name: str, out: Path, **settings: object) -> None:
        made.append(name)
        out.mkdir(parents=True)

    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    monkeypatch.setattr("uniter_data.scenes.generate.generate_scenes", stand_in)
    monkeypatch.setattr("uniter_data.scenes.annotations.generate.generate_annotations", stand_in)
    monkeypatch.setattr("uniter_data.scenes.annotations.task_data.import_task_data", import_stand_in)
    folder = ensure_task_data("refexp")
    assert ensure_task_data("refexp-attributes") == folder
    assert folder.parent.parent == ensure_annotations().parent
    assert made[1:] == [f"annotations-{VERSION}", "refexp"]
