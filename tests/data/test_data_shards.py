"""Shards written and mapped directly, against zarr-python as the independent implementation."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import Crc32cCodec

from uniter_data.stores.layout import RowLayout
from uniter_data.stores.rows import MappedRows, ZarrRows, open_rows
from uniter_data.stores.shards import ShardWriter

SHAPES = [((), "int64"), ((3,), "float16"), ((2, 2), "float32")]


def layout_of(shape: tuple[int, ...], dtype: str, *, checksum: bool = True) -> RowLayout:
    return RowLayout(dtype=np.dtype(dtype), row_shape=shape, chunk_rows=4, shard_chunks=3, checksum=checksum)


def some_rows(count: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return (np.random.default_rng(count).random((count, *shape)) * 1000).astype(dtype)


def write(folder: Path, layout: RowLayout, data: np.ndarray, *, blocks: int = 3) -> None:
    writer = ShardWriter(folder / "rows", layout)
    for block in np.array_split(data, blocks):
        writer.append(block)
    layout.create(zarr.create_group(folder), "rows", len(data))
    writer.finish()


def write_with_zarr(folder: Path, layout: RowLayout, data: np.ndarray) -> None:
    array = zarr.create_array(
        folder / "rows",
        shape=data.shape,
        chunks=(layout.chunk_rows, *layout.row_shape),
        shards=(layout.shard_rows, *layout.row_shape),
        dtype=data.dtype,
        compressors=Crc32cCodec() if layout.checksum else None,
        filters=None,
        config={"write_empty_chunks": True},
    )
    array[:] = data


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("count", [1, 4, 11, 12, 13, 25, 36])
@pytest.mark.parametrize(("shape", "dtype"), SHAPES)
@pytest.mark.parametrize("checksum", [True, False])
def test_shards_are_byte_for_byte_those_of_zarr_python(tmp_path, count, shape, dtype, checksum):
    layout = layout_of(shape, dtype, checksum=checksum)
    data = some_rows(count, shape, dtype)
    write(tmp_path / "ours", layout, data)
    write_with_zarr(tmp_path / "theirs", layout, data)
    assert files(tmp_path / "ours" / "rows") == files(tmp_path / "theirs" / "rows")
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "ours" / "rows", mode="r")[:], data)


@given(
    count=st.integers(1, 40),
    shape=st.sampled_from(SHAPES),
    stretches=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), max_size=6),
)
def test_stretches_are_read_as_zarr_python_reads_them(tmp_path_factory, count, shape, stretches):
    folder = tmp_path_factory.mktemp("rows")
    data = some_rows(count, *shape)
    write(folder, layout_of(*shape), data)
    starts = np.array([min(start, count) for start, _ in stretches], dtype=np.int64)
    stops = np.array([min(start + length, count) for start, length in stretches], dtype=np.int64)
    expected = np.concatenate([data[:0], *(data[a:b] for a, b in zip(starts, stops, strict=True))])
    mapped = open_rows(str(folder / "rows"))
    assert isinstance(mapped, MappedRows)
    for rows in (mapped, ZarrRows(str(folder / "rows"))):
        found = rows.read(starts, stops)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == data.dtype
        assert found.flags.writeable


@given(count=st.integers(0, 40), more=st.integers(0, 30), lost=st.integers(0, 30))
def test_a_writer_goes_on_from_any_row(tmp_path_factory, count, more, lost):
    folder = tmp_path_factory.mktemp("rows")
    layout = layout_of((3,), "float16")
    data = some_rows(count + more, (3,), "float16")
    write(folder / "left alone", layout, data)
    writer = ShardWriter(folder / "stopped" / "rows", layout)
    writer.append(data[:count])
    writer.append(some_rows(lost, (3,), "float16"))  # not noted in a journal
    writer.finish()  # and even published halfway
    writer = ShardWriter(folder / "stopped" / "rows", layout, rows=count)
    writer.append(data[count:])
    writer.finish()
    left_alone = files(folder / "left alone" / "rows")
    left_alone.pop("zarr.json")
    assert files(folder / "stopped" / "rows") == left_alone


@pytest.mark.parametrize("place", [0, 5, 11])
def test_absent_chunks_are_zeros(tmp_path, place):
    layout = layout_of((3,), "float16")
    array = zarr.create_array(
        tmp_path / "rows", shape=(20, 3), chunks=(4, 3), shards=(12, 3), dtype="float16", compressors=Crc32cCodec()
    )
    array[place] = 1.0  # the other chunks of the shard are not stored, nor is the second shard
    with pytest.raises(ValueError, match="c/1/0 cannot be opened"):
        open_rows(str(tmp_path / "rows"))
    array[19] = 2.0
    rows = open_rows(str(tmp_path / "rows"))
    assert isinstance(rows, MappedRows)
    assert rows.index.layout == layout
    np.testing.assert_array_equal(rows.read(np.array([0]), np.array([20])), array[:])


@pytest.mark.parametrize(
    "options",
    [
        {"compressors": "auto"},
        {"compressors": None, "fill_value": 1},
        {"compressors": None, "chunks": (4, 1)},
        {"compressors": None, "shards": None},
        {"compressors": None, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    ],
)
def test_what_cannot_be_mapped_is_read_through_zarr(tmp_path, options):
    data = some_rows(20, (3,), "float16")
    settings = {"shape": data.shape, "chunks": (4, 3), "shards": (12, 3), "dtype": "float16"} | options
    zarr.create_array(tmp_path / "rows", **settings)[:] = data
    rows = open_rows(str(tmp_path / "rows"))
    assert isinstance(rows, ZarrRows)
    np.testing.assert_array_equal(
        rows.read(np.array([3, 17]), np.array([9, 20])), np.concatenate([data[3:9], data[17:]])
    )


@pytest.mark.parametrize("size", [0, 10, 60, -1])
def test_a_shard_that_was_cut_short_is_named(tmp_path, size):
    write(tmp_path, layout_of((3,), "float16"), some_rows(20, (3,), "float16"))
    shard = tmp_path / "rows" / "c" / "1" / "0"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: size % len(whole)])
    with pytest.raises(ValueError, match=r"c/1/0 is cut short or its index is damaged"):
        open_rows(str(tmp_path / "rows"))


def test_rows_of_another_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected rows of shape \(3,\), got \(4,\)"):
        ShardWriter(tmp_path, layout_of((3,), "float16")).append(np.zeros((2, 4)))


def test_no_more_shards_are_open_than_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr("uniter_data.stores.rows.OPEN_SHARDS", 2)
    data = some_rows(60, (3,), "float16")
    write(tmp_path, layout_of((3,), "float16"), data)
    rows = open_rows(str(tmp_path / "rows"))
    for start in (0, 50, 13, 30, 2):
        np.testing.assert_array_equal(rows.read(np.array([start]), np.array([start + 3])), data[start : start + 3])
    assert len(rows._open) == 2
