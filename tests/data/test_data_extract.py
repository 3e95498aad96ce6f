"""Extraction: features as they should be, the same after an interruption, and errors that say what to do."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch

from uniter_core import pack
from uniter_data import PairDataset, RegionStore, TextStore, dataset_splits, read_manifest, verify
from uniter_data.extract import BoxFile, ExtractionReport, backbone_extractor, box_file, extract_regions
from uniter_data.extract.backbone import load_backbone
from uniter_data.importers.nlvr import import_nlvr

pytest.importorskip("timm", reason="extracting regions needs the extra uniter-data[extract]")

MODEL = "resnet18"
STORES = ("regions-dev.zarr", "regions-test.zarr")

# killed while the first store is written, some of its blocks on the disk
KILLED = """
import os, signal, sys
import uniter_data.stores.region_writer as region_writer
from uniter_data.extract import backbone_extractor, extract_regions

region_writer.BLOCK_IMAGES = 3

def progress(what, done, total):
    if what.startswith("extracting") and done >= 16:
        os.kill(os.getpid(), signal.SIGKILL)

extractor = backbone_extractor(weights="random", device="cpu")
extract_regions(sys.argv[1], extractor=extractor, given_boxes=True, standardise=True, progress=progress)
"""
OF_EXTRACTION = ("batch", "progress", "workers")


def extract(directory: Path, **settings: Any) -> ExtractionReport:
    """Over the given boxes, standardised, as the command does."""
    extraction = {name: settings.pop(name) for name in OF_EXTRACTION if name in settings}
    extractor = backbone_extractor(**({"weights": "random", "device": "cpu"} | settings))
    seed = settings.get("seed", 0)
    return extract_regions(directory, extractor=extractor, given_boxes=True, standardise=True, seed=seed, **extraction)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def features_of(directory: Path, store: str = STORES[0]) -> np.ndarray:
    opened = RegionStore(directory / store)
    return np.concatenate([record.features for record in opened.read(np.arange(opened.num_images))])


@pytest.fixture
def imported(nlvr_source: Path, tmp_path: Path) -> Path:
    """A data set with box files and no regions."""
    return import_nlvr(nlvr_source, tmp_path / "nlvr").directory


@pytest.fixture(scope="module")
def whole(shared_nlvr_source: Path) -> Path:
    """The same after an extraction that nothing disturbed. For reading only."""
    # beside its pictures, like the one to compare with: the path from one to the other is stored
    directory = import_nlvr(shared_nlvr_source, shared_nlvr_source.parent / "whole").directory
    extract(directory)
    return directory


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and nothing in the hub's cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)


# ------------------------------------------------------------------------------------------------------ what is written


def test_two_extractions_are_equal_byte_for_byte(whole: Path, imported: Path) -> None:
    extract(imported)
    assert files_of(imported) == files_of(whole)


def test_callers_random_numbers_are_left_alone(imported: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    extract(imported)
    assert torch.equal(torch.rand(3), expected)


def test_another_seed_gives_other_features(whole: Path, imported: Path) -> None:
    extract(imported, seed=1)
    assert not np.array_equal(features_of(imported), features_of(whole))


@pytest.mark.parametrize(("levels", "cells"), [((0, 1), 2), ((1, 4), 1)])
def test_features_have_the_width_of_levels_and_cells(imported: Path, levels: tuple[int, ...], cells: int) -> None:
    report = extract(imported, levels=levels, cells=cells)
    channels = {0: 64, 1: 64, 4: 512}  # of ResNet-18: He et al. 2015, table 1
    width = cells * cells * sum(channels[level] for level in levels)
    assert report.region_dim == width
    store = RegionStore(imported / STORES[0])
    assert store.region_dim == width
    assert store.read([0])[0].features.dtype == np.float16
    assert PairDataset.open(imported, "dev").region_dim == width


def test_regions_are_those_of_the_box_file(whole: Path) -> None:
    for name in STORES:
        store, boxes = RegionStore(whole / name), BoxFile(box_file(whole / name))
        rows = list(boxes)
        assert store.class_names == boxes.class_names
        assert store.image_ids.tolist() == [row.image for row in rows]
        assert (store.image_sizes == [400, 100]).all()
        for row, record in zip(rows, store.read(np.arange(len(rows))), strict=True):
            corners = np.array(row.boxes)
            sides = corners[:, 2:] - corners[:, :2]
            expected = np.concatenate([corners, sides, sides.prod(axis=1, keepdims=True)], axis=1)
            np.testing.assert_allclose(record.boxes, expected, atol=1e-6)
            np.testing.assert_array_equal(record.labels, np.eye(len(boxes.class_names))[list(row.classes)])
            np.testing.assert_array_equal(record.confidence, 1)


def test_features_are_standardised_over_the_sample(whole: Path) -> None:
    # there are fewer pictures than the sample holds, so it is all of them
    features = np.concatenate([features_of(whole, name) for name in STORES]).astype(np.float64)
    assert np.isfinite(features).all()
    # what was clipped is missing from the moments
    moved = (np.abs(features).max(axis=0) < 7.9) & (features.std(axis=0) > 0)
    assert moved.mean() > 0.9
    np.testing.assert_allclose(features[:, moved].mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(features[:, moved].std(axis=0), 1, atol=0.01)


def test_features_tell_the_objects_apart(whole: Path) -> None:
    """The same object in two pictures of a record lies nearer than another object in most cases."""
    store = RegionStore(whole / STORES[0])
    one, other = (record.features.astype(np.float32) for record in store.read(store.find(["dev-1-0-0", "dev-1-0-1"])))
    distances = ((one[:, None] - other[None]) ** 2).sum(axis=-1)
    assert (distances.argmin(axis=1) == np.arange(len(one))).mean() > 0.5


def test_stores_say_how_they_were_made(whole: Path) -> None:
    made = [RegionStore(whole / name).attributes for name in STORES]
    assert made[0]["extractor"] == "timm resnet18 (random weights, seed 0), levels 0+1 on 2 x 2 cells, standardised"
    kept = made[0]["attributes"]
    assert (kept["model"], kept["weights"], kept["seed"], kept["levels"], kept["cells"]) == (
        MODEL,
        "random",
        0,
        [0, 1],
        2,
    )
    assert len(kept["mean"]) == len(kept["std"]) == RegionStore(whole / STORES[0]).region_dim
    # a split is measured with the same ruler as the others
    assert made[1]["attributes"] == kept


def test_an_extracted_data_set_gives_batches(whole: Path) -> None:
    assert verify(whole) == []
    for split in dataset_splits(whole):
        pairs = PairDataset.open(whole, split)
        batch = pack(pairs.samples(np.arange(len(pairs))))
        assert batch.region_features.shape == (pairs.region_lengths[pairs.image_rows].sum(), pairs.region_dim)


def test_batch_size_changes_no_feature(whole: Path, imported: Path) -> None:
    extract(imported, batch=5)
    np.testing.assert_allclose(
        features_of(imported).astype(np.float32), features_of(whole).astype(np.float32), atol=0.02
    )


@pytest.mark.real_data
def test_real_pictures_give_regions(real_data_dir: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "dev").mkdir(parents=True)
    lines = (real_data_dir / "nlvr" / "dev" / "dev.json").read_text(encoding="utf-8").splitlines(keepends=True)
    (source / "dev" / "dev.json").write_text("".join(lines[:4]), encoding="utf-8")
    (source / "dev" / "images").symlink_to(real_data_dir / "nlvr" / "dev" / "images")
    report = import_nlvr(source, tmp_path / "nlvr")
    extracted = extract(tmp_path / "nlvr").stores["regions-dev.zarr"]
    split = report.splits["dev"]
    assert (extracted.images, extracted.regions, extracted.skipped) == (split.pictures, split.regions, ())
    assert len(PairDataset.open(tmp_path / "nlvr", "dev")) == split.pairs - split.dropped


# -------------------------------------------------------------------------------------------------------- interruptions


@pytest.mark.parametrize("at", ["fitting the standardisation", "extracting regions-dev", "extracting regions-test"])
def test_an_interrupted_extraction_goes_on(whole: Path, imported: Path, at: str) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == at and done >= total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(imported, progress=interrupt)
    assert not (imported / STORES[1]).exists()
    extract(imported)
    assert files_of(imported) == files_of(whole)


def test_a_killed_extraction_goes_on(whole: Path, imported: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, str(imported)]
    killed = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (imported / STORES[0]).exists()
    # some pictures of its second batch are written, others are not
    assert len((imported / f"{STORES[0]}.partial" / "journal.jsonl").read_text().splitlines()) > 2
    extract(imported)
    for name in STORES:
        assert files_of(imported / name) == files_of(whole / name)


def test_a_finished_extraction_is_left_as_it_is(whole: Path) -> None:
    before = files_of(whole)
    told: list[str] = []
    report = extract(whole, progress=lambda what, done, total: told.append(what))
    assert files_of(whole) == before
    assert told == []
    assert report.stores[STORES[0]].images == 36


def test_an_extraction_does_not_go_on_in_another_way(whole: Path) -> None:
    for name, value in (("seed", 1), ("cells", 1), ("levels", (0,))):
        with pytest.raises(ValueError, match=r"was begun with \w+ = .*remove extraction\.json"):
            extract(whole, **{name: value})


# --------------------------------------------------------------------------------------------------------- bad pictures


def truncate(picture: Path) -> None:
    content = picture.read_bytes()
    picture.write_bytes(content[: len(content) // 2])


def test_a_damaged_picture_is_skipped_and_named(nlvr_source: Path, imported: Path) -> None:
    truncate(nlvr_source / "dev" / "images" / "7" / "dev-1-2-3.png")
    report = extract(imported)
    dev, test = (report.stores[name] for name in STORES)
    assert [picture.image for picture in dev.skipped] == ["dev-1-2-3"]
    assert (dev.images, dev.dropped_texts) == (35, 1)
    assert (test.images, test.skipped, test.dropped_texts) == (12, (), 0)
    listed = imported / "regions-dev.skipped.jsonl"
    assert f"1 pictures skipped, and 1 texts that show them, listed in {listed}:\n      dev-1-2-3: " in str(report)
    assert dev.skipped[0].reason
    assert verify(imported) == []
    pairs = PairDataset.open(imported, "dev")
    assert len(pairs) == 23
    assert "dev-1-2-3" not in pairs.text_ids
    pairs.samples(np.arange(len(pairs)))
    assert len(PairDataset.open(imported, "test")) == 12


def test_texts_of_a_damaged_picture_are_dropped_and_the_rest_kept(nlvr_source: Path, imported: Path) -> None:
    before = TextStore(imported / read_manifest(imported).splits["dev"].texts)
    expected = list(zip(before.text_ids, before.sentences, before.image_ids, before.groups, strict=True))
    truncate(nlvr_source / "dev" / "images" / "7" / "dev-2-0-0.png")
    extract(imported)
    after = TextStore(imported / read_manifest(imported).splits["dev"].texts)
    kept = list(zip(after.text_ids, after.sentences, after.image_ids, after.groups, strict=True))
    assert kept == [row for row in expected if row[0] != "dev-2-0-0"]


def test_a_later_run_still_names_what_was_skipped(nlvr_source: Path, imported: Path) -> None:
    truncate(nlvr_source / "test" / "images" / "test-1-0-0.png")
    extract(imported)
    before = files_of(imported)
    again = extract(imported).stores[STORES[1]]
    assert [picture.picture for picture in again.skipped] == ["test-1-0-0.png"]
    assert "truncated" in again.skipped[0].reason.lower()
    assert files_of(imported) == before


def test_a_damaged_picture_of_a_false_sentence_drops_no_text(nlvr_source: Path, imported: Path) -> None:
    (nlvr_source / "dev" / "images" / "7" / "dev-3-0-0.png").unlink()
    dev = extract(imported).stores[STORES[0]]
    assert [(picture.image, picture.reason) for picture in dev.skipped] == [("dev-3-0-0", "there is no such file")]
    assert dev.dropped_texts == 0


def test_no_readable_picture_at_all_is_an_error(nlvr_source: Path, imported: Path) -> None:
    for picture in nlvr_source.rglob("*.png"):
        picture.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"none of .* can be (read|used)"):
        extract(imported)


def test_pictures_that_moved_away_are_missed(nlvr_source: Path, imported: Path) -> None:
    nlvr_source.rename(nlvr_source.with_name("elsewhere"))
    with pytest.raises(ValueError, match="expects its pictures in"):
        extract(imported)


def test_a_data_set_without_box_files_is_refused(small_dataset: Path) -> None:
    with pytest.raises(ValueError, match="has no box file"):
        extract(small_dataset)


def test_a_damaged_box_file_is_named_by_its_line(imported: Path) -> None:
    path = box_file(imported / STORES[0])
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for line, what in (("{\n", "not JSON"), ("[]\n", "JSON object"), ('{"image": "a"}\n', "not an image's line")):
        path.write_text("".join([*lines[:4], line, *lines[5:]]), encoding="utf-8")
        with pytest.raises(ValueError, match=rf"boxes\.jsonl:5: .*{what}"):
            extract(imported)


# --------------------------------------------------------------------------------------------------- models and weights


class Trap:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_weights_file_is_not_run(imported: Path, tmp_path: Path) -> None:
    trap, sprung = {"conv1.weight": Trap(tmp_path / "sprung")}, tmp_path / "sprung"
    torch.save(trap, tmp_path / "saved.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(trap, protocol=2))
    for name in ("saved.pt", "bare.pt"):
        with pytest.raises(ValueError, match=rf"{name} holds more than tensors, and code in it is not run"):
            extract(imported, weights=str(tmp_path / name))
    assert not sprung.exists()
    assert not (imported / "extraction.json").exists()


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_of_the_whole_model_are_taken(imported: Path, tmp_path: Path, suffix: str) -> None:
    import timm
    from safetensors.torch import save_file

    tensors = timm.create_model(MODEL, pretrained=False).state_dict()
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pt":
        torch.save({"state_dict": tensors}, path)
    else:
        save_file(tensors, path)
    loaded = load_backbone(MODEL, weights=str(path), seed=0, levels=(0, 1), device="cpu").net.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in loaded.items())
    report = extract(imported, weights=str(path))
    assert "weights sha256:" in report.extractor


def test_features_follow_the_weights_of_the_file(whole: Path, imported: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file(load_backbone(MODEL, weights="random", seed=0, levels=(0, 1), device="cpu").net.state_dict(), path)
    extract(imported, weights=str(path))
    np.testing.assert_array_equal(features_of(imported), features_of(whole))


def test_weights_that_do_not_fit_are_refused(imported: Path, tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    tensors = timm.create_model(MODEL, pretrained=False).state_dict()
    path = tmp_path / "weights.safetensors"
    save_file({name: tensor for name, tensor in tensors.items() if name != "bn1.weight"}, path)
    with pytest.raises(ValueError, match=r"lacks 1 of the \d+ tensors of resnet18 \(bn1\.weight"):
        extract(imported, weights=str(path))
    save_file({**tensors, "bn1.weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"bn1\.weight has shape \(3,\), resnet18 expects \(64,\)"):
        extract(imported, weights=str(path))
    path.write_bytes(b"garbage")
    with pytest.raises(ValueError, match="is not a readable file of weights"):
        extract(imported, weights=str(path))
    (tmp_path / "empty.pt").touch()
    with pytest.raises(ValueError, match=r"is not a readable file of weights \(EOFError\)"):
        extract(imported, weights=str(tmp_path / "empty.pt"))
    with pytest.raises(ValueError, match="weights: there is no file"):
        extract(imported, weights=str(tmp_path / "absent.pt"))


def test_an_unknown_model_is_named_with_ones_like_it(imported: Path) -> None:
    with pytest.raises(ValueError, match=r"model: timm knows no 'resnet_18x': did you mean \w*resnet"):
        extract(imported, model="resnet_18x")
    with pytest.raises(ValueError, match=r"timm knows no 'zzz': see timm\.list_models"):
        extract(imported, model="zzz")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"levels": (0, 9)}, r"cannot be made with feature levels \[0, 9\]"),
        ({"levels": ()}, "levels: expected different numbers"),
        ({"levels": (1, 1)}, "levels: expected different numbers"),
        ({"cells": 0}, "cells: expected at least 1, got 0"),
        ({"batch": 0}, "batch: expected at least 1, got 0"),
    ],
)
def test_wrong_settings_are_named(imported: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        extract(imported, **settings)
    assert not (imported / "extraction.json").exists()


@pytest.mark.usefixtures("offline")
def test_a_hub_out_of_reach_is_told_with_the_ways_out(imported: Path) -> None:
    with pytest.raises(ValueError, match="the hub is out of reach") as caught:
        extract(imported, weights="hub")
    said = str(caught.value)
    assert "--weights FILE" in said
    assert "--weights random" in said
    assert "\n" not in said
    assert not (imported / "extraction.json").exists()


@pytest.mark.usefixtures("offline")
def test_a_hub_that_answers_at_length_is_told_on_one_line(imported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        def head(self, url: str, **_: Any) -> None:
            raise OSError(f"503 for {url}\nFor more information see elsewhere")

    monkeypatch.setattr("huggingface_hub.utils.get_session", Session)
    with pytest.raises(ValueError, match=r"the hub is out of reach \(503 for https://[^\n]*--weights random\)$"):
        extract(imported, weights="hub")


# -------------------------------------------------------------------------------------------------------- missing extra


@pytest.mark.parametrize("absent", ["timm", "torchvision"])
def test_a_missing_extra_is_named(imported: Path, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(RuntimeError, match=r'pip install "uniter-data\[extract\]"'):
        extract(imported)


def test_the_package_is_imported_without_the_extra() -> None:
    check = (
        "import sys, uniter_data, uniter_data.extract, uniter_data.importers.nlvr\n"
        "print([name for name in ('timm', 'torchvision', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
