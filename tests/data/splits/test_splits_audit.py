"""Planted leaks: every one is found with its chain, nothing innocent is, and what could not be compared is counted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniter_data.splits import CrossIds, ImageSet, as_json, as_markdown, audit, read_id_list
from uniter_data.splits.addresses import Addresses
from uniter_data.splits.cross_ids import CrossLink

SECRET = "00a1b2c3d4"

# How a data set writes an id of a collection: as a name, or as a URL. `{}` is the number.
NAMES = {
    "coco": ("COCO_val2014_{:012d}.jpg", "coco_train2014_{:012d}.npz", "val2017/{:012d}.jpg"),
    "genome": ("vg_{}.npz", "VG_100K_2/{}.jpg"),
    "flickr": (f"{{}}_{SECRET}_z.jpg", "flickr30k_{:012d}.npz"),
}
URLS = {
    "flickr": (
        f"http://farm4.static.flickr.com/3/{{}}_{SECRET}.jpg",
        f"https://live.staticflickr.com/65535/{{}}_{SECRET}_b.jpg",
        "http://www.flickr.com/photos/somebody/{}/",
    ),
    "url": ("http://host.org/{}.jpg", "https://HOST.org/{}.jpg"),
}


def image_set(
    name: str, images: Sequence[str], *, urls: Mapping[str, str] | None = None, namespace: str = "", pictures=()
) -> ImageSet:
    return ImageSet.of(
        name,
        np.array(list(images), dtype=np.dtypes.StringDType()),
        np.arange(1, len(images) + 1),
        namespace=namespace,
        urls=Addresses(Path(__file__), urls.items()) if urls else None,
        pictures=tuple(map(str, pictures)),
    )


@dataclass
class Planted:
    """Images of one set, and the ids that each was given: known here without reading its name."""

    name: str
    ids: dict[str, set[str]] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    def plant(self, pick: st.DataObject, number: int) -> None:
        """An image that has a number in one collection by its name, perhaps another by its URL."""
        row = len(self.ids)
        named = pick.draw(st.sampled_from(["coco", "genome", "flickr", ""]))
        image = pick.draw(st.sampled_from(NAMES[named])).format(number) if named else f"row-{row}"
        if image in self.ids:
            return
        self.ids[image] = {f"{named}:{number}"} if named else set()
        linked = pick.draw(st.sampled_from(["flickr", "url", ""]))
        if linked:
            other = pick.draw(NUMBERS)
            self.urls[image] = pick.draw(st.sampled_from(URLS[linked])).format(other)
            self.ids[image].add(f"{linked}:{other}")


NUMBERS = st.integers(4000, 4030)  # so few that images meet, and that one number is of several collections


@settings(max_examples=150)
@given(st.data())
def test_all_leaks_are_found_and_nothing_else(data):
    sources = [Planted(name) for name in ("coco:train", "genome:train", "sbu:train")]
    splits = [Planted(name) for name in ("vqa:val", "flickr30k:test")]
    for planted in (*sources, *splits):
        for number in data.draw(st.lists(NUMBERS, min_size=1, max_size=8)):
            planted.plant(data, number)
    catalogue = data.draw(st.lists(st.tuples(NUMBERS, st.sampled_from(["coco", "flickr"]), NUMBERS), max_size=6))
    links = [(f"genome:{one}", f"{kind}:{other}") for one, kind, other in catalogue]
    cross = CrossIds(links=tuple(CrossLink(one=a, other=b, rule="genome id", evidence="file") for a, b in links))
    sets = [image_set(planted.name, planted.ids, urls=planted.urls) for planted in (*sources, *splits)]
    found = audit(sets[:3], sets[3:], cross=cross)
    said = {(leak.source, leak.image, leak.downstream) for leak in found.leaks}
    parts = components(
        [*links, *((f"{p.name}/{i}", id) for p in (*sources, *splits) for i in p.ids for id in p.ids[i])]
    )
    expected = {
        (source.name, image, split.name)
        for source in sources
        for split in splits
        for image in source.ids
        for part in parts
        if f"{source.name}/{image}" in part and any(f"{split.name}/{other}" in part for other in split.ids)
    }
    assert said == expected
    edges = {frozenset(edge) for edge in links} | {
        frozenset((f"{p.name}/{image}", id)) for p in (*sources, *splits) for image in p.ids for id in p.ids[image]
    }
    for leak in found.leaks:
        ends = [leak.chain[0].one, *(step.other for step in leak.chain)]
        assert ends[0] == f"{leak.source}/{leak.image}"
        assert ends[-1] == f"{leak.downstream}/{leak.evaluation_image}"
        assert {frozenset(map(unscheme, (step.one, step.other))) for step in leak.chain} <= edges
        assert [step.one for step in leak.chain[1:]] == ends[1:-1]


def unscheme(key: str) -> str:
    """A URL's key as it was planted, by its number."""
    return f"url:{key.rpartition('/')[2].removesuffix('.jpg')}" if key.startswith("url:") else key


def components(edges: Sequence[tuple[str, str]]) -> list[set[str]]:
    """Connected parts of a graph, the slow and plain way."""
    parts: list[set[str]] = []
    for one, other in edges:
        touched = [part for part in parts if one in part or other in part]
        parts = [part for part in parts if part not in touched] + [{one, other}.union(*touched)]
    return parts


# ---------------------------------------------------------------------------------------------------------------------


def test_a_chain_through_three_data_sets():
    """SBU knows the photo, Visual Genome the photo and its number, COCO the number: each link from another place."""
    sbu = image_set("sbu:train", ["7"], urls={"7": f"http://farm4.static.flickr.com/3/7777_{SECRET}.jpg"})
    genome = image_set("genome:train", ["5", "6"], namespace="genome")
    coco = image_set("karpathy:test", ["COCO_val2014_000000000042"])
    cross = CrossIds(
        links=(
            CrossLink(one="genome:5", other="coco:42", rule="genome id", evidence="image_data.json: [0]"),
            CrossLink(one="genome:5", other="flickr:7777", rule="genome id", evidence="image_data.json: [0]"),
        )
    )
    found = audit([sbu, genome], [coco], cross=cross)
    assert [(leak.source, leak.image, leak.rule) for leak in found.leaks] == [
        ("sbu:train", "7", "genome id"),
        ("genome:train", "5", "genome id"),
    ]
    assert [(step.one, step.other) for step in found.leaks[0].chain] == [
        ("sbu:train/7", "flickr:7777"),
        ("flickr:7777", "genome:5"),
        ("genome:5", "coco:42"),
        ("coco:42", "karpathy:test/COCO_val2014_000000000042"),
    ]
    assert audit([sbu, genome], [coco]).leaks == ()
    looked = {each.name: each for each in found.sources}
    assert (looked["sbu:train"].leaking_images, looked["genome:train"].leaking_texts) == (1, 1)


def test_distorted_copies_are_found_and_other_pictures_are_not(tmp_path, picture, distortions):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    for number in range(8):
        picture(number).save(theirs / f"{number}.png")
        picture(100 + number).save(ours / f"innocent-{number}.png")
        for name, distort in distortions.items():
            distort(picture(number)).save(ours / f"{name}-{number}.png")
    names = sorted(path.stem for path in ours.iterdir())
    source = image_set("captions:train", names, pictures=[ours])
    split = image_set("nlvr2:test", [str(number) for number in range(8)], pictures=[theirs])
    found = audit([source], [split])
    assert {leak.image for leak in found.leaks} == {name for name in names if not name.startswith("innocent")}
    assert all(leak.image.endswith(f"-{leak.evaluation_image}") and leak.rule == "picture hash" for leak in found.leaks)
    assert "of 64 bits" in found.leaks[0].chain[0].evidence
    assert (found.compared[0].whole, found.sources[0].hashed) == (len(names), len(names))


@pytest.fixture
def photos(tmp_path, picture):
    def make(name: str, pictures: Mapping[str, int], **known) -> ImageSet:
        folder = tmp_path / name.partition(":")[0]
        folder.mkdir()
        for image, number in pictures.items():
            picture(number).save(folder / f"{image}.png")
        return image_set(name, list(pictures), pictures=[folder], **known)

    return make


def test_pixels_and_ids_make_one_chain(photos):
    """The web's copy of a COCO picture leaks, though nobody has the evaluation split's pictures; so does its twin."""
    coco = photos("coco:train", {"COCO_val2014_000000000042": 1})
    web = photos("web:train", {"1": 1, "2": 2}, urls={"1": f"http://farm4.static.flickr.com/3/7777_{SECRET}.jpg"})
    sbu = image_set("sbu:train", [f"7777_{SECRET}.jpg", f"8888_{SECRET}.jpg"])
    found = audit([coco, web, sbu], [image_set("vqa:val", ["42"], namespace="coco")])
    assert [(leak.source, leak.image, leak.rule, len(leak.chain)) for leak in found.leaks] == [
        ("coco:train", "COCO_val2014_000000000042", "coco id", 2),
        ("web:train", "1", "picture hash", 3),
        ("sbu:train", f"7777_{SECRET}.jpg", "picture hash", 5),
    ]


def test_ids_of_one_catalogue_tell_alike_pictures_apart(photos):
    coco = photos("coco:train", {"COCO_train2014_000000000001": 1, "x": 1})
    split = photos("vqa:val", {"COCO_val2014_000000000002": 1})
    assert [leak.image for leak in audit([coco], [split]).leaks] == ["x"]


def test_a_chain_takes_one_step_by_pixels(photos, picture, monkeypatch):
    """What is like something like a picture need not be like it."""
    hashes = {picture(number).tobytes(): bits for number, bits in ((1, 0), (2, 0b1111), (3, 0b11111111))}
    images = photos("a:train", {"2": 2, "3": 3})
    split = photos("b:test", {"1": 1})
    monkeypatch.setattr("uniter_data.splits.hashing.picture_hash", lambda image: hashes[image.tobytes()])
    assert [leak.image for leak in audit([images], [split]).leaks] == ["2"]


def test_what_could_not_be_compared_is_said(photos):
    source = photos("web:train", {"hashed": 1, "plain-to-see": 2}, urls={"hashed": "http://host.org/1"})
    source = ImageSet.of(
        "web:train",
        np.array(["hashed", "nothing", "COCO_train2014_000000000001"], dtype=np.dtypes.StringDType()),
        np.ones(3, np.int64),
        namespace="",
        urls=source.urls,
        pictures=source.pictures,
    )
    split = photos("vqa:val", {"COCO_val2014_000000000002": 3})
    listed = image_set("coco:test", ["COCO_val2014_000000000003"])
    mixed = image_set("mixed:test", ["COCO_val2014_000000000003", "vg_4"])
    found = audit([source], [split, listed, mixed])
    assert [(c.downstream, c.whole, c.part, c.none) for c in found.compared] == [
        ("vqa:val", 2, 0, 1),
        ("coco:test", 1, 0, 2),
        ("mixed:test", 0, 1, 2),
    ]
    looked = found.sources[0]
    assert (looked.ids, looked.hashed, looked.unknown) == ({"coco": 1, "url": 1}, 1, 1)
    assert "may leak without being found" in as_markdown(found)
    nlvr2 = [image_set(f"nlvr2:{split}", [f"{split}-1-0-img0"]) for split in ("train", "dev")]
    assert audit(nlvr2[:1], nlvr2[1:]).compared[0].none == 1  # one photo may have both names


def test_the_report_is_the_same_every_time_and_names_all(photos):
    sets = [photos("a:train", {"1": 1, "2": 2, "3|4": 5})], [photos("b:test", {"1": 1, "2": 2})]
    one, other = audit(*sets), audit(*sets)
    assert as_json(one) == as_json(other)
    assert as_markdown(one) == as_markdown(other)
    raw = json.loads(as_json(one))
    assert raw["format"] == "uniter-audit"
    assert raw["counts"] == [
        {"source": "a:train", "rule": "picture hash", "downstream": "b:test", "images": 2, "texts": 3}
    ]
    assert [leak["image"] for leak in raw["leaks"]] == ["1", "2"]
    assert str(photos.__name__) not in as_json(one)
    for text in ("| a:train | picture hash | b:test | 2 | 3 |", "| a:train/1 | 1 | picture hash | b:test/1 |"):
        assert text in as_markdown(one)


def test_two_sets_of_one_name(refused):
    images = image_set("a:train", ["1"])
    refused(lambda: audit([images], [images]), "'a:train'")


@pytest.mark.real_data
def test_the_photos_of_flickr30k_are_found_in_sbu(real_data_dir):
    splits = {
        name: read_id_list(real_data_dir / "flickr30k" / f"{name}.txt", "flickr30k", name)
        for name in ("val", "test", "train")
    }
    rng = np.random.default_rng(0)
    planted = {name: rng.choice(ids.images, 50, replace=False).tolist() for name, ids in splits.items()}
    innocent = [str(number) for number in range(10**11, 10**11 + 500)]
    photos = [*planted["val"], *planted["test"], *planted["train"], *innocent]
    urls = {str(row): f"http://farm4.static.flickr.com/3/{photo}_{SECRET}.jpg" for row, photo in enumerate(photos)}
    found = audit([image_set("sbu:train", list(urls), urls=urls)], [splits["val"], splits["test"]])
    for name in ("val", "test"):
        said = {leak.evaluation_image for leak in found.leaks if leak.downstream == f"flickr30k:{name}"}
        assert said == set(planted[name])
    assert found.sources[0].leaking_images == 100
    assert [c.whole for c in found.compared] == [len(photos)] * 2
