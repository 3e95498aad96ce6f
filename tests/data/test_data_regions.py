"""Region stores, from writer to reader."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from uniter_data import RegionStore, RegionWriter


def unit_boxes(count: int) -> np.ndarray:
    return np.tile(np.array([0.1, 0.2, 0.5, 0.4, 0.4, 0.2]), (count, 1))


def test_regions_are_read_as_they_were_written(small_dataset: Path, image_arrays: Callable):
    store = RegionStore(small_dataset / "regions.zarr")
    assert (store.num_images, store.region_dim, store.num_classes) == (12, 8, 3)
    assert store.class_names == ("background", "ball", "box")
    assert store.attributes["extractor"] == "numpy"
    assert store.image_sizes[3].tolist() == [640, 483]
    rows = [7, 0, 7, 11]
    for row, record in zip(rows, store.read(rows), strict=True):
        written = image_arrays(row)
        np.testing.assert_array_equal(record.features, written["features"])
        np.testing.assert_array_equal(record.boxes[:, :6], written["boxes"])
        np.testing.assert_array_equal(record.boxes[:, 6], written["boxes"][:, 4] * written["boxes"][:, 5])
        np.testing.assert_array_equal(record.confidence, written["confidence"])
        np.testing.assert_array_equal(record.labels, written["labels"])
        assert (record.features.dtype, record.boxes.dtype) == (np.float16, np.float32)
        assert len(record.boxes) == store.region_lengths[row] == 1 + row % 6


def test_zarr_python_reads_the_same(small_dataset: Path, image_arrays: Callable):
    group = zarr.open_group(small_dataset / "regions.zarr", mode="r")
    offsets = group["offsets"][:]
    features = group["features"][offsets[5] : offsets[6]]
    np.testing.assert_array_equal(features, image_arrays(5)["features"])
    assert group["image_ids"][5] == "image-5"
    assert group.attrs["format"] == "uniter-regions"


def test_ids_are_found_by_name(small_dataset: Path):
    store = RegionStore(small_dataset / "regions.zarr")
    assert store.find(["image-3", "elsewhere", "image-0"]).tolist() == [3, -1, 0]
    assert copy.deepcopy(store).find(["image-3"]).tolist() == [3]


def test_nothing_is_read_as_nothing(tmp_path: Path):
    with RegionWriter(tmp_path / "regions.zarr", region_dim=2) as writer:
        writer.append("bare", np.empty((0, 2)), [])
        writer.append("one", [[1, 2]], unit_boxes(1))
        writer.publish()
    store = RegionStore(tmp_path / "regions.zarr")
    assert store.region_lengths.tolist() == [0, 1]
    assert [len(record.features) for record in store.read([0, 1, 0])] == [0, 1, 0]
    assert store.read([]) == []
    with RegionWriter(tmp_path / "empty.zarr", region_dim=2) as writer:
        writer.publish()
    assert RegionStore(tmp_path / "empty.zarr").num_images == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros((2, 3))}, r"features must have shape \(2, 4\), got \(2, 3\)"),
        ({"features": np.zeros((3, 4))}, r"features must have shape \(2, 4\), got \(3, 4\)"),
        ({"features": np.full((2, 4), 1e6)}, "features are not finite as float16"),
        ({"features": np.full((2, 4), np.nan)}, "features are not finite as float16"),
        ({"boxes": unit_boxes(2)[:, :4]}, r"boxes must have shape \(any, 6\), got \(2, 4\)"),
        ({"boxes": unit_boxes(2) * 640}, "boxes must lie in the unit square, got 64.0 to 320.0"),
        ({"confidence": np.ones(3)}, r"confidence must have shape \(2,\), got \(3,\)"),
        ({"labels": None}, "labels are missing, the store has class names"),
        ({"labels": np.ones((2, 5))}, r"labels must have shape \(2, 3\), got \(2, 5\)"),
        ({"image_id": "old"}, "'old' was appended before"),
        ({"image_id": ""}, "expected a name"),
    ],
)
def test_a_bad_image_is_named_and_refused(tmp_path: Path, changes: dict, message: str):
    good = {"features": np.zeros((2, 4)), "boxes": unit_boxes(2), "labels": np.ones((2, 3)) / 3}
    with RegionWriter(tmp_path / "regions.zarr", region_dim=4, class_names=["a", "b", "c"]) as writer:
        writer.append("old", **good)
        with pytest.raises(ValueError, match=message):
            writer.append(**({"image_id": "new"} | good | changes))
        writer.publish()
    assert RegionStore(tmp_path / "regions.zarr").image_ids.tolist() == ["old"]


def test_labels_want_class_names(tmp_path: Path):
    with (
        RegionWriter(tmp_path / "regions.zarr", region_dim=1) as writer,
        pytest.raises(ValueError, match="labels need class_names"),
    ):
        writer.append("a", [[0.0]], unit_boxes(1), labels=[[1.0]])


def edit(path: Path, change: Callable[[dict], object]) -> None:
    metadata = json.loads(path.read_text())
    change(metadata)
    path.write_text(json.dumps(metadata))


def test_missing_foreign_and_newer_stores_are_told_apart(own_dataset: Path):
    with pytest.raises(ValueError, match=r"nowhere\.zarr holds no regions: extract or import"):
        RegionStore(own_dataset / "nowhere.zarr")
    with pytest.raises(
        ValueError, match=r"is not a store of regions: expected format 'uniter-regions'.*'uniter-texts'"
    ):
        RegionStore(own_dataset / "train" / "texts.zarr")
    path = own_dataset / "regions.zarr"
    edit(path / "zarr.json", lambda metadata: metadata["attributes"].update(version=3))
    with pytest.raises(ValueError, match="has version 3 of the format, this uniter-data reads up to 2: upgrade"):
        RegionStore(path)
    edit(path / "zarr.json", lambda metadata: metadata["attributes"].update(version=1))
    edit(path / "zarr.json", lambda metadata: metadata["attributes"].pop("region_dim"))
    with pytest.raises(ValueError, match="attribute 'region_dim' is missing"):
        RegionStore(path)
    (path / "zarr.json").write_text("{")
    with pytest.raises(ValueError, match=r"zarr\.json cannot be read"):
        RegionStore(path)


def test_an_unfinished_store_is_not_mistaken_for_a_missing_one(tmp_path: Path):
    with RegionWriter(tmp_path / "regions.zarr", region_dim=1) as writer:
        writer.append("a", [[0.0]], unit_boxes(1))
    with pytest.raises(ValueError, match="its writing was interrupted, run the same command again"):
        RegionStore(tmp_path / "regions.zarr")


@pytest.mark.parametrize("array", ["boxes", "features", "confidence", "labels", "offsets"])
def test_arrays_that_do_not_belong_together_are_named(own_dataset: Path, array: str):
    path = own_dataset / "regions.zarr" / array / "zarr.json"
    edit(path, lambda metadata: metadata["shape"].__setitem__(0, metadata["shape"][0] - 1))
    with pytest.raises(ValueError, match="offsets|" + array):
        RegionStore(own_dataset / "regions.zarr")


def test_a_missing_array_is_named(own_dataset: Path):
    (own_dataset / "regions.zarr" / "labels" / "zarr.json").unlink()
    with pytest.raises(ValueError, match=r"regions\.zarr/labels is not a readable Zarr v3 array"):
        RegionStore(own_dataset / "regions.zarr")
