"""TSV files, folders of npz and HDF5: what is read of each, and what is refused."""

import base64
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from uniter_data import RegionStore
from uniter_data.importers.regions import (
    BoxRule,
    RegionImport,
    import_butd,
    import_npz,
    import_vinvl,
    import_volta,
    read_class_names,
)
from uniter_data.stores.region_store import RegionRecord

IMAGES = 6


def read_store(path: Path) -> dict[str, RegionRecord]:
    store = RegionStore(path)
    return dict(zip(store.image_ids.tolist(), store.read(range(store.num_images)), strict=True))


def check(record: RegionRecord, arrays: dict[str, np.ndarray], size: tuple[int, int] = (640, 480)) -> None:
    """A record holds these features, and these boxes of a picture of this size."""
    corners = arrays["corners"] / np.array(size * 2, dtype=np.float32)
    assert record.features.tobytes() == arrays["features"].astype(np.float16).tobytes()
    np.testing.assert_array_equal(record.boxes[:, :4], corners)
    np.testing.assert_array_equal(record.boxes[:, 4:6], corners[:, 2:] - corners[:, :2])


# BUTD, LXMERT, VOLTA's TSV ------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_real_photographs(real_data_dir: Path, tmp_path: Path) -> None:
    source = real_data_dir / "butd" / "train2014_obj36.tsv"
    report = import_butd([source], tmp_path / "out.zarr")
    lines = source.read_text().splitlines()
    store, records = RegionStore(tmp_path / "out.zarr"), read_store(tmp_path / "out.zarr")
    assert (report.images, store.hard_labels, store.num_classes) == (len(lines), True, 1601)
    for row, line in enumerate(lines):
        image, height, width, objects, confidence, _, _, count, boxes, features = line.split("\t")

        def numbers(text: str, dtype: str) -> np.ndarray:
            return np.frombuffer(base64.b64decode(text), dtype)

        record = records[image]
        corners = numbers(boxes, "<f4").reshape(int(count), 4)
        check(record, {"features": numbers(features, "<f4").reshape(int(count), -1), "corners": corners},
              (int(width), int(height)))  # fmt: skip
        np.testing.assert_array_equal(record.confidence, numbers(confidence, "<f4"))
        assert record.labels is not None
        np.testing.assert_array_equal(record.labels.argmax(1), 1 + numbers(objects, "<i8"))
        assert (record.labels.sum(1) == 1).all()
        assert (store.image_ids[row], store.image_sizes[row].tolist()) == (image, [int(width), int(height)])


def test_lxmert_lines(formats, tmp_path: Path) -> None:
    import_butd([formats.write_lxmert(tmp_path / "a.tsv")], tmp_path / "out.zarr")
    for number, record in enumerate(read_store(tmp_path / "out.zarr").values()):
        arrays = formats.draw_arrays(number)
        check(record, arrays)
        assert record.labels is not None
        np.testing.assert_array_equal(record.labels.argmax(1), 1 + arrays["objects"])
        np.testing.assert_array_equal(record.confidence, arrays["confidence"])


def test_lines_as_first_published_have_no_classes_and_may_come_in_parts(formats, tmp_path: Path) -> None:
    files = []
    for number in range(4):
        arrays = formats.draw_arrays(number)
        count = len(arrays["corners"])
        line = [f"{number}", "640", "480", f"{count}", formats.b64(arrays["corners"]), formats.b64(arrays["features"])]
        files.append(tmp_path / f"karpathy_train.tsv.{number}")
        files[-1].write_bytes("\t".join(line).encode() + b"\r\n")  # as Python's csv ends lines
    report = import_butd(files, tmp_path / "out.zarr")
    store, records = RegionStore(tmp_path / "out.zarr"), read_store(tmp_path / "out.zarr")
    assert (report.images, store.num_classes, store.hard_labels) == (4, 0, False)
    for number in range(4):
        check(records[str(number)], formats.draw_arrays(number))
        assert (records[str(number)].confidence == 1).all()
    assert [source["name"] for source in store.attributes["attributes"]["source"]] == [file.name for file in files]


def test_lines_of_volta_have_soft_labels(formats, tmp_path: Path) -> None:
    lines = []
    for number in range(3):
        labels = formats.b64(formats.draw_arrays(number)["labels"])
        lines.append("\t".join([formats.lxmert_line(number).strip(), labels, "", labels]) + "\n")
    (tmp_path / "a.tsv").write_text("".join(lines))
    import_butd([tmp_path / "a.tsv"], tmp_path / "out.zarr")
    store, records = RegionStore(tmp_path / "out.zarr"), read_store(tmp_path / "out.zarr")
    assert (store.num_classes, store.hard_labels) == (5, False)
    for number, record in enumerate(records.values()):
        np.testing.assert_array_equal(record.labels, formats.draw_arrays(number)["labels"].astype(np.float16))


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        (0, "", "a name in the first column"),
        (1, "0", "img_h: expected a whole number"),
        (2, "6x0", "img_w: expected a whole number"),
        (2, "100", "unit square"),
        (3, base64.b64encode(np.full(2, 1600).tobytes()).decode(), "classes must be below 1601"),
        (4, "AAAA", "objects_conf"),
        (7, "3", "expected 3"),
        (8, "?" * 44, "boxes: no base64"),
        (9, "", "features: expected 2 rows"),
    ],
)
def test_wrong_columns_are_named(formats, tmp_path: Path, column: int, text: str, said: str) -> None:
    columns = formats.lxmert_line(0).strip().split("\t")
    columns[column] = text
    file = tmp_path / "a.tsv"
    file.write_text(formats.lxmert_line(1) + "\t".join(columns) + "\n")
    with pytest.raises(ValueError, match=said) as error:
        import_butd([file], tmp_path / "out.zarr")
    assert f"{file}:2" in str(error.value)
    file.write_text(formats.lxmert_line(1) + "no columns\n")
    with pytest.raises(ValueError, match="expected columns behind tabs"):
        import_butd([file], tmp_path / "out.zarr")


def test_files_are_named_when_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.tsv is no file"):
        import_butd([tmp_path / "nowhere.tsv"], tmp_path / "out.zarr")
    with pytest.raises(ValueError, match="got none"):
        import_butd([], tmp_path / "out.zarr")


# Folders of npz ------------------------------------------------------------------------------------------------------


def test_folder_as_released_is_cut_by_rule(formats, tmp_path: Path) -> None:
    folder = formats.write_npz(tmp_path / "npz")
    import_npz(folder, tmp_path / "out.zarr", rule=BoxRule(threshold=0.5, least=1))
    for number in range(IMAGES):
        arrays, record = formats.released(number), read_store(tmp_path / "out.zarr")[f"coco_{number}"]
        kept = max(1, int((arrays["conf"] > 0.5).sum()))
        assert record.features.tobytes() == arrays["features"][:kept].tobytes()
        np.testing.assert_array_equal(record.labels, arrays["soft_labels"][:kept])


@pytest.mark.parametrize("upright", [True, False])
def test_folder_of_bottom_up_attention_pytorch(formats, tmp_path: Path, upright: bool) -> None:
    folder = tmp_path / "npz" / "train2014"
    folder.mkdir(parents=True)
    for number in range(3):
        arrays = formats.draw_arrays(number)
        features = arrays["features"] if upright else arrays["features"].T
        info = np.array({"objects_id": [1]}, dtype=object)  # pickled, and never looked at
        size = {"image_w": np.array(640), "image_h": np.array(480), "num_bbox": np.array(len(arrays["corners"]))}
        held = {"x": features, "bbox": arrays["corners"], "info": info, **size}
        (folder / f"COCO_{number}.npz").write_bytes(formats.as_npz(held))
    report = import_npz(tmp_path / "npz", tmp_path / "out.zarr")
    assert report.labels == "without labels"
    for number, record in enumerate(read_store(tmp_path / "out.zarr").values()):
        check(record, formats.draw_arrays(number))


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"other": np.zeros(3)}, "expected arrays features, norm_bb, conf, soft_labels, or x, bbox"),
        ({"features": np.zeros((1, 4))}, "got no norm_bb and no conf"),
        ({"x": np.zeros((1, 4)), "bbox": np.zeros((1, 4))}, "got no image_h and no image_w"),
        ({"x": np.array([{}], dtype=object), "bbox": np.zeros((1, 4))}, "do not trust this file"),
    ],
)
def test_npz_of_other_arrays_say_what_is_missing(formats, tmp_path: Path, held: dict, said: str) -> None:
    (tmp_path / "a.npz").write_bytes(formats.as_npz(held))
    with pytest.raises(ValueError, match=said) as error:
        import_npz(tmp_path, tmp_path / "out.zarr")
    assert str(tmp_path / "a.npz") in str(error.value)


def test_folder_without_npz(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \.npz"):
        import_npz(tmp_path, tmp_path / "out.zarr")


# VinVL ---------------------------------------------------------------------------------------------------------------


def write_names(folder: Path) -> Path:
    file = folder / "VG-SGG-dicts.json"
    file.write_text(json.dumps({"label_to_idx": {f"thing {kind}": kind + 1 for kind in range(4)}}))
    return file


def test_published_features_with_predictions(formats, tmp_path: Path) -> None:
    source = formats.write_vinvl(tmp_path / "vinvl")
    options = RegionImport(class_names=read_class_names(write_names(tmp_path)))
    import_vinvl(source, tmp_path / "out.zarr", predictions=source.with_name("predictions.tsv"), options=options)
    store = RegionStore(tmp_path / "out.zarr")
    assert (store.region_dim, store.class_names[:2], store.hard_labels) == (16, ("background", "thing 0"), True)
    for number, record in enumerate(read_store(tmp_path / "out.zarr").values()):
        arrays = formats.draw_arrays(number)
        check(record, arrays)
        np.testing.assert_array_equal(record.labels.argmax(1), 1 + arrays["objects"])
        np.testing.assert_array_equal(record.confidence, arrays["confidence"])


def test_published_features_alone_place_their_boxes(formats, tmp_path: Path) -> None:
    source = formats.write_vinvl(tmp_path / "vinvl")
    assert import_vinvl(source, tmp_path / "out.zarr").labels == "without labels"
    for number, record in enumerate(read_store(tmp_path / "out.zarr").values()):
        check(record, formats.draw_arrays(number))


@pytest.mark.parametrize("swapped", [False, True])
def test_captioning_data(formats, tmp_path: Path, swapped: bool) -> None:
    features, labels, sizes = [], [], []
    for number in range(3):
        arrays = formats.draw_arrays(number)
        wide = np.frombuffer(base64.b64decode(formats.vinvl_lines(number)[0].split("\t")[2]), "<f4").reshape(-1, 22)
        wide = wide[:, [*range(20), 21, 20]] if swapped else wide
        features.append(f"{number}\t{json.dumps({'num_boxes': len(wide), 'features': formats.b64(wide)})}\n")
        objects = json.loads(formats.vinvl_lines(number)[1].split("\t")[1])["objects"]
        labels.append(f"{number}\t{json.dumps(objects)}\n")
        sizes.append(f'{number}\t[{{"height": 480, "width": 640}}]\n')
        assert len(arrays["corners"]) == len(wide)
    for name, lines in (("feature", features), ("label", labels), ("hw", sizes)):
        (tmp_path / f"train.{name}.tsv").write_text("".join(lines))
    source, label, size = (tmp_path / f"train.{name}.tsv" for name in ("feature", "label", "hw"))
    import_vinvl(source, tmp_path / "alone.zarr")
    import_vinvl(source, tmp_path / "all.zarr", predictions=label, sizes=size)
    for out in ("alone.zarr", "all.zarr"):
        for number, record in enumerate(read_store(tmp_path / out).values()):
            check(record, formats.draw_arrays(number))


def test_output_of_scene_graph_benchmark(formats, tmp_path: Path) -> None:
    lines, sizes = [], []
    for number in range(3):
        objects = json.loads(formats.vinvl_lines(number)[1].split("\t")[1])["objects"]
        for item, row in zip(objects, formats.draw_arrays(number)["features"], strict=True):
            item["feature"] = formats.b64(row)
        lines.append(f"{number}\t{json.dumps({'objects': objects, 'relations': None})}\n")
        sizes.append(f'{number}\t[{{"height": 480, "width": 640}}]\n')
    (tmp_path / "predictions.tsv").write_text("".join(lines))
    (tmp_path / "hw.tsv").write_text("".join(sizes))
    with pytest.raises(ValueError, match="nothing says where the boxes lie: give --predictions, and --sizes"):
        import_vinvl(tmp_path / "predictions.tsv", tmp_path / "out.zarr")
    import_vinvl(tmp_path / "predictions.tsv", tmp_path / "out.zarr", sizes=tmp_path / "hw.tsv")
    for number, record in enumerate(read_store(tmp_path / "out.zarr").values()):
        check(record, formats.draw_arrays(number))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace('"thing 0"', '"thing 9"', 1), "class: expected one of the 5 class names"),
        (lambda text: text.replace('"conf": ', '"conf": "x', 1).replace(', "rect"', '", "rect"', 1), "conf: expected"),
        (lambda text: text.replace('"rect": [', '"rect": [1, ', 1), "rect: expected"),
        (lambda text: text.replace("{", "", 1), "no JSON"),
        (lambda text: "".join(text.splitlines(keepends=True)[:-1]), "ends before"),
        (lambda text: text + text.splitlines(keepends=True)[0], "ends before"),
        (lambda text: text.replace("1\t", "2\t", 1), "expected the same image"),
        (lambda text: text.replace('"objects": [', '"objects": [{}, ', 1), "as many objects as features"),
    ],
)
def test_predictions_that_do_not_fit(formats, tmp_path: Path, spoil, said: str) -> None:
    source = formats.write_vinvl(tmp_path / "vinvl")
    predictions = source.with_name("predictions.tsv")
    predictions.with_suffix(".lineidx").unlink()
    predictions.write_text(spoil(predictions.read_text()))
    options = RegionImport(class_names=read_class_names(write_names(tmp_path)))
    with pytest.raises(ValueError, match=said):
        import_vinvl(source, tmp_path / "out.zarr", predictions=predictions, options=options)


def test_index_of_lines_finds_what_was_cut(formats, tmp_path: Path) -> None:
    source = formats.write_vinvl(tmp_path / "vinvl")
    lines = source.read_text().splitlines(keepends=True)
    source.write_text("".join(lines[:-1]))
    with pytest.raises(ValueError, match="cut short: expected 6 lines, got 5"):
        import_vinvl(source, tmp_path / "out.zarr")
    source.write_text("".join(lines[1:]))
    with pytest.raises(ValueError, match="is not where"):
        import_vinvl(source, tmp_path / "other.zarr")


# VOLTA's HDF5 --------------------------------------------------------------------------------------------------------


def test_hdf5(formats, tmp_path: Path) -> None:
    import_volta(formats.write_volta(tmp_path / "a.h5"), tmp_path / "out.zarr")
    records = read_store(tmp_path / "out.zarr")
    for number in range(IMAGES):
        arrays, record = formats.draw_arrays(number), records[f"COCO_{number}"]
        check(record, arrays)
        assert record.labels is not None
        np.testing.assert_array_equal(record.labels.argmax(1), 1 + arrays["objects"])


def test_hdf5_that_leads_elsewhere_or_holds_objects(formats, tmp_path: Path) -> None:
    formats.write_volta(tmp_path / "secret.h5", 1)
    secret = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/COCO_0/boxes")
    for spoil, said in (
        (lambda group: group.__setitem__("boxes", secret), "something else"),
        (lambda group: group.create_dataset("boxes", data=["text"], dtype=h5py.string_dtype()), "expected numbers"),
        (lambda group: group.create_group("boxes"), "something else"),
        (
            lambda group: group.create_dataset("boxes", data=np.zeros((1, 4)), external=str(tmp_path / "raw")),
            "in another",
        ),
        (lambda group: None, "got no boxes"),
    ):
        file = formats.write_volta(tmp_path / "a.h5", 1)
        with h5py.File(file, "a") as opened:
            del opened["COCO_0/boxes"]
            spoil(opened["COCO_0"])
        with pytest.raises(ValueError, match=said) as error:
            import_volta(file, tmp_path / "out.zarr")
        assert "a.h5: 'COCO_0'" in str(error.value)


def test_other_files_are_no_hdf5(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(os.urandom(4096))
    with pytest.raises(ValueError, match="no readable HDF5 file"):
        import_volta(tmp_path / "a.h5", tmp_path / "out.zarr")


# Class names ---------------------------------------------------------------------------------------------------------


def test_class_names(tmp_path: Path) -> None:
    (tmp_path / "objects_vocab.txt").write_text("yolk\ngoal\n\n")
    assert read_class_names(tmp_path / "objects_vocab.txt") == ("background", "yolk", "goal")
    (tmp_path / "with.txt").write_text("__background__\nyolk\n")
    assert read_class_names(tmp_path / "with.txt") == ("background", "yolk")
    assert read_class_names(write_names(tmp_path))[:3] == ("background", "thing 0", "thing 1")
    for text in ("{}", '{"label_to_idx": {"a": 2}}', '{"label_to_idx": 3}', "["):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match="no list of classes"):
            read_class_names(tmp_path / "a.json")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match="is empty"):
        read_class_names(tmp_path / "empty.txt")
