"""Data sets behind URLs of every kind are read as they are here."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from uniter_core import Sample
from uniter_data import PairDataset, info, verify
from uniter_data.examples import ExampleDataset, describe_examples, verify_examples
from uniter_data.stores import cache
from uniter_data.stores.sources import ByteSource, LocalSource, open_source

FEATURES = "pairs/regions.zarr/features/c/0/0"


def same(one: Sample, other: Sample) -> bool:
    names = ("token_ids", "region_features", "region_boxes", "region_labels", "gold_regions")
    return one.id == other.id and all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def test_pairs_are_read_alike(root_url: str, shared_root: Path) -> None:
    here, there = PairDataset.open(shared_root / "pairs", "train"), PairDataset.open(f"{root_url}/pairs", "train")
    order = [5, 20, 3, 3]
    assert all(map(same, here.samples(order), pickle.loads(pickle.dumps(there)).samples(order)))  # noqa: S301
    assert there.sentence(3) == here.sentence(3)
    assert str(info(f"{root_url}/pairs")).replace(root_url, str(shared_root)) == str(info(shared_root / "pairs"))
    assert verify(f"{root_url}/pairs") == []


def test_examples_are_read_alike(root_url: str, shared_root: Path) -> None:
    here = ExampleDataset.open(shared_root / "examples", "train")
    there = ExampleDataset.open(f"{root_url}/examples", "train")
    for one, other in zip(here.examples([4, 0]), there.examples([4, 0]), strict=True):
        assert (one.id, one.annotation) == (other.id, other.annotation)
        assert all(map(torch.equal, one.texts, other.texts))
        assert all(torch.equal(a.features, b.features) for a, b in zip(one.images, other.images, strict=True))
    assert "6 examples" in describe_examples(f"{root_url}/examples")
    assert verify_examples(f"{root_url}/examples") == []


def test_what_is_not_there_is_said_so(root_url: str) -> None:
    with pytest.raises(ValueError, match=rf"{root_url}/none holds no data set"):
        PairDataset.open(f"{root_url}/none", "train")
    source = open_source(root_url)
    with pytest.raises(FileNotFoundError, match=f"{root_url}/none does not exist"):
        source.size("none")


def test_damage_is_found_and_named(tmp_path: Path, own_dataset: Path, range_server: type) -> None:
    shard = own_dataset / "regions.zarr" / "boxes" / "c" / "0" / "0"
    raw = bytearray(shard.read_bytes())
    raw[7] ^= 1
    shard.write_bytes(raw)
    ids = own_dataset / "train" / "texts.zarr" / "text_ids" / "c" / "0"
    ids.unlink()
    with range_server(own_dataset) as site:
        found = "\n".join(map(str, verify(site.url)))
    assert f"{site.url}/regions.zarr, array boxes" in found
    assert f"{site.url}/train/texts.zarr, array text_ids" in found


@pytest.mark.parametrize("kind", ["local", "http"])
def test_ranges_are_those_of_the_file(
    kind: str, shared_root: Path, range_server: type, small_blocks: cache.BlockCache
) -> None:
    whole = (shared_root / FEATURES).read_bytes()
    rng = np.random.default_rng(0)
    with range_server(shared_root) as site:
        source = open_source(site.url if kind == "http" else shared_root)
        assert source.size(FEATURES) == len(whole)
        for _ in range(20):
            ranges = [tuple(sorted(rng.integers(0, len(whole) + 1, 2).tolist())) for _ in range(rng.integers(1, 6))]
            found = pickle.loads(pickle.dumps(source)).read(FEATURES, ranges)  # noqa: S301
            assert [bytes(piece) for piece in found] == [whole[start:stop] for start, stop in ranges]
        with pytest.raises(ValueError, match=f"cut short: it has {len(whole)} bytes"):
            source.read(FEATURES, [(0, len(whole) + 1)])


def test_many_files_stay_open_but_not_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uniter_data.stores.sources.OPEN_FILES", 2)
    for number in range(4):
        (tmp_path / str(number)).write_bytes(bytes([number]) * number)
    source: ByteSource = LocalSource(tmp_path)
    views = [source.read(str(number), [(0, number)])[0] for number in range(4)]
    assert [bytes(view) for view in views] == [bytes([number]) * number for number in range(4)]
    shutil.rmtree(tmp_path / "0", ignore_errors=True)
    with pytest.raises(FileNotFoundError):
        source.size("none")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, refused: Callable[..., None]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    refused(lambda: open_source("gs://bucket/data"), "gs://bucket/data", 'pip install "uniter-data[gcs]"')
    refused(lambda: open_source("nonsense://bucket/data"), "nonsense://bucket/data", "Protocol not known")
