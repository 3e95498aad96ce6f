"""Data sets and their pairs: samples, workers, remote and compressed stores, input that does not fit."""

import copy
import json
import multiprocessing
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
import zarr
from PIL import Image
from torch.utils.data import DataLoader
from zarr.codecs import Crc32cCodec, ZstdCodec

from uniter_core import Sample, pack
from uniter_data import (
    PairDataset,
    RegionWriter,
    Split,
    TextWriter,
    Tokenizer,
    UnitBatches,
    dataset_splits,
    read_manifest,
    verify,
    write_dataset,
)


def equal(one: Sample, other: Sample) -> bool:
    values = [(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__]
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in values)


@pytest.fixture
def pairs(small_dataset: Path) -> PairDataset:
    return PairDataset.open(small_dataset, "train")


def test_a_data_set_describes_itself(pairs: PairDataset, small_dataset: Path):
    assert (pairs.name, pairs.split, len(pairs)) == ("small", "train", 24)
    assert (pairs.region_dim, pairs.num_classes, pairs.has_gold) == (8, 3, True)
    assert pairs.vocabulary == Tokenizer.from_file(small_dataset / "tokenizer.json").vocabulary
    assert pairs.image_rows.tolist() == [number // 2 for number in range(24)]
    assert pairs.text_lengths.tolist() == [6, 6] * 12  # "a red ball ," and "the small blue box", [CLS], [SEP]
    assert pairs.region_lengths.tolist() == [1 + number % 6 for number in range(12)]
    assert pairs.groups.tolist() == pairs.image_rows.tolist()
    assert pairs.sentence(3) == "the small blue box"
    assert str(pairs.text_ids[3]) == "text-1-1"
    assert pairs.picture(3) is None
    assert dataset_splits(small_dataset) == ["train"]
    assert read_manifest(small_dataset).licence == "CC0-1.0"


def test_a_sample_is_a_text_with_its_image(pairs: PairDataset, small_dataset: Path, image_arrays: Callable):
    sample = pairs.sample(4, key=77)
    tokenizer = Tokenizer.from_file(small_dataset / "tokenizer.json")
    assert tokenizer.tokens(sample.token_ids.tolist()) == ["[CLS]", "a", "red", "ball", ",", "[SEP]"]
    written = image_arrays(2)
    assert torch.equal(sample.region_features, torch.from_numpy(written["features"]))
    assert torch.equal(sample.region_boxes[:, :6], torch.from_numpy(written["boxes"]))
    assert torch.equal(sample.region_labels, torch.from_numpy(written["labels"]))
    assert sample.region_features.dtype == sample.region_labels.dtype == torch.float16
    assert sample.gold_regions.tolist() == [-1, -1, -1, 2, -1, -1]
    assert sample.token_kinds.tolist() == [0, 0, 2, 1, 0, 0]
    assert (sample.matched, sample.key, sample.id) == (True, 77, "text-2-0")


def test_a_sample_may_show_another_image(pairs: PairDataset, image_arrays: Callable):
    sample = pairs.sample(4, image_row=9, matched=False)
    assert torch.equal(sample.region_features, torch.from_numpy(image_arrays(9)["features"]))
    assert sample.gold_regions is None
    assert sample.token_kinds is not None
    assert not sample.matched
    assert [sample.matched for sample in pairs.samples([4, 4], image_rows=[2, 9])] == [True, False]


def test_samples_fetched_together_are_those_fetched_alone(pairs: PairDataset):
    batch = next(UnitBatches(pairs, units=400, seed=1, mismatch_probability=0.5))
    together = pairs.samples(
        batch.parts[0], image_rows=batch.image_rows[0], matched=batch.matched[0], keys=batch.keys[0]
    )
    drawn = zip(*(part[0].tolist() for part in (batch.parts, batch.image_rows, batch.matched, batch.keys)), strict=True)
    for sample, (text, row, matched, key) in zip(together, drawn, strict=True):
        assert equal(sample, pairs.sample(text, image_row=row, matched=matched, key=key))
    assert pack(together).num_units <= 400


def test_a_copy_opens_the_stores_anew(pairs: PairDataset):
    other = copy.deepcopy(pairs)
    assert other.regions is not pairs.regions
    assert equal(other.sample(5), pairs.sample(5))


class Samples(torch.utils.data.Dataset):
    """As a loader's workers see a data set."""

    def __init__(self, pairs: PairDataset) -> None:
        self.pairs = pairs

    def __getitem__(self, index: int) -> list[Sample]:
        return self.pairs.samples([index, (index + 7) % len(self.pairs)])

    def __len__(self) -> int:
        return len(self.pairs)


def same(batch: list) -> list:
    return batch


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_read_the_same_however_they_are_started(pairs: PairDataset, method: str):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot start processes by {method}")
    pairs.sample(0)  # the parent has everything open
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # newer Pythons warn of fork beside threads: that is the test
        loader = DataLoader(
            Samples(pairs), batch_size=None, num_workers=1, multiprocessing_context=method, collate_fn=same, timeout=60
        )
        for index, samples in enumerate(loader):
            assert equal(samples[0], pairs.sample(index))


@pytest.fixture
def remote(small_dataset: Path) -> Iterator[str]:
    filesystem = fsspec.filesystem("memory")
    filesystem.put(str(small_dataset), "/uniter-test", recursive=True)
    yield "memory://uniter-test"
    filesystem.rm("/uniter-test", recursive=True)


def test_a_remote_data_set_is_read_alike(pairs: PairDataset, remote: str):
    there = PairDataset.open(remote, "train")
    assert equal(there.sample(5), pairs.sample(5))
    batch = there.samples([3, 20, 3], image_rows=[1, 11, 5])
    assert all(equal(a, b) for a, b in zip(batch, pairs.samples([3, 20, 3], image_rows=[1, 11, 5]), strict=True))
    assert there.sentence(3) == pairs.sentence(3)
    assert verify(remote) == []
    with pytest.raises(ValueError, match="memory://nothing holds no data set"):
        PairDataset.open("memory://nothing", "train")


def test_a_compressed_store_is_read_alike(pairs: PairDataset, own_dataset: Path):
    folder = own_dataset / "regions.zarr"
    features = zarr.open_array(folder / "features", mode="r")[:]
    zarr.create_array(
        folder / "features",
        shape=features.shape,
        chunks=(5, 8),
        shards=(20, 8),
        dtype="float16",
        compressors=[ZstdCodec(), Crc32cCodec()],
        overwrite=True,
    )[:] = features
    assert equal(PairDataset.open(own_dataset, "train").sample(9), pairs.sample(9))
    assert verify(own_dataset) == []
    shard = folder / "features" / "c" / "1" / "0"
    raw = bytearray(shard.read_bytes())
    raw[30:60] = bytes(30)
    shard.write_bytes(raw)
    findings = verify(own_dataset)
    assert {finding.array for finding in findings} == {"features"}
    assert findings[0].chunk is not None
    assert findings[0].chunk >= 4  # of the second shard


def test_pictures_are_found_by_image_id(own_dataset: Path):
    folder = own_dataset / "pictures" / "1"
    folder.mkdir(parents=True)
    Image.new("L", (4, 3), 200).save(folder / "image-2.png")
    (folder / "image-3.txt").write_text("no picture")
    manifest = read_manifest(own_dataset)
    tokenizer = Tokenizer.from_file(own_dataset / "tokenizer.json")
    write_dataset(
        own_dataset, name="small", splits=manifest.splits, tokenizer=tokenizer, pictures={"train": "pictures"}
    )
    pairs = PairDataset.open(own_dataset, "train")
    picture = pairs.picture(5)
    assert picture is not None
    assert (picture.size, picture.mode, picture.getpixel((0, 0))) == ((4, 3), "RGB", (200, 200, 200))
    assert pairs.picture(7) is None


# What does not fit is refused at opening, in a line that says where and what to do.


def dataset_of(folder: Path, sentences: dict[str, str], regions: dict[str, int]) -> Path:
    tokenizer = Tokenizer.build(["a red ball"])
    with RegionWriter(folder / "regions.zarr", region_dim=2) as writer:
        for image, count in regions.items():
            writer.append(image, np.zeros((count, 2)), np.zeros((count, 6)))
        writer.publish()
    with TextWriter(folder / "texts.zarr", tokenizer=tokenizer) as writer:
        for image, sentence in sentences.items():
            writer.append(f"text of {image}", sentence, image)
        writer.publish()
    return write_dataset(
        folder, name="odd", splits={"train": Split(texts="texts.zarr", regions="regions.zarr")}, tokenizer=tokenizer
    )


def test_an_image_without_an_entry_is_named(tmp_path: Path):
    dataset_of(tmp_path, {"i1": "a ball", "i2": "a ball"}, {"i1": 1})
    with pytest.raises(ValueError, match=r"text 'text of i2' names image 'i2', which .*regions\.zarr lacks \(1 such"):
        PairDataset.open(tmp_path, "train")


def test_an_image_without_regions_is_named(tmp_path: Path):
    dataset_of(tmp_path, {"i1": "a ball", "i2": "a ball"}, {"i1": 1, "i2": 0})
    with pytest.raises(ValueError, match=r"image 'i2' of text 'text of i2' has no region \(1 such pairs\)"):
        PairDataset.open(tmp_path, "train")


def test_an_empty_sentence_is_named(own_dataset: Path):
    texts = zarr.open_group(own_dataset / "train" / "texts.zarr", mode="r+")
    texts["offsets"][4] = texts["offsets"][3]
    with pytest.raises(ValueError, match=r"the sentence of text 'text-1-1' is empty \(1 such texts\)"):
        PairDataset.open(own_dataset, "train")


def test_a_split_without_texts_is_refused(tmp_path: Path):
    dataset_of(tmp_path, {}, {"i1": 1})
    with pytest.raises(ValueError, match=r"texts\.zarr holds no text"):
        PairDataset.open(tmp_path, "train")


def test_regions_may_be_missing_until_they_are_extracted(own_dataset: Path):
    shutil.rmtree(own_dataset / "regions.zarr")
    with pytest.raises(ValueError, match=r"regions\.zarr holds no regions: extract or import the regions"):
        PairDataset.open(own_dataset, "train")


def test_another_vocabulary_is_refused(own_dataset: Path):
    other = Tokenizer.build(["other words"])
    size = read_manifest(own_dataset).vocabulary.size
    with pytest.raises(ValueError, match=rf"texts\.zarr was written with another vocabulary \({size} entries\)"):
        write_dataset(own_dataset, name="small", splits=read_manifest(own_dataset).splits, tokenizer=other)
    manifest = json.loads((own_dataset / "dataset.json").read_text())
    manifest["vocabulary"]["digest"] = "0" * 64
    (own_dataset / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"another vocabulary.*import the texts again"):
        PairDataset.open(own_dataset, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "coco"}, "its format is 'coco', expected 'uniter-dataset'"),
        ({"version": 3}, "version 3 is newer than this uniter-data reads"),
        ({"vocabulary": {"size": 3}}, "not a vocabulary"),
        ({"splits": {"train": {"text": "texts.zarr"}}}, "import the data set again"),
        ({"splits": 3}, "import the data set again"),
    ],
)
def test_a_bad_manifest_is_named(own_dataset: Path, change: dict, message: str):
    path = own_dataset / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=rf"dataset\.json cannot be used .*{message}"):
        PairDataset.open(own_dataset, "train")


def test_an_unknown_split_and_a_missing_data_set_are_named(small_dataset: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="has no split 'dev': it has train"):
        PairDataset.open(small_dataset, "dev")
    with pytest.raises(ValueError, match=r"holds no data set: dataset\.json is missing"):
        PairDataset.open(tmp_path, "train")
    with pytest.raises(ValueError, match="splits: expected at least one"):
        write_dataset(tmp_path, name="none", splits={}, tokenizer=Tokenizer.build(["a"]))
