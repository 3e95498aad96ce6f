"""Stores in fewer bytes: compressed, in eight bits, with the likeliest labels; written, read, repacked, resumed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, Crc32cCodec

from uniter_data import PairDataset, RegionStore, RegionWriter, info, read_manifest, repack, verify
from uniter_data.stores.layout import RowLayout
from uniter_data.stores.quantised import quantise
from uniter_data.stores.rows import ChunkedRows, open_rows
from uniter_data.stores.shards import ShardWriter
from uniter_data.stores.top_labels import keep_top

CLASSES = ("background", "ball", "box", "cone", "cube")
FORMATS = [
    {"layout": layout, "precision": precision, "top_labels": top}
    for layout in ("mapped", "compressed")
    for precision in ("float16", "int8")
    for top in (0, 2)
]


def image(number: int, dim: int = 40) -> dict[str, np.ndarray]:
    """Sparse, not negative features and a distribution over the classes, a pure function of the number."""
    rng = np.random.default_rng(number)
    count = 1 + number * 7 % 60
    labels = rng.random((count, len(CLASSES))) ** 6
    return {
        "features": np.maximum(rng.standard_normal((count, dim)), 0).astype(np.float16),
        "boxes": np.tile(np.float32([0.1, 0.2, 0.5, 0.4, 0.4, 0.2]), (count, 1)),
        "confidence": rng.random(count).astype(np.float32),
        "labels": (labels / labels.sum(axis=1, keepdims=True)).astype(np.float16),
    }


def write(path: Path, numbers: Sequence[int] = range(30), **settings) -> Path:
    with RegionWriter(path, region_dim=40, class_names=CLASSES, **settings) as writer:
        for number in numbers:
            if str(number) not in writer.done:
                writer.append(str(number), **image(number), size=(number, 9))
        return writer.publish()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("settings", FORMATS)
def test_every_format_reads_as_it_promises(tmp_path: Path, settings: dict):
    store = RegionStore(write(tmp_path / "regions.zarr", **settings))
    assert verify(store.location) == []
    for row, record in zip([29, 3, 3, 0], store.read([29, 3, 3, 0]), strict=True):
        written = image(row)
        np.testing.assert_array_equal(record.boxes[:, :6], written["boxes"])
        np.testing.assert_array_equal(record.confidence, written["confidence"])
        assert (record.features.dtype, record.labels.dtype) == (np.float16, np.float16)
        if settings["precision"] == "float16":
            np.testing.assert_array_equal(record.features, written["features"])
        else:
            step = written["features"].astype(np.float32).max(axis=1, keepdims=True) / 127
            assert (abs(record.features.astype(np.float32) - written["features"]) <= 0.51 * step + 1e-3).all()
        if not settings["top_labels"]:
            np.testing.assert_array_equal(record.labels, written["labels"])
        else:
            np.testing.assert_array_equal(record.labels.max(axis=1), written["labels"].max(axis=1))
            np.testing.assert_allclose(record.labels.sum(axis=1, dtype=np.float32), 1, atol=5e-3)


def test_compressed_stores_read_the_same_through_zarr(tmp_path: Path):
    group = zarr.open_group(write(tmp_path / "regions.zarr", layout="compressed"), mode="r")
    expected = np.concatenate([image(number)["features"] for number in range(30)])
    np.testing.assert_array_equal(group["features"][:], expected)
    assert group.attrs["version"] == 1  # every reader of Zarr, and of the first version, understands it


def test_numbers_that_are_not_the_features_have_a_version_of_their_own(tmp_path: Path):
    for name, settings in {"a": {"precision": "int8"}, "b": {"top_labels": 1}}.items():
        assert zarr.open_group(write(tmp_path / name, **settings), mode="r").attrs["version"] == 2


@pytest.mark.parametrize("count", [1, 4, 11, 12, 13, 36])
@pytest.mark.parametrize(("shape", "dtype"), [((3,), "float16"), ((), "float32"), ((5,), "int8")])
def test_compressed_shards_are_byte_for_byte_those_of_zarr_python(tmp_path, count, shape, dtype):
    layout = RowLayout(dtype=np.dtype(dtype), row_shape=shape, chunk_rows=4, shard_chunks=3, compressed=True)
    data = (np.random.default_rng(count).random((count, *shape)) * 100).astype(dtype)
    writer = ShardWriter(tmp_path / "ours" / "rows", layout)
    writer.append(data)
    layout.create(zarr.create_group(tmp_path / "ours"), "rows", count)
    writer.finish()
    blosc = BloscCodec(
        typesize=layout.dtype.itemsize,
        cname="zstd",
        clevel=1,
        shuffle="shuffle" if layout.dtype.itemsize > 1 else "noshuffle",
        blocksize=4 * layout.row_bytes,
    )
    array = zarr.create_array(
        tmp_path / "theirs" / "rows",
        shape=data.shape,
        chunks=layout.chunk_shape,
        shards=(layout.shard_rows, *shape),
        dtype=dtype,
        compressors=[blosc, Crc32cCodec()],
        filters=None,
        config={"write_empty_chunks": True},
    )
    array[:] = data
    assert files(tmp_path / "ours" / "rows") == files(tmp_path / "theirs" / "rows")


@given(
    count=st.integers(1, 40),
    stretches=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), max_size=6),
)
def test_compressed_stretches_are_read_exactly(tmp_path_factory, count, stretches):
    folder = tmp_path_factory.mktemp("rows")
    layout = RowLayout(dtype=np.dtype("float16"), row_shape=(3,), chunk_rows=4, shard_chunks=3, compressed=True)
    data = np.random.default_rng(count).random((count, 3)).astype("float16")
    writer = ShardWriter(folder / "rows", layout)
    writer.append(data)
    layout.create(zarr.create_group(folder), "rows", count)
    writer.finish()
    starts = np.array([min(start, count) for start, _ in stretches], dtype=np.int64)
    stops = np.array([min(start + length, count) for start, length in stretches], dtype=np.int64)
    rows = open_rows(str(folder / "rows"))
    assert isinstance(rows, ChunkedRows)
    expected = np.concatenate([data[:0], *(data[a:b] for a, b in zip(starts, stops, strict=True))])
    np.testing.assert_array_equal(rows.read(starts, stops), expected)


def test_chunks_that_zarr_did_not_store_are_zeros(tmp_path: Path):
    array = zarr.create_array(
        tmp_path / "rows", shape=(20, 3), chunks=(4, 3), shards=(20, 3), dtype="float16",
        compressors=[BloscCodec(typesize=2, cname="lz4"), Crc32cCodec()],
    )  # fmt: skip
    array[5] = 1.0
    rows = open_rows(str(tmp_path / "rows"))
    assert isinstance(rows, ChunkedRows)
    np.testing.assert_array_equal(rows.read(np.array([0]), np.array([20])), array[:])


@given(count=st.integers(0, 40), more=st.integers(0, 30), lost=st.integers(0, 30), finished=st.booleans())
def test_a_compressed_array_goes_on_from_any_row(tmp_path_factory, count, more, lost, finished):
    folder = tmp_path_factory.mktemp("rows")
    layout = RowLayout(dtype=np.dtype("float16"), row_shape=(3,), chunk_rows=4, shard_chunks=3, compressed=True)
    data = np.random.default_rng(count).random((count + more + lost, 3)).astype("float16")
    left_alone = ShardWriter(folder / "left alone", layout)
    left_alone.append(data[: count + more])
    left_alone.finish()
    stopped = ShardWriter(folder / "stopped", layout)
    stopped.append(data[:count])
    stopped.keep_tail()
    stopped.append(data[:lost])  # not noted in a journal
    if finished:
        stopped.finish()
    stopped.close()
    resumed = ShardWriter(folder / "stopped", layout, rows=count)
    resumed.append(data[count : count + more])
    resumed.finish()
    assert files(folder / "stopped") == files(folder / "left alone")


@pytest.mark.parametrize("settings", FORMATS)
def test_an_interrupted_writer_ends_in_the_same_store(tmp_path: Path, settings: dict):
    with RegionWriter(tmp_path / "stopped.zarr", region_dim=40, class_names=CLASSES, **settings) as writer:
        for number in range(11):
            writer.append(str(number), **image(number), size=(number, 9))
    assert files(write(tmp_path / "stopped.zarr", **settings)) == files(write(tmp_path / "alone.zarr", **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "zipped"}, "layout: expected mapped or compressed, got 'zipped'"),
        ({"precision": "int4"}, "precision: expected float16 or int8, got 'int4'"),
        ({"top_labels": 6}, "top_labels: expected 0 to the 5 classes, got 6"),
    ],
)
def test_unknown_formats_are_refused(tmp_path: Path, settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "regions.zarr", **settings)


def test_negative_labels_have_no_likeliest(tmp_path: Path):
    with (
        RegionWriter(tmp_path / "a.zarr", region_dim=40, class_names=CLASSES, top_labels=1) as writer,
        pytest.raises(ValueError, match=r"image 'x': labels must be probabilities, got -1\.0"),
    ):
        writer.append("x", **image(3) | {"labels": -(image(3)["labels"] ** 0)})


@given(st.lists(st.lists(st.floats(-60_000, 60_000, width=16), min_size=4, max_size=4), min_size=1, max_size=5))
def test_quantising_again_changes_nothing(rows):
    features = np.array(rows, dtype=np.float16)
    values, scales = quantise(features)
    stands_for = (values * scales[:, None]).astype(np.float16)
    again, same_scales = quantise(stands_for)
    np.testing.assert_array_equal(again, values)
    np.testing.assert_array_equal(same_scales, scales)


@given(st.lists(st.floats(0, 1, width=16), min_size=5, max_size=5), st.integers(1, 5))
def test_the_likeliest_are_those_of_a_stable_sort(row, count):
    labels = np.array([row], dtype=np.float16)
    classes, values, rest = keep_top(labels, count)
    expected = np.argsort(-labels[0], kind="stable")[:count]
    assert classes[0].tolist() == expected.tolist()
    np.testing.assert_array_equal(values[0], labels[0, expected])
    np.testing.assert_allclose(rest[0], labels.sum(dtype=np.float64) - values.sum(dtype=np.float64), atol=1e-6)


def test_repacking_there_and_back_changes_no_bit(tmp_path: Path):
    original = write(tmp_path / "mapped.zarr")
    repack(original, tmp_path / "compressed.zarr", layout="compressed")
    assert files(tmp_path / "compressed.zarr") == files(write(tmp_path / "direct.zarr", layout="compressed"))
    repack(tmp_path / "compressed.zarr", tmp_path / "back.zarr", layout="mapped")
    assert files(tmp_path / "back.zarr") == files(original)


def test_repacking_ends_in_what_the_writer_writes(tmp_path: Path):
    original = write(tmp_path / "full.zarr")
    small = {"layout": "compressed", "precision": "int8", "top_labels": 2}
    repack(original, tmp_path / "small.zarr", **small)
    assert files(tmp_path / "small.zarr") == files(write(tmp_path / "direct.zarr", **small))
    repack(tmp_path / "small.zarr", tmp_path / "smaller.zarr", layout="mapped", top_labels=1)
    assert RegionStore(tmp_path / "smaller.zarr").format.top_labels == 1
    with pytest.raises(ValueError, match="holds int8, float16 cannot be had from it"):
        repack(tmp_path / "small.zarr", tmp_path / "x.zarr", precision="float16")
    for more in (0, 3):
        with pytest.raises(ValueError, match="holds 2 of each label, more cannot be had from it"):
            repack(tmp_path / "small.zarr", tmp_path / "x.zarr", top_labels=more)


def test_an_interrupted_repacking_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("uniter_data.stores.repacking.BLOCK", 4)
    original = write(tmp_path / "full.zarr")

    def stop(what: str, done: int, total: int) -> None:
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repack(original, tmp_path / "small.zarr", layout="compressed", progress=stop)
    repack(original, tmp_path / "small.zarr", layout="compressed")
    assert files(tmp_path / "small.zarr") == files(write(tmp_path / "direct.zarr", layout="compressed"))


def test_a_data_set_is_repacked_with_its_texts(small_dataset: Path, tmp_path: Path, image_arrays: Callable):
    repack(small_dataset, tmp_path / "small", layout="compressed", precision="int8", top_labels=2)
    assert verify(tmp_path / "small") == []
    assert read_manifest(tmp_path / "small").licence == read_manifest(small_dataset).licence
    pairs, before = PairDataset.open(tmp_path / "small", "train"), PairDataset.open(small_dataset, "train")
    for sample, original in zip(pairs.samples([0, 7, 23]), before.samples([0, 7, 23]), strict=True):
        assert sample.token_ids.equal(original.token_ids)
        assert sample.region_boxes.equal(original.region_boxes)
        assert abs(sample.region_features - original.region_features).max() < 0.02
        assert sample.region_labels.argmax(1).equal(original.region_labels.argmax(1))
    assert "int8" in str(info(tmp_path / "small"))
    with pytest.raises(ValueError, match="holds a data set already"):
        repack(small_dataset, tmp_path / "small")


def test_stores_without_an_index_are_searched_all_the_same(own_dataset: Path):
    group = zarr.open_group(own_dataset / "regions.zarr", mode="r+")
    del group["image_hashes"], group["image_order"]
    del group.attrs["indexed"]
    assert RegionStore(own_dataset / "regions.zarr").find(["image-7", "elsewhere"]).tolist() == [7, -1]
    assert verify(own_dataset) == []


def test_an_index_of_other_images_is_a_finding(own_dataset: Path):
    zarr.open_group(own_dataset / "regions.zarr", mode="r+")["image_order"][:2] = [0, 0]
    (finding,) = verify(own_dataset)
    assert "the index of the images is not that of image_ids" in str(finding)
