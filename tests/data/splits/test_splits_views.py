"""Filtered views: what is left, that nothing is copied, that a kill does not matter, and what refuses to go on."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest

from uniter_data import PairDataset, UnitBatches, info, read_manifest, repack, verify
from uniter_data.extract.waiting import waiting_stores
from uniter_data.splits import (
    audit,
    check_leaks,
    filter_datasets,
    open_downstream,
    open_sources,
    read_cross_ids,
    record_audit,
    with_places,
)

SECRET = "00a1b2c3d4"


@pytest.fixture
def ids(tmp_path) -> str:
    """The photos 1 to 3 are Flickr30k's."""
    (tmp_path / "ids.txt").write_text("7001\n7002\n7003\n")
    return f"flickr30k:test={tmp_path / 'ids.txt'}"


@pytest.fixture
def sbu(tmp_path, make_pairs) -> Path:
    """Five photos, 7001 to 7005; val shows 7002, 7004 and 7005."""
    urls = {str(row): f"http://farm4.static.flickr.com/3/700{row}_{SECRET}.jpg" for row in range(1, 6)}
    return make_pairs(tmp_path / "data" / "sbu", {"train": list("12345"), "val": list("245")}, urls=urls)


def view_of(sbu, ids, out) -> Path:
    _, (view,) = filter_datasets(open_sources([str(sbu)]), open_downstream([ids]), out)
    return view


def test_a_view_holds_what_does_not_leak(sbu, ids, tmp_path):
    view = view_of(sbu, ids, tmp_path / "views" / "safe")
    whole, kept = PairDataset.open(sbu, "train"), PairDataset.open(view, "train")
    assert kept.text_ids.tolist() == ["4-a", "4-b", "5-a", "5-b"]
    assert [kept.sentence(row) for row in range(4)] == ["a red ball", "red ball"] * 2
    for row, text in enumerate(kept.text_ids.tolist()):
        one, other = kept.sample(row), whole.sample(whole.text_ids.tolist().index(text))
        assert one.id == other.id
        assert one.token_ids.tolist() == other.token_ids.tolist()
        assert one.region_features.tolist() == other.region_features.tolist()
        assert kept.token_ids([row])[0].tolist() == one.token_ids.tolist()
    assert PairDataset.open(view, "val").text_ids.tolist() == ["4-a", "4-b", "5-a", "5-b"]
    assert [len(kept.text_lengths), len(kept.groups), len(kept.image_rows)] == [4, 4, 4]


def test_no_mismatched_partner_comes_from_what_was_left_out(sbu, ids, tmp_path):
    data = PairDataset.open(view_of(sbu, ids, tmp_path / "safe"), "train")
    shown = {
        str(data.regions.image_ids[row])
        for number in range(4)
        for batch in UnitBatches(data, units=64, seed=3, mismatch_probability=0.9).epoch(number)
        for row in np.concatenate(batch.image_rows).tolist()
    }
    assert shown == {"4", "5"}


def test_nothing_is_copied_and_everything_can_be_looked_at(sbu, ids, tmp_path):
    view = view_of(sbu, ids, tmp_path / "views" / "safe")
    assert sorted(path.name for path in view.iterdir()) == [
        "audit.json", "audit.md", "dataset.json", "tokenizer.json", "train.keep.zarr", "val.keep.zarr",
    ]  # fmt: skip
    manifest = read_manifest(view)
    assert manifest.splits["train"].texts == "../../data/sbu/train/texts.zarr"
    assert manifest.urls == "../../data/sbu/urls.tsv"
    assert json.loads((view / "audit.json").read_text())["filtered"]
    said = str(info(view))
    assert "audit.json; images of evaluation splits: train 0, val 0" in said
    assert "4 texts of" in said
    assert "6 texts left out of this view" in said
    assert verify(view) == []
    assert verify(view / "train.keep.zarr") == []
    assert check_leaks(view, "train") == []


def test_the_view_of_a_view_and_its_audit(sbu, ids, tmp_path):
    view = view_of(sbu, ids, tmp_path / "safe")
    assert audit(open_sources([str(view)]), open_downstream([ids])).leaks == ()
    (tmp_path / "more.txt").write_text("7004\n")
    again = view_of(view, f"flickr30k:val={tmp_path / 'more.txt'}", tmp_path / "safer")
    assert PairDataset.open(again, "train").text_ids.tolist() == ["5-a", "5-b"]
    assert read_manifest(again).splits["train"].texts == "../data/sbu/train/texts.zarr"


def test_several_views_follow_links_through_each_other(sbu, tmp_path, make_pairs):
    genome = make_pairs(tmp_path / "data" / "genome", {"train": ["1", "2", "3"]})
    catalogue = [{"image_id": 1, "coco_id": 42, "flickr_id": 7005}, {"image_id": 2, "coco_id": 43, "flickr_id": None}]
    (tmp_path / "image_data.json").write_text(json.dumps(catalogue))
    (tmp_path / "coco.txt").write_text("42\n")
    found, views = filter_datasets(
        open_sources([f"{sbu}:train", str(genome)]),
        open_downstream([f"coco:val={tmp_path / 'coco.txt'}"]),
        tmp_path / "views",
        cross=read_cross_ids(genome=[tmp_path / "image_data.json"]),
    )
    assert [view.name for view in views] == ["sbu", "genome"]
    assert [(leak.source, leak.image) for leak in found.leaks] == [("sbu:train", "5"), ("genome:train", "1")]
    assert "5-a" not in PairDataset.open(views[0], "train").text_ids.tolist()
    assert "5-a" in PairDataset.open(views[0], "val").text_ids.tolist()  # nobody asked for val to be filtered
    assert PairDataset.open(views[1], "train").text_ids.tolist() == ["2-a", "2-b", "3-a", "3-b"]


def test_a_view_knows_the_texts_that_it_was_made_of(sbu, ids, tmp_path, make_pairs, refused):
    view = view_of(sbu, ids, tmp_path / "safe")
    shutil.rmtree(sbu)
    make_pairs(sbu, {"train": list("51234"), "val": list("45")})
    refused(lambda: PairDataset.open(view, "val"), "val.keep.zarr", "written anew", "filter the data set again")
    assert "written anew" in str(verify(view)[0])


def test_damage_to_the_index_is_found(sbu, ids, tmp_path):
    view = view_of(sbu, ids, tmp_path / "safe")
    shard = view / "train.keep.zarr" / "rows" / "c" / "0"
    raw = bytearray(shard.read_bytes())
    raw[0] ^= 1
    shard.write_bytes(raw)
    (finding,) = verify(view)
    assert (finding.array, finding.chunk) == ("rows", 0)


def test_a_view_is_repacked_but_not_extracted(sbu, ids, tmp_path, refused):
    view = view_of(sbu, ids, tmp_path / "safe")
    out = repack(view, tmp_path / "small", layout="compressed")
    assert PairDataset.open(out, "train").text_ids.tolist() == ["4-a", "4-b", "5-a", "5-b"]
    assert (out / read_manifest(out).urls).exists()
    assert (out / read_manifest(out).audit.report).exists()
    refused(lambda: waiting_stores(view), "is a view")


def test_an_audit_that_is_recorded_keeps_its_data_set_from_training(sbu, ids, tmp_path, refused):
    sources = open_sources([str(sbu)])
    (note,) = check_leaks(sbu, "train")
    assert "never searched" in note
    record_audit(audit(sources, open_downstream([ids])), sources)
    refused(lambda: check_leaks(sbu, "train"), "3 images of split 'train'", "audit.json", "uniter data filter")
    refused(lambda: check_leaks(sbu, "val"), "1 images of split 'val'")
    (note,) = check_leaks(sbu, "train", allow=True)
    assert "are trained on" in note
    assert len(PairDataset.open(sbu, "train")) == 10
    view = view_of(sbu, ids, tmp_path / "safe")
    assert check_leaks(view, "train") == check_leaks(view, "val") == []
    val = open_sources([f"{sbu}:val"])
    record_audit(audit(val, open_downstream([ids])), val)
    refused(lambda: check_leaks(sbu, "train"), "3 images")  # what was known of train is not forgotten


def test_a_source_far_away_is_filtered_into_a_view_here(sbu, ids, tmp_path, refused):
    fsspec.filesystem("memory").put(str(sbu), "/bucket/far-sbu", recursive=True)
    sources = open_sources(["memory://bucket/far-sbu:train"])
    found, (view,) = filter_datasets(sources, open_downstream([ids]), tmp_path / "near")
    assert [leak.image for leak in found.leaks] == ["1", "2", "3"]
    assert [file["name"] for file in found.files] == ["urls.tsv", "ids.txt"]
    assert read_manifest(view).splits["train"].texts == "memory://bucket/far-sbu/train/texts.zarr"
    assert PairDataset.open(view, "train").text_ids.tolist() == ["4-a", "4-b", "5-a", "5-b"]
    refused(lambda: record_audit(found, sources), "is remote")


def test_what_cannot_be_filtered(sbu, ids, tmp_path, refused):
    (tmp_path / "there").mkdir()
    refused(lambda: view_of(sbu, ids, tmp_path / "there"), "exists already")
    (tmp_path / "all.txt").write_text("7002\n7004\n7005\n")
    everything = f"flickr30k:dev={tmp_path / 'all.txt'}"
    refused(lambda: view_of(sbu, everything, tmp_path / "none"), "split 'val'", "sbu:train")
    assert not (tmp_path / "none").exists()
    refused(lambda: open_downstream([str(sbu)]), "DIRECTORY:SPLIT")
    refused(lambda: open_sources([f"{sbu}:dev"]), "no split 'dev'", "train, val")
    refused(lambda: with_places(open_sources([str(sbu)]), urls={"cc": "x"}, pictures={}), "'cc'", "sbu:train, sbu")


def test_examples_of_a_task_are_splits_to_be_audited_against(tiny_tasks, sbu, tmp_path, refused):
    (images,) = open_downstream([f"{tiny_tasks / 'nlvr2'}:test"])
    assert images.name == "nlvr2:test"
    assert len(images) > 1
    assert images.texts.min() >= 1
    task = open_sources([str(tiny_tasks / "vqa")])
    assert audit(task, [images]).sources[0].images == len(task[0])
    refused(lambda: filter_datasets(task, [images], tmp_path / "out"), "a data set of pairs")


# ---------------------------------------------------------------------------------------------------------------------

FILTER = """
import sys
from uniter_data.splits import filter_datasets, open_downstream, open_sources, with_places
source, ids, out, ours, theirs = sys.argv[1:]
sets = with_places(
    [*open_sources([source]), *open_downstream([ids])], urls={}, pictures={"web:train": ours, "flickr30k:test": theirs}
)
filter_datasets(sets[:1], sets[1:], out, workers=1)
"""


def test_a_filter_killed_at_any_moment_goes_on_and_ends_the_same(tmp_path, make_pairs, picture, own_cache, monkeypatch):
    names = [f"w{number}" for number in range(700)]
    web = make_pairs(tmp_path / "web", {"train": names})
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    for number, name in enumerate(names):
        picture(number % 97).save(ours / f"{name}.jpg", quality=60)
    for number in range(5):
        picture(number).save(theirs / f"{7000 + number}.png")
    (tmp_path / "ids.txt").write_text("".join(f"{7000 + number}\n" for number in range(5)))
    ids = f"flickr30k:test={tmp_path / 'ids.txt'}"

    command = [sys.executable, "-c", FILTER, str(web), ids, str(tmp_path / "view"), str(ours), str(theirs)]
    journals = own_cache / "picture-hashes"
    killed = subprocess.Popen(command)
    while not any(path.is_file() and path.stat().st_size for path in journals.rglob("*")):
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "view").exists()
    subprocess.run(command, check=True)
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path / "another"))
    sets = with_places(
        [*open_sources([str(web)]), *open_downstream([ids])],
        urls={},
        pictures={"web:train": str(ours), "flickr30k:test": str(theirs)},
    )
    filter_datasets(sets[:1], sets[1:], tmp_path / "whole")
    contents = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "whole", tmp_path / "view")
    ]
    assert contents[0] == contents[1]
    leaking = [name for number, name in enumerate(names) if number % 97 < 5]
    left = PairDataset.open(tmp_path / "view", "train")
    assert {str(text)[:-2] for text in left.text_ids} == set(names) - set(leaking)
