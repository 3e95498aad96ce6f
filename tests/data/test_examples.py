"""Data sets of tasks: what the annotations and region stores hold comes back joined; what is missing is named."""

import json
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uniter_core import Example
from uniter_data import PairDataset, RegionStore, Tokenizer, UnitBatches
from uniter_data.annotations import read_nlvr2
from uniter_data.examples import (
    CountedExamples,
    ExampleDataset,
    ImportOptions,
    describe_examples,
    holds_examples,
    import_nlvr2,
    read_task_manifest,
    task_splits,
    verify_examples,
)

DIM = 4  # of the stores that `make_store` makes

MakeStore = Callable[..., Path]
Refused = Callable[..., None]


def save(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def save_lines(path: Path, records: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def nlvr2(identifier: str, **changes: Any) -> dict[str, Any]:
    record = {"identifier": identifier, "sentence": f"Zwei große Hunde {identifier}", "label": "True", "synset": "dog"}
    return {name: value for name, value in (record | changes).items() if value is not ...}


def nlvr2_files(folder: Path) -> dict[str, list[Path]]:
    train = [nlvr2(f"train-{pair}-0-{sentence}") for pair in range(3) for sentence in range(2)]
    return {
        "": [
            save_lines(folder / "train.json", train),
            save_lines(folder / "dev.json", [nlvr2("dev-1-0-0", label="False")]),
            save_lines(folder / "test1.json", [nlvr2("test1-5-0-0", label=...)]),
        ]
    }


@pytest.fixture
def nlvr2_store(tmp_path: Path, make_store: MakeStore) -> Path:
    pairs = ["train-0-0", "train-1-0", "train-2-0", "dev-1-0", "test1-5-0"]
    images = {f"nlvr2_{pair}-img{side}.npz": 1 + place + side for place, pair in enumerate(pairs) for side in (0, 1)}
    return make_store(tmp_path / "nlvr2.zarr", images, classes=("background", "dog"))


@pytest.fixture
def nlvr2_data(tmp_path: Path, nlvr2_store: Path) -> Path:
    import_nlvr2(tmp_path / "nlvr2", files=nlvr2_files(tmp_path), regions=[nlvr2_store])
    return tmp_path / "nlvr2"


def same(one: Example, other: Example) -> bool:
    return (
        (one.id, one.annotation, one.key) == (other.id, other.annotation, other.key)
        and all(a.equal(b) for a, b in zip(one.texts, other.texts, strict=True))
        and all(
            a.id == b.id and a.features.equal(b.features) and a.boxes.equal(b.boxes)
            for a, b in zip(one.images, other.images, strict=True)
        )
    )


# ---------------------------------------------------------------------------------------------------------------------


def test_examples_hold_texts_both_images_and_the_annotation(
    tmp_path: Path, nlvr2_data: Path, nlvr2_store: Path
) -> None:
    data = ExampleDataset.open(nlvr2_data, "train")
    assert (data.task, data.name, data.split, len(data)) == ("nlvr2", "nlvr2", "train", 6)
    assert (data.region_dim, data.num_classes, data.labelled) == (DIM, 2, True)
    store, tokenizer = RegionStore(nlvr2_store), Tokenizer.from_file(nlvr2_data / "tokenizer.json")
    records = list(read_nlvr2(tmp_path / "train.json"))
    for index, (example, record) in enumerate(zip(data.examples(range(6)), records, strict=True)):
        assert example.id == record.identifier
        assert example.texts[0].tolist() == tokenizer.encode(record.sentence).ids
        assert data.sentences(index) == (record.sentence,)
        assert example.annotation == {
            "identifier": record.identifier, "sentence": record.sentence, "label": True, "synset": "dog"
        }  # fmt: skip
        for side, image in enumerate(example.images):
            row = store.find([f"nlvr2_{record.images[side]}.npz"])
            assert image.id == record.images[side]
            np.testing.assert_array_equal(image.features.numpy(), store.read(row)[0].features)
            np.testing.assert_array_equal(image.boxes.numpy(), store.read(row)[0].boxes)
            np.testing.assert_array_equal(image.labels.numpy(), store.read(row)[0].labels)
            assert data.region_lengths[index, side] == image.num_regions
        assert data.text_lengths[index].tolist() == [len(example.texts[0])]


def test_a_batch_is_its_examples_one_by_one_in_any_order(nlvr2_data: Path) -> None:
    data = ExampleDataset.open(nlvr2_data, "train")
    order = [4, 0, 5, 4, 2]
    batch = data.examples(order, keys=[7, 8, 9, 10, 11])
    assert [example.key for example in batch] == [7, 8, 9, 10, 11]
    for index, example in zip(order, batch, strict=True):
        assert same(example, data.example(index, key=example.key))
    # sentences of one pair share what was read once
    first, second = data.examples([0, 1])
    assert first.images[1] is second.images[1]
    assert data.examples([]) == []


def test_a_dataset_survives_pickling(nlvr2_data: Path) -> None:
    data = ExampleDataset.open(nlvr2_data, "val")
    copy = pickle.loads(pickle.dumps(data))  # noqa: S301
    assert same(copy.example(0), data.example(0))


def test_splits_are_named_by_their_files_and_may_lack_labels(nlvr2_data: Path, refused: Refused) -> None:
    assert task_splits(nlvr2_data) == ["train", "val", "test"]
    assert not ExampleDataset.open(nlvr2_data, "test").labelled
    assert "label" not in ExampleDataset.open(nlvr2_data, "test").example(0).annotation
    assert [a["label"] for a in ExampleDataset.open(nlvr2_data, "val").annotations()] == [False]
    refused(lambda: ExampleDataset.open(nlvr2_data, "dev"), "no split 'dev': it has train, val, test")


def test_unit_batches_draw_every_example_once_an_epoch(nlvr2_data: Path) -> None:
    data = ExampleDataset.open(nlvr2_data, "train")
    units = 2 * (data.text_lengths.sum(axis=1) + 2) + data.region_lengths.sum(axis=1)
    batches = UnitBatches(CountedExamples(data.name, units), units=int(units.max()) + 10, seed=3)
    drawn = [index for batch in batches.epoch(0) for index in batch.parts[0].tolist()]
    assert sorted(drawn) == list(range(6))
    batch = next(batches)
    assert units[batch.parts[0]].sum() <= units.max() + 10
    examples = data.examples(batch.parts[0], keys=batch.keys[0])
    assert [example.key for example in examples] == batch.keys[0].tolist()
    assert len(set(batch.keys[0].tolist())) == len(examples)


def test_a_missing_image_is_refused_by_file_record_and_name_or_skipped_and_counted(
    tmp_path: Path, make_store: MakeStore, refused: Refused
) -> None:
    files = {"train": [save_lines(tmp_path / "train.json", [nlvr2("train-0-0-0"), nlvr2("train-1-0-0")])]}
    store = make_store(tmp_path / "r.zarr", {"train-0-0-img0": 1, "train-0-0-img1": 2, "train-1-0-img0": 2})
    refused(
        lambda: import_nlvr2(tmp_path / "out", files=files, regions=[store]),
        "train.json:2: image 'train-1-0-img1' has no regions in",
        "r.zarr",
        "--skip-missing",
        "1 such records",
    )
    assert not list(tmp_path.glob("out*"))
    report = import_nlvr2(
        tmp_path / "out", files=files, regions=[store], options=ImportOptions(skip_missing=True)
    ).splits["train"]
    assert (report.examples, report.images, report.left_out) == (1, 2, {"its image has no regions": 1})
    assert "1 left out: its image has no regions" in str(report)
    assert ExampleDataset.open(tmp_path / "out", "train").example_ids.tolist() == ["train-0-0-0"]


def test_an_image_with_no_region_counts_as_missing_and_a_split_may_not_be_empty(
    tmp_path: Path, make_store: MakeStore, refused: Refused
) -> None:
    files = {"train": [save_lines(tmp_path / "train.json", [nlvr2("train-0-0-0")])]}
    store = make_store(tmp_path / "r.zarr", {"train-0-0-img0": 1, "train-0-0-img1": 0})
    refused(lambda: import_nlvr2(tmp_path / "out", files=files, regions=[store]), "'train-0-0-img1' has no regions")
    skip = ImportOptions(skip_missing=True)
    refused(
        lambda: import_nlvr2(tmp_path / "out", files=files, regions=[store], options=skip),
        "split 'train': none of 1 records is left",
    )


def test_doubled_ids_over_files_of_a_split_are_refused(tmp_path: Path, nlvr2_store: Path, refused: Refused) -> None:
    one, two = (save_lines(tmp_path / f"{name}.json", [nlvr2("train-0-0-0")]) for name in ("a", "b"))
    refused(
        lambda: import_nlvr2(tmp_path / "out", files={"train": [one, two]}, regions=[nlvr2_store]),
        "b.json:1: 'train-0-0-0' comes twice in split 'train'",
    )


def test_an_import_never_writes_over_a_data_set_and_takes_up_after_an_interruption(
    tmp_path: Path, nlvr2_data: Path, nlvr2_store: Path, refused: Refused
) -> None:
    files = nlvr2_files(tmp_path)
    refused(lambda: import_nlvr2(nlvr2_data, files=files, regions=[nlvr2_store]), "exists already")

    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "again.partial" / "train").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uniter_data.examples.importing.REPORT_EVERY", 1)
        with pytest.raises(KeyboardInterrupt):
            import_nlvr2(
                tmp_path / "again", files=files, regions=[nlvr2_store], options=ImportOptions(progress=interrupt)
            )
    assert not (tmp_path / "again").exists()
    import_nlvr2(tmp_path / "again", files=files, regions=[nlvr2_store])
    assert not (tmp_path / "again.partial").exists()
    assert same(
        ExampleDataset.open(tmp_path / "again", "train").example(3), ExampleDataset.open(nlvr2_data, "train").example(3)
    )


def test_progress_tells_how_far_both_readings_are(tmp_path: Path, nlvr2_store: Path) -> None:
    told: list[tuple[str, int, int]] = []
    options = ImportOptions(progress=lambda *what: told.append(what))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uniter_data.examples.importing.REPORT_EVERY", 2)
        import_nlvr2(tmp_path / "out", files=nlvr2_files(tmp_path), regions=[nlvr2_store], options=options)
    assert told[:3] == [("reading train", 2, 2), ("reading train", 4, 4), ("reading train", 6, 6)]
    assert told[3:] == [("reading train", 2, 6), ("reading train", 4, 6), ("reading train", 6, 6)]


def test_long_texts_are_cut_or_their_examples_dropped(tmp_path: Path, nlvr2_store: Path) -> None:
    lines = [nlvr2("train-0-0-0", sentence="a b c d e f"), nlvr2("train-1-0-0", sentence="a b")]
    files = {"train": [save_lines(tmp_path / "x.json", lines)]}
    cut = import_nlvr2(tmp_path / "cut", files=files, regions=[nlvr2_store], options=ImportOptions(max_tokens=3))
    assert (cut.splits["train"].examples, cut.splits["train"].truncated) == (2, 1)
    assert ExampleDataset.open(tmp_path / "cut", "train").text_lengths.tolist() == [[3], [2]]
    drop = ImportOptions(max_tokens=3, drop_long=True)
    dropped = import_nlvr2(tmp_path / "dropped", files=files, regions=[nlvr2_store], options=drop).splits["train"]
    assert (dropped.examples, dropped.left_out) == (1, {"a text is too long": 1})
    assert ExampleDataset.open(tmp_path / "dropped", "train").example(0).id == "train-1-0-0"


def test_a_given_tokenizer_is_kept(tmp_path: Path, nlvr2_store: Path) -> None:
    tokenizer = Tokenizer.build(["hunde zwei"])
    options = ImportOptions(tokenizer=tokenizer)
    import_nlvr2(tmp_path / "out", files=nlvr2_files(tmp_path), regions=[nlvr2_store], options=options)
    assert ExampleDataset.open(tmp_path / "out", "train").vocabulary == tokenizer.vocabulary


def test_image_names_may_follow_a_pattern(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    lines = [nlvr2("train-0-0-0", left_url="https://a.org/cat.jpg", right_url="dog.png")]
    files = {"train": [save_lines(tmp_path / "x.json", lines)]}
    store = make_store(tmp_path / "r.zarr", {"in-cat": 1, "in-dog": 2})
    options = ImportOptions(image_name="in-{path}")
    import_nlvr2(tmp_path / "out", files=files, regions=[store], options=options)
    assert ExampleDataset.open(tmp_path / "out", "train").region_lengths.tolist() == [[1, 2]]
    for wrong in ("{name}", "{number:x y}", "{stem.nothing}", "{"):
        options = ImportOptions(image_name=wrong)
        refused(
            lambda options=options: import_nlvr2(tmp_path / "no", files=files, regions=[store], options=options),
            *(() if "number" in wrong else ("image_name", "{stem}")),
        )


def test_pictures_are_found_by_either_name(tmp_path: Path, nlvr2_store: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (4, 2), "red").save(folder / "train-1-0-img1.png")
    Image.new("RGB", (4, 2), "blue").save(folder / "nlvr2_train-2-0-img0.npz.png")
    options = ImportOptions(pictures=[folder])
    import_nlvr2(tmp_path / "out", files=nlvr2_files(tmp_path), regions=[nlvr2_store], options=options)
    data = ExampleDataset.open(tmp_path / "out", "train")
    found = {(index, side): data.picture(index, side) for index in (0, 2, 4) for side in (0, 1)}
    assert {place for place, picture in found.items() if picture} == {(2, 1), (4, 0)}
    assert found[2, 1].getpixel((0, 0)) == (255, 0, 0)


def test_a_data_set_moves_with_its_stores(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    home = tmp_path / "home"
    home.mkdir()
    files = {"train": [save_lines(tmp_path / "t.json", [nlvr2("train-0-0-0")])]}
    make_store(home / "r.zarr", {"train-0-0-img0": 1, "train-0-0-img1": 2})
    import_nlvr2(home / "nlvr2", files=files, regions=[home / "r.zarr"])
    assert read_task_manifest(home / "nlvr2").splits["train"].regions == (("../r.zarr",),)
    home.rename(tmp_path / "moved")
    assert len(ExampleDataset.open(tmp_path / "moved" / "nlvr2", "train")) == 1
    (tmp_path / "moved" / "r.zarr").rename(tmp_path / "moved" / "gone.zarr")
    refused(lambda: ExampleDataset.open(tmp_path / "moved" / "nlvr2", "train"), "r.zarr holds no regions")


def test_opening_refuses_what_does_not_fit_together(
    tmp_path: Path, nlvr2_data: Path, nlvr2_store: Path, make_store: MakeStore, refused: Refused
) -> None:
    manifest = json.loads((nlvr2_data / "dataset.json").read_text(encoding="utf-8"))

    def altered(**changes: Any) -> None:
        (nlvr2_data / "dataset.json").write_text(json.dumps(manifest | changes), encoding="utf-8")

    altered(task="vqa")
    refused(lambda: ExampleDataset.open(nlvr2_data, "train"), "belongs to task 'nlvr2'")
    altered(vocabulary=Tokenizer.build(["x"]).vocabulary.to_dict())
    refused(lambda: ExampleDataset.open(nlvr2_data, "train"), "another vocabulary")
    altered(version=99)
    refused(lambda: ExampleDataset.open(nlvr2_data, "train"), "version 99 is newer")
    altered(format="uniter-dataset")
    refused(lambda: ExampleDataset.open(nlvr2_data, "train"), "uniter data import")
    other = make_store(tmp_path / "other.zarr", {"train-0-0-img0": 1})
    splits = {name: split | {"regions": [[str(other)]]} for name, split in manifest["splits"].items()}
    altered(splits=splits)
    refused(lambda: ExampleDataset.open(nlvr2_data, "train"), "example 'train-0-0-0' names image", "other.zarr lacks")
    refused(lambda: ExampleDataset.open(tmp_path / "nowhere", "train"), "dataset.json is missing")
    refused(lambda: PairDataset.open(nlvr2_data, "train"), "dataset.json cannot be used")


def test_damage_is_found_and_named(nlvr2_data: Path, refused: Refused) -> None:
    assert verify_examples(nlvr2_data) == []
    assert "6 examples: 1 text(s)" in describe_examples(nlvr2_data)
    assert holds_examples(nlvr2_data)
    assert not holds_examples(nlvr2_data.parent)
    shard = nlvr2_data / "train" / "examples.zarr" / "annotations" / "c" / "0"
    raw = bytearray(shard.read_bytes())
    raw[3] ^= 1
    shard.write_bytes(raw)
    (finding,) = verify_examples(nlvr2_data)
    assert (finding.array, finding.chunk) == ("annotations", 0)
    assert "examples.zarr" in finding.store
    shard.write_bytes(raw[:-100])
    refused(lambda: ExampleDataset.open(nlvr2_data, "train"), "examples.zarr", "cut short")


@pytest.mark.real_data
def test_the_real_nlvr2_annotations_become_examples(tmp_path: Path, real_data_dir: Path, make_store: MakeStore) -> None:
    """Every third pair has regions: the others are left out and counted."""
    path = real_data_dir / "nlvr2" / "dev.json"
    records = list(read_nlvr2(path))
    pairs = sorted({record.images for record in records})[::3]
    store = make_store(tmp_path / "dev.zarr", {image: 1 for pair in pairs for image in pair})
    vocabulary = real_data_dir / "bert" / "bert-base-uncased-vocab.txt"
    options = ImportOptions(tokenizer=Tokenizer.from_vocabulary_file(vocabulary, cased=False), skip_missing=True)
    report = import_nlvr2(tmp_path / "out", files={"": [path]}, regions=[store], options=options).splits["val"]
    kept = [record for record in records if record.images in set(pairs)]
    assert (report.examples, report.images) == (len(kept), 2 * len(pairs))
    assert sum(report.left_out.values()) == len(records) - len(kept)
    data = ExampleDataset.open(tmp_path / "out", "val")
    assert data.example_ids.tolist() == [record.identifier for record in kept]
    assert [a["label"] for a in data.annotations()] == [record.label for record in kept]
