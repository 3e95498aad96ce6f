"""What names and URLs say of an image, and what they must not be taken for."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data.splits import read_cross_ids, read_id_list
from uniter_data.splits.addresses import Addresses
from uniter_data.splits.rules import Clues, identities

SECRET = "00a1b2c3d4"


def keys(name: str = "", url: str = "", namespace: str = "") -> set[str]:
    return {i.key for i in identities(Clues(name=name, url=url, namespace=namespace)) if i.namespace != "url"}


@pytest.mark.parametrize(
    "name",
    [
        "COCO_train2014_000000123456",
        "COCO_val2014_000000123456.jpg",
        "COCO_test2015_000000123456.jpg",
        "val2014/COCO_val2014_000000123456.jpg",
        "coco_train2014_000000123456.npz",
        "coco_val2014_000000123456.jpg.npz",
        "visual_grounding_coco_gt_000000123456.npz",
        "visual_grounding_det_coco_000000123456.npz",
        "train2017/000000123456.jpg",
        "images/unlabeled2017/000000123456.jpg",
        "coco:123456",
        "coco:000000123456",
    ],
)
def test_coco_names(name):
    assert keys(name) == keys(name, namespace="genome") == {"coco:123456"}


@pytest.mark.parametrize("name", ["123456", "000000123456", "000000123456.jpg", "val/000000123456.npz"])
def test_a_number_alone_is_whose_the_data_set_is(name):
    assert keys(name) == set()
    assert keys(name, namespace="coco") == {"coco:123456"}
    assert keys(name, namespace="genome") == {"genome:123456"}
    assert keys(name, namespace="flickr") == {"flickr:123456"}


@pytest.mark.parametrize("name", ["vg_2407890.npz", "vg_000002407890", "VG_100K/2407890.jpg", "VG_100K_2/2407890.jpg"])
def test_genome_names(name):
    assert keys(name) == keys(name, namespace="coco") == {"genome:2407890"}


@pytest.mark.parametrize(
    "url",
    [
        f"http://farm4.static.flickr.com/3050/2628911871_{SECRET}.jpg",
        f"http://static.flickr.com/3050/2628911871_{SECRET}.jpg",
        f"https://farm4.staticflickr.com/3050/2628911871_{SECRET}_z.jpg",
        f"https://live.staticflickr.com/65535/2628911871_{SECRET}_b.jpg",
        f"https://c2.staticflickr.com/4/3050/2628911871_{SECRET}.jpg?zz=1",
        f"https://farm4.staticflickr.com/3050/2628911871_{SECRET}_o.png",
        "http://www.flickr.com/photos/some-body/2628911871/",
        "https://flickr.com/photos/12345678@N00/2628911871/in/photostream",
        "https://www.flickr.com/photos/x/2628911871?ref=7",
        "http://www.flickr.com/photo.gne?id=2628911871",
        f"https://i0.wp.com/farm4.staticflickr.com/3050/2628911871_{SECRET}_z.jpg?resize=99",
        f"https://proxy.org/?url=https%3A%2F%2Ffarm4.staticflickr.com%2F3050%2F2628911871_{SECRET}.jpg",
        f"https://web.archive.org/web/2015/http://farm4.staticflickr.com/3050/2628911871_{SECRET}.jpg",
        "https://flic.kr/p/51iRUK",
    ],
)
def test_flickr_urls(url):
    assert keys("17", url) == {"flickr:2628911871"}
    assert keys(url) == {"flickr:2628911871"}


@pytest.mark.parametrize(
    "name", [f"2628911871_{SECRET}.jpg", f"a/2628911871_{SECRET}_b.jpg", "flickr30k_002628911871.npz"]
)
def test_flickr_file_names(name):
    assert keys(name) == {"flickr:2628911871"}


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("20170501_123456.jpg", ""),  # a camera's date and time
        ("20170501_1234567890.jpg", ""),
        ("IMG_2628911871.jpg", ""),
        ("my_coco_000000123456x", ""),
        ("cocoa_123456", ""),
        ("vgg_123456", ""),
        ("a", "https://www.flickr.com/photos/tags/2010/"),
        ("a", "https://www.flickr.com/photos/somebody/sets/72157616713786392/"),
        ("a", f"https://notstaticflickr.com/3050/2628911871_{SECRET}.jpg"),
        ("a", f"https://farm4.staticflickr.com/3050/buddyicons/2628911871{SECRET}.jpg"),
        ("a", "https://host.org/coco/000000123456.jpg"),
        ("a", "https://host.org/123456.jpg"),
    ],
)
def test_what_only_looks_alike(name, url):
    assert keys(name, url) == set()


def test_other_collections():
    assert keys("nlvr2_dev-850-0-img0.npz") == keys("dev-850-0-img0.png") == {"nlvr2:dev-850-0-img0"}
    frame = "3023_DISTRICT_9_00.53.25.794-00.53.27.977@0"
    forms = [f"lsmdc_3023_DISTRICT_9/{frame}.jpg", f"vcr_{frame}.npz", f"vcr_gt_{frame}", f"vcr:{frame}"]
    assert {key for form in forms for key in keys(form)} == keys(frame, namespace="vcr") == {f"vcr:{frame}"}
    assert keys("42.jpg", namespace="mine") == {"mine:42"}


def test_urls_are_one_address_however_written():
    def url(text: str) -> list[str]:
        return [i.key for i in identities(Clues(name="1", url=text)) if i.namespace == "url"]

    same = ["http://Host.org/a/B.jpg?w=2", "https://host.org:443/a/B.jpg?w=2#top", "HTTP://HOST.ORG:80/a/B.jpg?w=2"]
    assert {key for text in same for key in url(text)} == {"url:host.org/a/B.jpg?w=2"}
    assert url("http://host.org/a/b.jpg?w=2") != url(same[0])
    assert url("http://host.org:8080/a/B.jpg?w=2") != url(same[0])
    assert url("http://host.org") == ["url:host.org/"]


@given(st.integers(1, 10**12 - 1), st.sampled_from(["coco", "genome", "flickr", "", "mine"]))
def test_ids_of_two_collections_are_never_equal(number, namespace):
    names = [f"COCO_val2014_{number:012d}", f"vg_{number}", f"flickr30k_{number:012d}", str(number), f"{number:012d}"]
    found = [keys(name, namespace=namespace) for name in names]
    assert found[:3] == [{f"coco:{number}"}, {f"genome:{number}"}, {f"flickr:{number}"}] or namespace == "mine"
    if namespace in ("coco", "genome", "flickr"):
        assert found[3] == found[4] == {f"{namespace}:{number}"}
    elif not namespace:
        assert found[3] == found[4] == set()


# ---------------------------------------------------------------------------------------------------------------------


def save(path: Path, document) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_catalogues(tmp_path, refused):
    genome = save(tmp_path / "image_data.json", [
        {"image_id": 1, "coco_id": None, "flickr_id": None},
        {"image_id": 2, "coco_id": 42, "flickr_id": 77, "url": "…"},
    ])  # fmt: skip
    url = f"http://farm4.staticflickr.com/3/88_{SECRET}.jpg".replace("/88_", "/8888_")
    coco = save(
        tmp_path / "captions_val2014.json", {"images": [{"id": 42, "flickr_url": url}, {"id": 43}], "type": "x"}
    )
    links = read_cross_ids(genome=[genome], coco=[coco]).links
    said = [(link.one, link.other, link.evidence) for link in links]
    assert said == [
        ("genome:2", "coco:42", "image_data.json: [1]"),
        ("genome:2", "flickr:77", "image_data.json: [1]"),
        ("coco:42", "flickr:8888", "captions_val2014.json: images[0]"),
    ]
    refused(lambda: read_cross_ids(genome=[coco]), "image_data.json", "captions_val2014.json")
    refused(lambda: read_cross_ids(coco=[genome]), "a list of images")
    bad = save(tmp_path / "bad.json", [{"image_id": 1, "coco_id": "x", "flickr_id": None}])
    refused(lambda: read_cross_ids(genome=[bad]), "bad.json: [0]: coco_id", "a whole number")


def test_lists_of_ids(tmp_path, refused):
    lines = tmp_path / "ids.txt"
    lines.write_text(f"1000092795.jpg\n\nhttps://live.staticflickr.com/1/77777_{SECRET}.jpg\n1000092795.jpg\n")
    read = read_id_list(lines, "flickr30k", "test")
    assert (read.name, len(read), read.namespace) == ("flickr30k:test", 2, "flickr")
    assert [i.key for clues in read.all_clues() for i in identities(clues) if i.namespace == "flickr"] == [
        "flickr:1000092795",
        "flickr:77777",
    ]
    images = [{"filename": f"COCO_val2014_{n:012d}.jpg", "split": s} for n, s in ((1, "val"), (2, "test"), (3, "test"))]
    karpathy = save(tmp_path / "dataset_coco.json", {"images": images})
    assert read_id_list(karpathy, "coco", "test").images.tolist() == [f"COCO_val2014_{n:012d}" for n in (2, 3)]
    refused(lambda: read_id_list(karpathy, "coco", "dev"), "lists no image of split 'dev'")
    info = save(
        tmp_path / "info.json", {"images": [{"file_name": "000000000009.jpg", "coco_url": "http://x.org/9.jpg"}]}
    )
    (clues,) = read_id_list(info, "coco", "test2017").all_clues()
    assert keys(clues.name, clues.url, clues.namespace) == {"coco:9"}
    pair = {"identifier": "dev-1-0-0", "left_url": "http://a.org/l", "right_url": "http://a.org/r", "label": "True"}
    nlvr2 = tmp_path / "dev.json"
    nlvr2.write_text("".join(json.dumps(pair | {"identifier": f"dev-1-0-{n}"}) + "\n" for n in range(2)))
    read = read_id_list(nlvr2, "nlvr2", "dev")
    assert [(c.name, c.url) for c in read.all_clues()] == [
        ("dev-1-0-img0", "http://a.org/l"),
        ("dev-1-0-img1", "http://a.org/r"),
    ]
    empty = tmp_path / "empty.txt"
    empty.touch()
    refused(lambda: read_id_list(empty, "coco", "val"), "lists no image")
    refused(lambda: read_id_list(save(tmp_path / "z.json", {"x": 1}), "coco", "val"), "a list of images")


def test_addresses(tmp_path, refused):
    lines = tmp_path / "urls.tsv"
    lines.write_text("7\thttp://a.org/7\nx y\thttp://a.org/x\n7\thttp://a.org/7\n")
    read = Addresses.read(lines)
    assert read.find(["x y", "8", "7"]) == ["http://a.org/x", "", "http://a.org/7"]
    objects = tmp_path / "urls.jsonl"
    objects.write_text('{"image": "7", "url": "http://a.org/7"}\n')
    assert Addresses.read(objects).find(["7"]) == ["http://a.org/7"]
    lines.write_text("7\thttp://a.org/7\n7\thttp://a.org/8\n")
    refused(lambda: Addresses.read(lines), "two URLs")
    lines.write_text("7 http://a.org/7\n")
    refused(lambda: Addresses.read(lines), "urls.tsv:1", "a tab")


@pytest.mark.real_data
def test_the_splits_of_flickr30k(real_data_dir):
    splits = {
        path.stem: read_id_list(path, "flickr30k", path.stem) for path in (real_data_dir / "flickr30k").glob("*.txt")
    }
    found = {name: {i.key for c in read.all_clues() for i in identities(c)} for name, read in splits.items()}
    assert all(len(found[name]) == len(splits[name]) for name in splits)  # every line is a photo, none comes twice
    assert sum(map(len, found.values())) == len(set().union(*found.values()))  # no photo is in two splits


@pytest.mark.real_data
def test_the_urls_of_nlvr2(real_data_dir):
    read = read_id_list(real_data_dir / "nlvr2" / "dev.json", "nlvr2", "dev")
    found = [{i.namespace for i in identities(clues)} for clues in read.all_clues()]
    assert all("nlvr2" in namespaces and namespaces & {"url", "flickr"} for namespaces in found)
    assert any("flickr" in namespaces for namespaces in found)  # photos that no name tells
