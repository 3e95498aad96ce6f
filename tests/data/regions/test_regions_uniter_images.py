"""Official image databases: the golden samples exactly, and what else the converter writes."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import numpy as np
import pytest

from uniter_data import RegionStore
from uniter_data.examples.image_names import coco_image
from uniter_data.importers.regions import BoxRule, RegionImport, import_uniter_images
from uniter_data.stores.region_store import RegionRecord


def read_store(path: Path) -> dict[str, RegionRecord]:
    store = RegionStore(path)
    return dict(zip(store.image_ids.tolist(), store.read(range(store.num_images)), strict=True))


@pytest.fixture(scope="module")
def expected(golden_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((golden_dir / "lmdb" / "expected.json").read_text())
    return found


@pytest.mark.golden
def test_every_golden_sample_is_read_exactly(golden_dir: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    for number, (variant, images) in enumerate(expected["images"].items()):
        out = tmp_path / f"{number}.zarr"
        report = import_uniter_images(golden_dir / "lmdb" / "img_db" / variant, out)
        records = read_store(out)
        assert (report.images, set(records)) == (len(images), {name.removesuffix(".npz") for name in images})
        for name, said in images.items():
            record = records[name.removesuffix(".npz")]
            assert record.labels is not None
            features, labels = record.features.astype(np.float32), record.labels.astype(np.float32)
            assert features.shape == (said["num_bb"], said["dim"])
            assert features[0, :8].tolist() == said["feat_row0_first8"]
            assert features[-1, :4].tolist() == said["feat_lastrow_first4"]
            assert features.sum() == said["feat_sum"]
            assert (features != 0).sum() == said["feat_nonzero"]
            assert record.boxes[0, :6].tolist() == said["box_row0_6d"]
            assert record.boxes[-1].tolist() == said["box_lastrow_7d"]
            if "soft_labels_shape" in said:  # the official reader fails on the others' labels
                assert record.confidence[:3].tolist() == said["conf_first3"]
                assert labels.shape == (said["num_bb"], said["soft_labels_shape"][1])
                nonzero = {str(place): labels[0, place].item() for place in np.flatnonzero(labels[0])}
                assert nonzero == said["soft_labels_row0_nonzero"]
                likeliest = 1 + labels[:, 1:].argmax(1)
                assert likeliest.tolist() == said["soft_labels_argmax_without_background"][: said["num_bb"]]


@pytest.mark.golden
def test_databases_that_keep_everything_are_cut_by_rule(
    golden_dir: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    for variant in ("all", "all_compressed"):
        for threshold in (0.2, 0.3, 0.5):
            out = tmp_path / f"{variant}-{threshold}.zarr"
            source = golden_dir / "lmdb" / "img_db" / "flickr30k" / variant
            import_uniter_images(source, out, rule=BoxRule(threshold=threshold))
            for name, record in read_store(out).items():
                said = expected["images_all"][variant][f"{name}.npz"]
                assert len(record.features) == said[f"num_bb_th{threshold}_min10_max100"]


@pytest.mark.golden
def test_stores_keep_the_bits_of_the_records(golden_dir: Path, tmp_path: Path) -> None:
    folder = golden_dir / "lmdb" / "img_db" / "coco_train2014" / "feat_th0.2_max100_min10"
    import_uniter_images(folder, tmp_path / "coco.zarr")
    records = read_store(tmp_path / "coco.zarr")
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        for key, value in transaction.cursor():
            if key == b"__keys__":
                continue
            raw = {
                name: np.frombuffer(array[b"data"], array[b"type"]).reshape(array[b"shape"])
                for name, array in msgpack.unpackb(value).items()
            }
            record = records[key.decode().removesuffix(".npz")]
            assert record.labels is not None
            assert record.features.tobytes() == raw["features"].tobytes()
            assert record.labels.tobytes() == raw["soft_labels"].tobytes()
            assert (record.boxes[:, :6] == raw["norm_bb"]).all()
            assert (record.confidence == raw["conf"].ravel()).all()
    compressed = folder.with_name(folder.name + "_compressed")
    import_uniter_images(compressed, tmp_path / "same.zarr")
    for name, record in read_store(tmp_path / "same.zarr").items():
        assert record.features.tobytes() == records[name].features.tobytes()


@pytest.mark.golden
def test_annotations_find_the_pictures(golden_dir: Path, tmp_path: Path) -> None:
    folder = golden_dir / "lmdb" / "img_db" / "coco_train2014" / "feat_th0.2_max100_min10_compressed"
    import_uniter_images(folder, tmp_path / "coco.zarr")
    ids = RegionStore(tmp_path / "coco.zarr").image_ids.tolist()
    for name in ids:
        assert name in coco_image(int(name.rpartition("_")[2]), "train2014").candidates()


@pytest.fixture(params=["raw", "compressed"])
def encode(request: pytest.FixtureRequest, formats) -> Callable[[Any], bytes]:
    return formats.as_msgpack if request.param == "raw" else formats.as_npz


def test_json_is_the_truth(formats, encode, tmp_path: Path) -> None:
    folder = formats.write_images(tmp_path / "feat_th0.2_max100_min10", encode=encode)
    file = tmp_path / "nbb_th0.2_max100_min10.json"
    counts = json.loads(file.read_text())
    file.write_text(json.dumps(counts | {"coco_3.npz": 1}))
    import_uniter_images(folder, tmp_path / "out.zarr")
    assert len(read_store(tmp_path / "out.zarr")["coco_3"].features) == 1
    file.write_text(json.dumps(counts | {"coco_3.npz": 50}))
    with pytest.raises(ValueError, match=r"'coco_3.npz'.*expected 50 boxes"):
        import_uniter_images(folder, tmp_path / "long.zarr")
    del counts["coco_3.npz"]
    file.write_text(json.dumps(counts))
    with pytest.raises(ValueError, match=r"'coco_3.npz'.*does not name it"):
        import_uniter_images(folder, tmp_path / "less.zarr")
    file.write_text("[]")
    with pytest.raises(ValueError, match="JSON object from names"):
        import_uniter_images(folder, tmp_path / "none.zarr")
    file.unlink()
    assert import_uniter_images(folder, tmp_path / "all.zarr").regions == sum(2 + i % 3 for i in range(6))


def test_fixed_number_of_boxes_cuts_records(formats, tmp_path: Path) -> None:
    report = import_uniter_images(formats.write_images(tmp_path / "feat_numbb3"), tmp_path / "out.zarr")
    assert report.regions == sum(min(3, 2 + i % 3) for i in range(6))


def test_folder_must_be_called_as_released(formats, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="called as released"):
        import_uniter_images(formats.write_images(tmp_path / "features"), tmp_path / "out.zarr")


def test_classes_are_named(formats, tmp_path: Path) -> None:
    names = ("background", "a", "b", "c", "d")
    folder = formats.write_images(tmp_path / "all")
    import_uniter_images(folder, tmp_path / "named.zarr", options=RegionImport(class_names=names))
    assert RegionStore(tmp_path / "named.zarr").class_names == names
    with pytest.raises(ValueError, match="names of 5 classes"):
        import_uniter_images(folder, tmp_path / "other.zarr", options=RegionImport(class_names=names[:2]))


@pytest.mark.parametrize("listed", [["coco_0.npz"], ["coco_0.npz", "coco_1.npz", "coco_2.npz"]])
def test_names_and_their_list_must_agree(formats, tmp_path: Path, listed: list[str]) -> None:
    records = {f"coco_{number}.npz": formats.as_msgpack(formats.released(number)) for number in range(2)}
    folder = formats.write_lmdb(tmp_path / "all", records, names=listed)
    with pytest.raises(ValueError, match="__keys__"):
        import_uniter_images(folder, tmp_path / "out.zarr")
    report = import_uniter_images(folder, tmp_path / "out.zarr", options=RegionImport(skip_damaged=True))
    assert (report.images, len(report.skipped)) == (min(2, len(listed)), 1)


def pickled(formats) -> dict[str, bytes]:
    arrays = formats.released(0)
    bomb = np.array([{"a": 1}], dtype=object)
    hidden = {b"nd": True, b"type": "O", b"kind": b"O", b"shape": [1], b"data": pickle.dumps(bomb)}
    packed = msgpack.unpackb(formats.as_msgpack(arrays)) | {"features": hidden}
    extension = msgpack.unpackb(formats.as_msgpack(arrays)) | {"more": msgpack.ExtType(1, pickle.dumps(1))}
    return {
        "object array in npz": formats.as_npz(arrays | {"features": bomb}),
        "object array in msgpack": msgpack.packb(packed, use_bin_type=True),
        "extension type": msgpack.packb(extension, use_bin_type=True),
    }


@pytest.mark.parametrize("which", ["object array in npz", "object array in msgpack", "extension type"])
def test_pickled_payload_is_refused(formats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    def unpickle(*_: object, **__: object) -> None:
        pytest.fail("something was unpickled")

    record = pickled(formats)[which]
    monkeypatch.setattr(pickle, "load", unpickle)
    monkeypatch.setattr(pickle, "loads", unpickle)
    folder = formats.write_lmdb(tmp_path / "all", {"a.npz": record})
    with pytest.raises(ValueError, match="do not trust this file"):
        import_uniter_images(folder, tmp_path / "out.zarr")


def test_member_allow_pickle_is_ignored(formats, tmp_path: Path) -> None:
    folder = formats.write_lmdb(
        tmp_path / "all", {"a.npz": formats.as_npz(formats.released(0) | {"allow_pickle": np.array(True)})}
    )
    assert import_uniter_images(folder, tmp_path / "out.zarr").images == 1


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("features", lambda a: a.astype(np.int8), "features: expected 2 axes of floats"),
        ("features", lambda a: a[:-1], "same length"),
        ("conf", lambda a: a[0, 0], "same length"),
        ("features", lambda a: a * np.float16("nan"), "not finite"),
        ("norm_bb", lambda a: a * 3, "unit square"),
        ("norm_bb", lambda a: a[:, :4], "boxes must have shape"),
        ("conf", lambda a: a + 2, "confidence: expected values"),
        ("soft_labels", lambda a: a * 2, "sums of labels"),
        ("soft_labels", lambda a: -a, "labels: expected values"),
        ("soft_labels", lambda a: a * np.float16("nan"), "labels: expected values"),
    ],
)
def test_wrong_arrays_are_named(formats, encode, tmp_path: Path, name: str, spoil, said: str) -> None:
    wrong = formats.released(1)
    wrong[name] = spoil(wrong[name])
    folder = formats.write_lmdb(tmp_path / "all", {"a.npz": encode(formats.released(0)), "b.npz": encode(wrong)})
    with pytest.raises(ValueError, match=said) as error:
        import_uniter_images(folder, tmp_path / "out.zarr")
    assert "data.mdb: 'b.npz'" in str(error.value)
