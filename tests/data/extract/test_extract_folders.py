"""A folder of pictures becomes a store: ids, skipped pictures, interruptions, extractors of one's own."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from uniter_data import PairDataset, RegionStore, Split, TextWriter, Tokenizer, verify, write_dataset
from uniter_data.extract import ExtractedRegions, extract_picture, extract_regions, load_extractor, read_skipped

SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import uniter_data.stores.region_writer as region_writer
from conftest import Quarters
from uniter_data.extract import extract_regions

region_writer.BLOCK_IMAGES = 2

def progress(what, done, total):
    time.sleep(0.1)

extract_regions(sys.argv[1], extractor=Quarters(), out=sys.argv[2], batch=3, progress=progress)
"""


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_texts(directory: Path, pictures: Path, images: Sequence[str]) -> Path:
    """A data set that waits for the regions of its pictures."""
    tokenizer = Tokenizer.build(["a picture"])
    with TextWriter(directory / "texts.zarr", tokenizer=tokenizer) as texts:
        for image in images:
            texts.append(f"text-{image}", "a picture", image)
        texts.publish()
    split = Split(texts="texts.zarr", regions="regions.zarr", pictures=os.path.relpath(pictures, directory))
    return write_dataset(directory, name="waiting", splits={"train": split}, tokenizer=tokenizer)


# --------------------------------------------------------------------------------------------------------- what is made


def test_a_store_holds_what_the_extractor_said(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    report = extract_regions(pictures, extractor=quarters, out=tmp_path / "regions.zarr", batch=5)
    store = RegionStore(tmp_path / "regions.zarr")
    assert sorted(store.image_ids.tolist()) == sorted(f"picture-{number}" for number in range(12))
    assert (store.class_names, store.region_dim) == (quarters.class_names, 3)
    assert store.attributes["extractor"] == "quarters"
    assert store.attributes["attributes"] == {"parts": 4}
    assert (report.stores["regions.zarr"].images, report.stores["regions.zarr"].regions) == (12, 48)
    assert "regions.zarr: 12 images, 48 regions, 12 of them now" in str(report)
    for image, record in zip(store.image_ids.tolist(), store.read(range(12)), strict=True):
        with Image.open(pictures / f"{image}.png") as picture:
            (expected,) = quarters([picture])
            width, height = picture.size
        np.testing.assert_array_equal(record.features, expected.features.numpy().astype(np.float16))
        np.testing.assert_allclose(record.boxes[:, :4], expected.boxes / [width, height, width, height], atol=1e-6)
        np.testing.assert_allclose(record.boxes[:, 4:], [[0.5, 0.5, 0.25]] * 4, atol=1e-6)
        np.testing.assert_array_equal(record.labels, expected.labels.astype(np.float16))
        np.testing.assert_array_equal(store.image_sizes[store.find([image])[0]], [width, height])
        alone = extract_picture(pictures / f"{image}.png", quarters)
        for name in ("features", "boxes", "labels", "confidence"):
            np.testing.assert_array_equal(getattr(record, name), getattr(alone, name))
    assert read_skipped(tmp_path / "regions.zarr") == ()
    assert not (tmp_path / "regions.skipped.jsonl").exists()


def test_neither_batch_nor_workers_change_a_byte(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    for number, (batch, workers) in enumerate([(1, 1), (4, 3), (100, 2)]):
        out = tmp_path / str(number) / "regions.zarr"
        extract_regions(pictures, extractor=quarters, out=out, batch=batch, workers=workers)
        assert files_of(out) == files_of(tmp_path / "0" / "regions.zarr")


def test_pictures_behind_a_url_are_read(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(pictures), "/somewhere/pictures", recursive=True)
    try:
        extract_regions("memory://somewhere/pictures", extractor=quarters, out=tmp_path / "remote.zarr")
    finally:
        memory.rm("/somewhere", recursive=True)
    extract_regions(pictures, extractor=quarters, out=tmp_path / "local.zarr")
    assert files_of(tmp_path / "remote.zarr") == files_of(tmp_path / "local.zarr")


def test_ids_are_stems_or_paths_and_never_taken_twice(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    (pictures / "more").mkdir()
    shutil.copy(pictures / "picture-3.png", pictures / "more" / "picture-3.png")
    with pytest.raises(ValueError, match=r"more/picture-3\.png and picture-3\.png would both be image 'picture-3'"):
        extract_regions(pictures, extractor=quarters, out=tmp_path / "stems.zarr")
    extract_regions(pictures, extractor=quarters, out=tmp_path / "paths.zarr", ids="path")
    assert {"picture-3", "more/picture-3"} <= set(RegionStore(tmp_path / "paths.zarr").image_ids.tolist())


# ------------------------------------------------------------------------------------------------------------ skipping


def damage(pictures: Path) -> dict[str, str]:
    """Damage some pictures; the reason of each."""
    (pictures / "picture-1.png").write_bytes(b"")
    content = (pictures / "picture-4.png").read_bytes()
    (pictures / "picture-4.png").write_bytes(content[: len(content) // 2])
    (pictures / "picture-7.png").write_bytes(b"no picture at all")
    Image.new("RGB", (8, 8), "red").save(pictures / "picture-9.png")
    (pictures / "notes.txt").write_text("no picture either")
    return {
        "picture-1": "the file is empty",
        "picture-4": "Truncated File Read",
        "picture-7": "it is no picture of a format that Pillow reads",
        "picture-9": "no region was found in it",
    }


def test_what_cannot_be_used_is_skipped_counted_and_listed(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    reasons = damage(pictures)
    report = extract_regions(pictures, extractor=quarters, out=tmp_path / "regions.zarr", batch=4)
    made = report.stores["regions.zarr"]
    assert ({picture.image: picture.reason for picture in made.skipped}, made.images) == (reasons, 8)
    assert "4 pictures skipped, listed in" in str(report)
    assert "1 files are no pictures by their suffix" in str(report)
    lines = (tmp_path / "regions.skipped.jsonl").read_text(encoding="utf-8").splitlines()
    assert {line["image"]: line["reason"] for line in map(json.loads, lines)} == reasons
    again = extract_regions(pictures, extractor=quarters, out=tmp_path / "regions.zarr")
    assert again.stores["regions.zarr"].skipped == made.skipped
    assert again.stores["regions.zarr"].made[0] == 0


def test_texts_of_skipped_pictures_leave_their_data_set(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    reasons = damage(pictures)
    images = [f"picture-{number}" for number in range(10)] + ["absent"]
    directory = write_texts(tmp_path / "waiting", pictures, images)
    report = extract_regions(directory, extractor=quarters)
    made = report.stores["regions.zarr"]
    assert {picture.image for picture in made.skipped} == {*reasons, "absent"}
    assert made.dropped_texts == 5
    # only what the texts name is extracted
    assert made.images == 6
    assert verify(directory) == []
    pairs = PairDataset.open(directory, "train")
    assert set(pairs.text_ids) == {f"text-{image}" for image in images if image not in {*reasons, "absent"}}
    assert len(pairs.samples(np.arange(len(pairs)))) == 6


def test_a_second_data_set_on_the_same_store_loses_its_texts_too(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    damage(pictures)
    write_texts(tmp_path / "one", pictures, ["picture-0", "picture-1"])
    extract_regions(tmp_path / "one", extractor=quarters)
    write_texts(tmp_path / "two", pictures, ["picture-0", "picture-1"])
    shutil.copytree(tmp_path / "one" / "regions.zarr", tmp_path / "two" / "regions.zarr")
    report = extract_regions(tmp_path / "two", extractor=quarters)
    assert (report.stores["regions.zarr"].made[0], report.stores["regions.zarr"].dropped_texts) == (0, 1)
    assert PairDataset.open(tmp_path / "two", "train").text_ids.tolist() == ["text-picture-0"]


# -------------------------------------------------------------------------------------------------------- interruptions


def test_an_extraction_killed_at_random_moments_ends_in_the_same_bytes(
    pictures: Path, tmp_path: Path, quarters: Any
) -> None:
    damage(pictures)
    for number in range(12, 40):
        shutil.copy(pictures / "picture-0.png", pictures / f"picture-{number}.png")
    extract_regions(pictures, extractor=quarters, out=tmp_path / "whole" / "regions.zarr", batch=3)
    out = tmp_path / "killed" / "regions.zarr"
    journal = out.with_name("regions.zarr.partial") / "journal.jsonl"
    command = [sys.executable, "-c", SLOW, str(pictures), str(out), str(Path(__file__).parent)]
    killed = 0
    for _ in range(2):
        process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
        before = journal.read_bytes() if journal.exists() else b""
        while process.poll() is None and (not journal.exists() or journal.read_bytes() == before):
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.25))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
    assert killed
    extract_regions(pictures, extractor=quarters, out=out, batch=3)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


def test_another_extractor_is_refused_where_a_store_is(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    directory = write_texts(tmp_path / "waiting", pictures, ["picture-0"])
    extract_regions(directory, extractor=quarters)
    quarters.name = "fifths"
    with pytest.raises(ValueError, match=r"made by quarters, now it is 3 wide and fifths: remove the store"):
        extract_regions(directory, extractor=quarters)


# ---------------------------------------------------------------------------------------------- extractors of one's own


def test_an_extractor_is_loaded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_my_own.py").write_text(
        "class Mine:\n"
        "    name, region_dim, class_names = 'mine', 4, ()\n"
        "    def __init__(self, device): self.device = device\n"
        "    def __call__(self, pictures): return []\n"
        "def half(device): return 3\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert load_extractor("of_my_own:Mine", device="cpu").device.type == "cpu"  # type: ignore[attr-defined]
    for place, said in (
        ("of_my_own", "expected package.module:factory"),
        ("not_there:Mine", "not_there cannot be imported"),
        ("of_my_own:absent", "has no function or class 'absent'"),
        ("of_my_own:number", "has no function or class 'number'"),
        ("of_my_own:half", "a int is no extractor: it lacks name, region_dim, class_names"),
    ):
        with pytest.raises(ValueError, match=said):
            load_extractor(place, device="cpu")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], "gave regions of 0 pictures for 1"),
        ([{"features": np.zeros((1, 2))}], r"features must have shape \(1, 3\), got \(1, 2\)"),
        ([{"features": np.full((1, 3), np.nan)}], "features are not finite"),
        ([{"boxes": np.array([[0, 0, 400, 4]])}], "boxes must lie in the unit square"),
        ([{"boxes": np.zeros((1, 5))}], r"boxes of an extractor must have shape \(any, 4\), got \(1, 5\)"),
        ([{"labels": None}], "labels are missing"),
        ([{"confidence": np.ones(2)}], r"confidence must have shape \(1,\), got \(2,\)"),
    ],
)
def test_a_wrong_answer_is_named(
    pictures: Path, tmp_path: Path, quarters: Any, answer: list[dict[str, Any]], said: str
) -> None:
    right = {"features": np.zeros((1, 3)), "boxes": np.array([[0, 0, 4, 4]]), "labels": np.ones((1, 3)) / 3}
    quarters.__class__ = type("Wrong", (type(quarters),), {"__call__": lambda self, pictures: self.answer})
    quarters.answer = [ExtractedRegions(**(right | part)) for part in answer]
    with pytest.raises(ValueError, match=said):
        extract_regions(pictures, extractor=quarters, out=tmp_path / "regions.zarr", batch=1)
    assert not (tmp_path / "regions.zarr").exists()


def test_what_cannot_be_extracted_is_told(pictures: Path, tmp_path: Path, quarters: Any) -> None:
    directory = write_texts(tmp_path / "waiting", pictures, ["picture-0"])
    (tmp_path / "empty").mkdir()
    out = tmp_path / "regions.zarr"
    for source, settings, said in (
        (pictures, {}, "say where the store of a folder of pictures shall lie"),
        (directory, {"out": out}, "says where its stores lie"),
        (tmp_path / "empty", {"out": out}, "has no picture"),
        (tmp_path / "absent", {"out": out}, "has no picture"),
        (pictures, {"out": out, "ids": "number"}, "ids: expected stem or path"),
        (pictures, {"out": out, "workers": 0}, "workers: expected at least 1"),
        (pictures, {"out": out, "given_boxes": True}, "has no box file"),
        (pictures, {"out": out, "extractor": 3}, "it lacks name"),
    ):
        with pytest.raises(ValueError, match=said):
            extract_regions(source, **({"extractor": quarters} | settings))
