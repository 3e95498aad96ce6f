"""Damage is found and named; sound stores are found sound."""

import json
from pathlib import Path

import pytest
import zarr

from uniter_data import TextWriter, Tokenizer, info, read_manifest, verify

ARRAYS = [
    *(
        ("regions.zarr", name)
        for name in (
            "features", "boxes", "confidence", "labels", "offsets", "image_ids", "image_sizes", "image_hashes",
            "image_order",
        )
    ),
    *(
        ("train/texts.zarr", name)
        for name in (
            "token_ids", "gold", "kinds", "offsets", "image_index", "groups", "text_ids", "sentences", "image_ids",
        )
    ),
]  # fmt: skip


def shard_of(dataset: Path, store: str, array: str) -> Path:
    return next(path for path in (dataset / store / array / "c").rglob("*") if path.is_file())


def test_a_sound_data_set_has_no_findings(small_dataset: Path):
    calls: list[tuple[str, int, int]] = []
    assert verify(small_dataset, progress=lambda *call: calls.append(call)) == []
    assert verify(small_dataset / "regions.zarr") == []
    assert verify(small_dataset / "train" / "texts.zarr") == []
    assert calls[-1][1:] == (9, 9)


def test_every_array_is_looked_at(small_dataset: Path):
    stored = {
        (str(path.parent.parent.relative_to(small_dataset)), path.parent.name)
        for path in small_dataset.rglob("*/*/zarr.json")
        if path.parent.parent.name.endswith(".zarr")
    }
    assert stored == set(ARRAYS)


@pytest.mark.parametrize(("store", "array"), ARRAYS)
@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_bit_is_found_in_its_array(own_dataset: Path, store: str, array: str, place: float):
    path = shard_of(own_dataset, store, array)
    raw = bytearray(path.read_bytes())
    raw[int(place * len(raw))] ^= 4
    path.write_bytes(raw)
    (finding,) = verify(own_dataset)
    assert finding.store == str(own_dataset / store)
    assert finding.array == array
    assert finding.chunk in (0, None)  # None: the index is damaged
    assert f"array {array}" in str(finding)
    assert "\n" not in str(finding)


@pytest.mark.parametrize(("store", "array"), ARRAYS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_found(own_dataset: Path, store: str, array: str, share: float):
    path = shard_of(own_dataset, store, array)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    findings = verify(own_dataset)
    assert {finding.array for finding in findings} == {array}


@pytest.mark.parametrize(("store", "array"), ARRAYS)
def test_a_file_that_is_gone_is_found(own_dataset: Path, store: str, array: str):
    shard_of(own_dataset, store, array).unlink()
    assert {finding.array for finding in verify(own_dataset)} == {array}


def test_the_damaged_chunk_is_numbered(tmp_path: Path):
    tokenizer = Tokenizer.build(["a"])
    with TextWriter(tmp_path / "texts.zarr", tokenizer=tokenizer) as writer:
        for number in range(4000):
            writer.append(str(number), "a " * 40, "image")
        writer.publish()
    path = shard_of(tmp_path, "texts.zarr", "token_ids")
    raw = bytearray(path.read_bytes())
    raw[2 * (2**18 + 4) + 5] ^= 1  # the third chunk of 256 KiB and a checksum
    path.write_bytes(raw)
    (finding,) = verify(tmp_path / "texts.zarr")
    assert (finding.array, finding.chunk) == ("token_ids", 2)


@pytest.mark.parametrize("compressors", [None, "auto"])
def test_an_array_without_checksums_is_said_to_be_so(own_dataset: Path, compressors: str | None):
    folder = own_dataset / "regions.zarr" / "boxes"
    boxes = zarr.open_array(folder, mode="r")[:]
    zarr.create_array(
        folder,
        shape=boxes.shape,
        chunks=(5, 6),
        shards=(20, 6),
        dtype="float32",
        compressors=compressors,
        overwrite=True,
    )[:] = boxes
    (finding,) = verify(own_dataset)
    assert (finding.array, finding.chunk) == ("boxes", None)
    assert "no checksums" in str(finding)


def test_missing_and_foreign_stores_are_findings(own_dataset: Path):
    (own_dataset / "regions.zarr").rename(own_dataset / "elsewhere.zarr")
    (finding,) = verify(own_dataset)
    assert "holds no regions: extract or import the regions" in str(finding)
    with pytest.raises(ValueError, match="holds no data set"):
        verify(own_dataset / "nothing")


def test_numbers_that_point_outside_are_found(own_dataset: Path):
    texts = zarr.open_group(own_dataset / "train" / "texts.zarr", mode="r+")
    texts["gold"][2] = 5
    texts["token_ids"][4] = 10_000
    size = read_manifest(own_dataset).vocabulary.size
    assert [str(finding).partition("array ")[2] for finding in verify(own_dataset)] == [
        f"token_ids: text 'text-0-1' points outside: the vocabulary has {size} entries",
        "gold: text 'text-0-0' points outside: its image has fewer regions",
    ]


def test_images_without_regions_are_found(own_dataset: Path):
    texts = zarr.open_group(own_dataset / "train" / "texts.zarr", mode="r+")
    texts["image_ids"][0] = "unheard-of"
    (finding,) = verify(own_dataset)
    assert "names image 'unheard-of'" in str(finding)


def test_info_says_what_there_is(small_dataset: Path):
    found = info(small_dataset)
    split = found.splits["train"]
    assert (split.texts, split.images, split.gold, split.dropped) == (24, 12, True, 0)
    assert split.regions == 3.5
    assert (found.region_dim, found.class_names, found.extractor) == (8, ("background", "ball", "box"), "numpy")
    for said in ("small", "made up", "CC0-1.0", "24 texts", "12 images", "3.5 regions each", "gold links", "3 classes"):
        assert said in str(found)


def test_info_says_what_is_missing(own_dataset: Path):
    (own_dataset / "regions.zarr").rename(own_dataset / "elsewhere.zarr")
    found = info(own_dataset)
    assert found.splits["train"].regions is None
    assert "holds no regions: extract or import the regions" in str(found)


def test_damaged_metadata_is_a_finding(own_dataset: Path):
    path = own_dataset / "regions.zarr" / "boxes" / "zarr.json"
    metadata = json.loads(path.read_text())
    metadata["shape"][0] += 1
    path.write_text(json.dumps(metadata))
    (finding,) = verify(own_dataset)
    assert "boxes has shape" in str(finding)
