"""LMDB files read without the library, against the library."""

import struct
from pathlib import Path

import lmdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniter_data.importers.lmdb_file import open_lmdb


def write(folder: Path, records: dict[bytes, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key, value)
    return folder


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=60).filter(lambda key: 0 < len(key.encode()) < 500),
        st.one_of(st.binary(max_size=40), st.integers(1000, 20_000).map(bytes)),
        max_size=60,
    )
)
def test_whatever_the_library_wrote_is_read(
    tmp_path_factory: pytest.TempPathFactory, records: dict[str, bytes]
) -> None:
    folder = write(tmp_path_factory.mktemp("lmdb"), {key.encode(): value for key, value in records.items()})
    expected = sorted(records.items(), key=lambda item: item[0].encode())
    with open_lmdb(folder) as file:
        assert list(file.items()) == expected
        assert list(file.keys()) == [key for key, _ in expected]
        assert len(file) == len(records)
        assert all(file.get(key) == value for key, value in records.items())
        assert "no such key" not in file


def test_tree_of_several_levels_and_more_than_one_transaction(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in range(4):
        keys = rng.permutation(3000)[:2000]
        write(tmp_path / "big", {b"key-%09d" % key + bytes(50): b"%d of %d" % (part, key) for key in keys.tolist()})
    with lmdb.open(str(tmp_path / "big"), readonly=True, lock=False) as environment, environment.begin() as transaction:
        expected = [(key.decode(), value) for key, value in transaction.cursor()]
        assert environment.stat()["depth"] > 2
    with open_lmdb(tmp_path / "big") as file:
        assert list(file.items()) == expected
        assert all(file.get(key) == value for key, value in expected[::37])


def test_list_of_names_is_not_counted(tmp_path: Path) -> None:
    with open_lmdb(write(tmp_path / "db", {b"__keys__": b"[]", b"a": b"1"})) as file:
        assert (len(file), list(file.items()), file.get("__keys__")) == (1, [("a", b"1")], b"[]")


def test_lock_file_is_neither_needed_nor_made(tmp_path: Path) -> None:
    folder = write(tmp_path / "db", {b"a": b"1"})
    (folder / "lock.mdb").unlink()
    with open_lmdb(folder) as file:
        assert file.get("a") == b"1"
    assert [path.name for path in folder.iterdir()] == ["data.mdb"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: raw[:-1], "cut short"),
        (lambda raw: raw[:100], "cut short"),
        (lambda raw: b"", "cut short"),
        (lambda raw: b"PK" + raw[2:16] + bytes(4) + raw[20:], "no LMDB file"),
        (lambda raw: raw[:20] + struct.pack("<I", 2) + raw[24:], "data format 1"),
        (lambda raw: raw[:40] + struct.pack("<I", 5000) + raw[44:], "5000 bytes"),
    ],
)
def test_damaged_beginning_is_named(tmp_path: Path, spoil, said: str) -> None:
    file = write(tmp_path / "db", {b"a": b"1"}) / "data.mdb"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(ValueError, match=said) as error:
        open_lmdb(file.parent)
    assert str(file) in str(error.value)


def test_missing_file_and_missing_key(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        open_lmdb(tmp_path / "nowhere")
    with open_lmdb(write(tmp_path / "db", {b"a": b"1"})) as file, pytest.raises(ValueError, match="no record 'b'"):
        file.get("b")


def test_databases_within_the_file_are_no_records(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), map_size=1 << 20, max_dbs=1) as environment:
        environment.open_db(b"inner")
    with open_lmdb(tmp_path) as file, pytest.raises(ValueError, match="flags"):
        list(file.items())


def test_every_byte_of_a_small_file_may_be_flipped(tmp_path: Path) -> None:
    records = {b"%03d" % key: bytes([key]) * (1 + 700 * (key % 9)) for key in range(40)}
    file = write(tmp_path / "db", records) / "data.mdb"
    raw, expected = file.read_bytes(), [(key.decode(), value) for key, value in records.items()]
    rng = np.random.default_rng(0)
    found = 0
    # every byte of the meta data, and some of the rest
    for place in [*range(0, 160), *range(4096, 4256), *rng.integers(8192, len(raw), 400).tolist()]:
        damaged = bytearray(raw)
        damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            with open_lmdb(file.parent) as opened:
                read = list(opened.items())
        except ValueError as error:
            found += str(file) in str(error)
            continue
        if read != expected:  # an older transaction, or one byte of a key or a value
            assert not read or sum(a != b for a, b in zip(read, expected, strict=True)) == 1
    assert found > 50
