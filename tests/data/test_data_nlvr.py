"""NLVR: objects lie where the pictures show them, true sentences become captions, wrong records are refused."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from uniter_data import PairDataset, RegionStore, RegionWriter, TextStore, UnitBatches, dataset_splits, read_manifest
from uniter_data.extract import BoxFile, box_file
from uniter_data.importers.nlvr import import_nlvr

ORDERS = 6
SHARES = {"square": 1.0, "circle": math.pi / 4, "triangle": 0.5}  # of its box that an object covers
GREY = np.array([211.0, 211.0, 211.0])
NEAR = 45.0  # of 255: edges are drawn smooth, triangles not quite to their corners
RECORDS = 10  # of each real split


def records_of(source: Path, split: str) -> list[dict[str, Any]]:
    lines = (source / split / f"{split}.json").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def write_records(source: Path, split: str, lines: list[str]) -> None:
    (source / split / f"{split}.json").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def boxes_of(dataset: Path, split: str) -> BoxFile:
    return BoxFile(box_file(dataset / read_manifest(dataset).splits[split].regions))


def give_regions(dataset: Path) -> None:
    """Region stores of made-up features."""
    for split in dataset_splits(dataset):
        boxes = boxes_of(dataset, split)
        with RegionWriter(dataset / read_manifest(dataset).splits[split].regions, region_dim=4) as regions:
            for row in boxes:
                corners = np.array(row.boxes)
                regions.append(
                    row.image,
                    np.zeros((len(corners), 4)),
                    np.concatenate([corners, corners[:, 2:] - corners[:, :2]], axis=1),
                )
            regions.publish()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def some_of_real(source: Path, target: Path) -> Path:
    """A few records of each split with their pictures."""
    for split in ("dev", "hidden"):
        every = records_of(source, split)
        chosen = every[:: len(every) // RECORDS][:RECORDS]
        where = {path.name: path for path in (source / split / "images").rglob("*.png")}
        for record in chosen:
            for order in range(ORDERS):
                found = where[f"{split}-{record['identifier']}-{order}.png"]
                copy = target / found.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, copy)
        write_records(target, split, [json.dumps(record) for record in chosen])
    return target


def assert_boxes_show_objects(source: Path, dataset: Path) -> None:
    """The mean colour inside each box is the one that its object, on grey, should give."""
    for split in dataset_splits(dataset):
        records = {f"{split}-{record['identifier']}": record for record in records_of(source, split)}
        boxes = boxes_of(dataset, split)
        rows = list(boxes)
        assert len(rows) == len(records) * ORDERS
        for row in rows:
            items = [item for box in records[row.image.rpartition("-")[0]]["structured_rep"] for item in box]
            assert [boxes.class_names[number] for number in row.classes] == [item["type"] for item in items]
            with Image.open(boxes.pictures / row.picture) as picture:
                pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
            corners = np.rint(np.array(row.boxes) * [400, 100, 400, 100]).astype(int)
            for (left, top, right, bottom), item in zip(corners, items, strict=True):
                share = SHARES[item["type"]]
                expected = share * np.array(ImageColor.getrgb(item["color"])[:3]) + (1 - share) * GREY
                mean = pixels[top:bottom, left:right].mean(axis=(0, 1))
                assert np.abs(mean - expected).max() < NEAR, (row.image, item, mean)


def test_boxes_lie_on_the_drawn_objects(nlvr_source: Path, tmp_path: Path) -> None:
    import_nlvr(nlvr_source, tmp_path / "nlvr")
    assert_boxes_show_objects(nlvr_source, tmp_path / "nlvr")


@pytest.mark.real_data
def test_boxes_lie_on_the_objects_of_real_pictures(real_data_dir: Path, tmp_path: Path) -> None:
    source = some_of_real(real_data_dir / "nlvr", tmp_path / "source")
    report = import_nlvr(source, tmp_path / "nlvr")
    assert report.class_names == ("background", "circle", "square", "triangle")
    assert_boxes_show_objects(source, tmp_path / "nlvr")


def test_what_reaches_over_its_box_is_cut(nlvr_source: Path, tmp_path: Path) -> None:
    import_nlvr(nlvr_source, tmp_path / "nlvr")
    boxes = {row.image: row.boxes for row in boxes_of(tmp_path / "nlvr", "dev")}
    # a square of 20 at (90, 80) of the box that stands first in order 0 and last in order 5
    assert boxes["dev-2-0-0"][0] == pytest.approx([0.225, 0.8, 0.25, 1.0])
    assert boxes["dev-2-0-5"][0] == pytest.approx([0.975, 0.8, 1.0, 1.0])


def assert_true_sentences_are_the_captions(source: Path, dataset: Path) -> None:
    for split in dataset_splits(dataset):
        texts = TextStore(dataset / read_manifest(dataset).splits[split].texts)
        expected = {
            f"{split}-{record['identifier']}-{order}": record["sentence"]
            for record in records_of(source, split)
            if record["label"] == "true"
            for order in range(ORDERS)
        }
        assert dict(zip(texts.image_ids.tolist(), texts.sentences.tolist(), strict=True)) == expected
        assert texts.text_ids.tolist() == texts.image_ids.tolist()


def test_only_true_sentences_are_captions(nlvr_source: Path, tmp_path: Path) -> None:
    report = import_nlvr(nlvr_source, tmp_path / "nlvr")
    assert_true_sentences_are_the_captions(nlvr_source, tmp_path / "nlvr")
    dev = report.splits["dev"]
    assert (dev.records, dev.true, dev.pictures, dev.pairs, dev.dropped) == (6, 4, 36, 24, 0)
    items = sum(len(box) for record in records_of(nlvr_source, "dev") for box in record["structured_rep"])
    assert dev.regions == items * ORDERS
    assert "6 records, 4 true: 24 pairs, 36 pictures" in str(report)


@pytest.mark.real_data
def test_only_true_sentences_of_real_records_are_captions(real_data_dir: Path, tmp_path: Path) -> None:
    source = some_of_real(real_data_dir / "nlvr", tmp_path / "source")
    report = import_nlvr(source, tmp_path / "nlvr")
    assert_true_sentences_are_the_captions(source, tmp_path / "nlvr")
    for split in report.splits.values():
        assert 0 < split.true < split.records == RECORDS
        assert split.pairs == split.true * ORDERS


def test_a_mismatch_never_shows_a_scene_of_the_own_sentence(nlvr_source: Path, tmp_path: Path) -> None:
    dataset = import_nlvr(nlvr_source, tmp_path / "nlvr").directory
    give_regions(dataset)
    pairs = PairDataset.open(dataset, "dev")
    shown_by = RegionStore(dataset / read_manifest(dataset).splits["dev"].regions).image_ids.tolist()
    batches = UnitBatches(pairs, units=200, seed=0, mismatch_probability=1.0)
    seen = set()
    for epoch in range(4):
        for batch in batches.epoch(epoch):
            for text, image in zip(np.concatenate(batch.parts), np.concatenate(batch.image_rows), strict=True):
                own, shown = pairs.text_ids[text].split("-")[1], shown_by[image].split("-")[1]
                assert own != shown
                seen.add((own, shown))
    # every other sentence's scenes come up, dev-1's two true scenes count as one
    assert seen == {(own, shown) for own in "124" for shown in "124" if own != shown}


def test_pictures_are_found_from_the_pairs(nlvr_source: Path, tmp_path: Path) -> None:
    dataset = import_nlvr(nlvr_source, tmp_path / "nlvr").directory
    give_regions(dataset)
    for split in ("dev", "test"):
        picture = PairDataset.open(dataset, split).picture(0)
        assert picture is not None
        assert picture.size == (400, 100)


def test_long_sentences_are_dropped_and_counted_or_cut(nlvr_source: Path, tmp_path: Path) -> None:
    records = records_of(nlvr_source, "test")
    records[0]["sentence"] = "box " * 30
    write_records(nlvr_source, "test", [json.dumps(record) for record in records])
    report = import_nlvr(nlvr_source, tmp_path / "dropped", max_tokens=20)
    assert (report.splits["test"].pairs, report.splits["test"].dropped) == (12, 6)
    assert "6 pairs (6 dropped as too long)" in str(report)
    assert import_nlvr(nlvr_source, tmp_path / "cut", max_tokens=20, truncate=True).splits["test"].dropped == 0


def without(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda record: json.dumps({key: value for key, value in record.items() if key != name})


def with_value(name: str, value: Any) -> Callable[[dict[str, Any]], str]:
    return lambda record: json.dumps({**record, name: value})


def with_item(**changes: Any) -> Callable[[dict[str, Any]], str]:
    item = {"type": "square", "x_loc": 10, "y_loc": 10, "size": 20, "color": "Black"} | changes
    return with_value("structured_rep", [[], [{k: v for k, v in item.items() if v is not None}], []])


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda record: json.dumps(record)[:-9], "not a JSON object"),
        (lambda record: "[1, 2]", "the line"),
        (without("sentence"), "sentence"),
        (without("identifier"), "identifier"),
        (without("label"), "label"),
        (without("structured_rep"), "structured_rep"),
        (with_value("label", "maybe"), "label"),
        (with_value("label", True), "label"),
        (with_value("sentence", " "), "sentence"),
        (with_value("identifier", "1-0"), "identifier"),
        (with_value("identifier", "99-0"), "test-99-0-0.png"),
        (with_value("structured_rep", [[], [], []]), "structured_rep"),
        (with_value("structured_rep", [[], []]), "structured_rep"),
        (with_item(x_loc=100), "structured_rep[1][0].x_loc"),
        (with_item(y_loc=-1), "structured_rep[1][0].y_loc"),
        (with_item(y_loc=140), "structured_rep[1][0].y_loc"),
        (with_item(size=0), "structured_rep[1][0].size"),
        (with_item(size="big"), "structured_rep[1][0].size"),
        (with_item(type=None), "structured_rep[1][0].type"),
        (with_item(x_loc=None), "structured_rep[1][0].x_loc"),
        (with_item(x_loc=float("nan")), "structured_rep[1][0].x_loc"),
    ],
)
def test_a_wrong_record_is_named_and_leaves_nothing(
    nlvr_source: Path, tmp_path: Path, spoil: Callable[[dict[str, Any]], str], field: str
) -> None:
    first, second = records_of(nlvr_source, "test")
    write_records(nlvr_source, "test", [json.dumps(first), spoil(second)])
    with pytest.raises(ValueError) as caught:
        import_nlvr(nlvr_source, tmp_path / "nlvr")
    said = str(caught.value)
    assert f"{nlvr_source / 'test' / 'test.json'}:2: " in said
    assert field in said
    assert "\n" not in said
    assert list(tmp_path.iterdir()) == [nlvr_source]


def test_a_missing_picture_is_named(nlvr_source: Path, tmp_path: Path) -> None:
    (nlvr_source / "dev" / "images" / "7" / "dev-1-1-4.png").unlink()
    with pytest.raises(ValueError, match=r"dev\.json:2: its picture dev-1-1-4\.png is not below"):
        import_nlvr(nlvr_source, tmp_path / "nlvr")
    assert list(tmp_path.iterdir()) == [nlvr_source]


def test_an_existing_target_is_refused_and_kept(nlvr_source: Path, tmp_path: Path) -> None:
    (tmp_path / "nlvr").mkdir()
    (tmp_path / "nlvr" / "kept").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        import_nlvr(nlvr_source, tmp_path / "nlvr")
    assert files_of(tmp_path / "nlvr") == {"kept": b"mine"}


def test_a_directory_without_splits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    with pytest.raises(ValueError, match=r"has no SPLIT/SPLIT\.json"):
        import_nlvr(tmp_path, tmp_path / "nlvr")
    with pytest.raises(ValueError, match="is not a directory"):
        import_nlvr(tmp_path / "absent", tmp_path / "nlvr")


def test_two_imports_are_equal_byte_for_byte(nlvr_source: Path, tmp_path: Path) -> None:
    # what an interrupted import left is swept away
    (tmp_path / "two.partial").mkdir()
    (tmp_path / "two.partial" / "litter").write_text("left")
    one = files_of(import_nlvr(nlvr_source, tmp_path / "one").directory)
    two = files_of(import_nlvr(nlvr_source, tmp_path / "two").directory)
    assert one == two
    assert not (tmp_path / "two.partial").exists()


def test_progress_counts_pictures_up_to_all(nlvr_source: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    import_nlvr(nlvr_source, tmp_path / "nlvr", progress=lambda *step: told.append(step))
    assert ("checking dev", 36, 36) in told
    assert told[-1] == ("checking test", 12, 12)
