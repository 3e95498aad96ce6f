"""Perceptual hashes: what they survive, what they tell apart, how they are searched and kept."""

import os
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from uniter_data.splits import DISTANCE, ImageSet
from uniter_data.splits.hash_journal import ABSENT, HASHED, PLAIN, RECORD, UNREADABLE, HashJournal
from uniter_data.splits.hashing import hash_pictures
from uniter_data.splits.near_hashes import HashIndex
from uniter_data.splits.picture_hash import picture_hash

BITS64 = st.integers(0, 2**64 - 1)


def bits(one: int | None, other: int | None) -> int:
    assert one is not None
    assert other is not None
    return (one ^ other).bit_count()


def test_a_hash_survives_what_happens_to_pictures(picture, distortions):
    for number in range(40):
        original = picture(number)
        for name, distort in distortions.items():
            assert bits(picture_hash(original), picture_hash(distort(original))) <= DISTANCE, (number, name)


def test_hashes_of_other_pictures_are_far(picture):
    hashes = [picture_hash(picture(number)) for number in range(150)]
    assert min(bits(one, other) for one, other in combinations(hashes, 2)) > DISTANCE


def test_plain_pictures_have_no_hash():
    noise = np.random.default_rng(0).integers(120, 124, (90, 90), np.uint8)
    for picture in (Image.new("L", (50, 40), 7), Image.linear_gradient("L"), Image.fromarray(noise)):
        assert picture_hash(picture) is None


@settings(max_examples=60)
@given(
    st.lists(BITS64, min_size=1, max_size=30), st.lists(BITS64, min_size=1, max_size=5), st.integers(0, 15), st.data()
)
def test_the_search_finds_what_comparing_each_with_each_finds(hashes, wanted, distance, data):
    # near ones are rare among random ones: add some
    flips = st.lists(st.integers(0, 63), max_size=17, unique=True)
    for number in wanted:
        hashes = [*hashes, number ^ sum(1 << bit for bit in data.draw(flips))]
    expected = {
        (row, other, (one ^ hash).bit_count())
        for row, one in enumerate(wanted)
        for other, hash in enumerate(hashes)
        if (one ^ hash).bit_count() <= distance
    }
    index = HashIndex(np.array(hashes, np.uint64))
    hits = index.near(np.array(wanted, np.uint64), distance)
    assert {hit for columns in hits for hit in zip(*(column.tolist() for column in columns), strict=True)} == expected


def test_many_equal_hashes_are_compared_in_parts(monkeypatch):
    monkeypatch.setattr("uniter_data.splits.near_hashes.COMPARED", 100)
    index = HashIndex(np.full(300, 5, np.uint64))
    hits = list(index.near(np.array([5, 4, 99], np.uint64), 1))
    assert {
        (one, other) for ones, others, _ in hits for one, other in zip(ones.tolist(), others.tolist(), strict=True)
    } == {(one, other) for one in (0, 1) for other in range(300)}
    assert max(len(ones) for ones, _, _ in hits) <= 300


def test_a_distance_out_of_range(refused):
    refused(lambda: list(HashIndex(np.zeros(1, np.uint64)).near(np.zeros(1, np.uint64), 16)), "distance", "16")


# ---------------------------------------------------------------------------------------------------------------------


def image_set(folder, *images) -> ImageSet:
    names = np.array(images, dtype=np.dtypes.StringDType())
    return ImageSet.of("set:train", names, np.ones(len(images), np.int64), namespace="", pictures=(str(folder),))


@pytest.fixture
def folder(tmp_path, picture):
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    for number in range(6):
        picture(number).save(tmp_path / "pictures" / ("deep" if number % 2 else "") / f"p{number}.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "pictures" / "plain.png")
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    return tmp_path / "pictures"


def run(images, **options):
    told = []
    found = hash_pictures(images, progress=lambda *said: told.append(said), **options)
    return found, told


def test_what_comes_of_pictures(folder, picture):
    images = image_set(folder, "p1", "plain", "nowhere", "broken", "a/p4.jpg")
    found, told = run(images)
    assert found.states.tolist() == [HASHED, PLAIN, ABSENT, UNREADABLE, HASHED]
    assert found.hashes.tolist() == [picture_hash(picture(1)), 0, 0, 0, picture_hash(picture(4))]
    assert told[-1] == ("hashing pictures of set:train", 4, 4)


def test_pictures_are_read_once_and_again_when_they_change(folder, picture, monkeypatch):
    images = image_set(folder, *(f"p{number}" for number in range(6)))
    first, _ = run(images)
    read = []
    hash_one = picture_hash
    monkeypatch.setattr("uniter_data.splits.hashing.picture_hash", lambda image: read.append(image) or hash_one(image))
    again, _ = run(images)
    assert (read, again.digest) == ([], first.digest)
    picture(99).save(folder / "p2.png")
    changed, _ = run(images)
    assert len(read) == 1
    assert changed.hashes[2] == hash_one(picture(99))


def test_a_journal_cut_short_goes_on(folder, own_cache, monkeypatch):
    images = image_set(folder, *(f"p{number}" for number in range(6)))
    whole, _ = run(images)
    (journal,) = (path for path in (own_cache / "picture-hashes").rglob("*") if path.is_file())
    os.truncate(journal, 3 * RECORD.itemsize + 5)
    again, _ = run(images, workers=1)
    assert again.digest == whole.digest
    assert journal.stat().st_size == 6 * RECORD.itemsize


def test_one_process_hashes_a_folder_at_a_time(folder, refused):
    with HashJournal(str(folder)):
        refused(lambda: run(image_set(folder, "p1")), "another process", str(folder))


def test_a_folder_without_pictures(tmp_path, refused):
    refused(lambda: run(image_set(tmp_path, "p1")), "has no picture", "set:train")


@pytest.mark.real_data
def test_pictures_that_differ_by_a_box_may_have_one_hash(real_data_dir):
    """NLVR's are drawn alike, with a few shapes in the same three boxes: the hash cannot tell all of them apart."""
    paths = sorted((real_data_dir / "nlvr" / "dev" / "images").rglob("*-0.png"))[:300]
    hashes = []
    for path in paths:
        with Image.open(path) as file:
            hashes.append(picture_hash(file.convert("RGB")))
    pairs = list(combinations([hash for hash in hashes if hash is not None], 2))
    near = sum(bits(one, other) <= DISTANCE for one, other in pairs) / len(pairs)
    assert 0 < near < 0.02
