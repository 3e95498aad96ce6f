"""Bytes flipped and files cut at random: `verify` finds it in every store, reading finds it in a compressed one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from uniter_data import RegionStore, RegionWriter, verify
from uniter_data.stores.rows import open_rows

IMAGES = 8
CASES = 320  # of each layout


@pytest.fixture(scope="module")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a small store of chunks of 4 rows, several a shard, in a layout."""

    def make(layout: str) -> Path:
        path = tmp_path_factory.mktemp(layout) / "regions.zarr"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("uniter_data.stores.layout.COMPRESSED_ROWS", 4)
            patch.setattr("uniter_data.stores.layout.CHUNK_BYTES", 4 * 48)
            with RegionWriter(path, region_dim=24, class_names=("a", "b"), layout=layout) as writer:
                for number in range(IMAGES):
                    rng = np.random.default_rng(number)
                    labels = rng.random((5, 2)).astype(np.float16)
                    writer.append(
                        str(number), np.maximum(rng.standard_normal((5, 24)), 0), rng.random((5, 6)), labels=labels
                    )
                return writer.publish()

    return make


def damage(path: Path, rng: np.random.Generator) -> str:
    """Flip one bit of a file or cut it somewhere; what was done."""
    raw = bytearray(path.read_bytes())
    place = int(rng.integers(len(raw)))
    if rng.random() < 0.5:
        path.write_bytes(raw[:place])
        return f"{path} cut at {place}"
    raw[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(raw)
    return f"{path} flipped at {place}"


@pytest.mark.parametrize("layout", ["mapped", "compressed"])
def test_verify_finds_whatever_was_damaged(make_store, layout):
    store = make_store(layout)
    files = sorted(path for path in store.rglob("*") if path.is_file() and path.name != "zarr.json")
    rng = np.random.default_rng(1)
    for _ in range(CASES):
        path = files[rng.integers(len(files))]
        sound = path.read_bytes()
        done = damage(path, rng)
        findings = verify(store)
        assert findings, done
        assert {finding.array for finding in findings} == {path.relative_to(store).parts[0]}, done
        path.write_bytes(sound)
    assert verify(store) == []


def test_reading_a_compressed_store_never_gives_wrong_rows(make_store):
    store = make_store("compressed")
    everything = np.array([0]), np.array([5 * IMAGES])
    rng = np.random.default_rng(2)
    for array in ("features", "labels"):
        (shard,) = (path for path in (store / array / "c").rglob("*") if path.is_file())
        sound = shard.read_bytes()
        expected = open_rows(str(store / array)).read(*everything)
        for _ in range(CASES):
            done = damage(shard, rng)
            with pytest.raises(ValueError, match=str(shard)) as error:
                open_rows(str(store / array)).read(*everything)
            assert "\n" not in str(error.value), done
            shard.write_bytes(sound)
        np.testing.assert_array_equal(open_rows(str(store / array)).read(*everything), expected)


def test_only_what_lies_in_the_damaged_chunk_is_refused(make_store):
    path = make_store("compressed")
    shard = path / "features" / "c" / "0" / "0"
    raw = bytearray(shard.read_bytes())
    raw[20] ^= 1
    shard.write_bytes(raw)
    store = RegionStore(path)
    assert len(store.read([1, 7])) == 2
    with pytest.raises(ValueError, match=r"regions\.zarr/features/c/0/0, chunk 0 is damaged: its bytes differ"):
        store.read([0])


def test_a_frame_of_another_size_is_refused_though_its_checksum_is_right(make_store):
    path = make_store("compressed")
    rows = open_rows(str(path / "features"))
    rows.index.layout = rows.index.layout.__class__(**vars(rows.index.layout) | {"chunk_rows": 5})
    with pytest.raises(ValueError, match=r"c/0/0, chunk 0 is damaged: it is no Blosc frame of 240 bytes"):
        rows.read(np.array([0]), np.array([1]))
