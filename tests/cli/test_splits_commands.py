"""`uniter data audit` and `filter` as a person types them, and what `uniter pretrain` makes of their result."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from uniter_cli.main import app
from uniter_data import RegionWriter, Split, TextWriter, Tokenizer, write_dataset
from uniter_data.splits import DISTANCE

SECRET = "00a1b2c3d4"
QUICK = ("--tasks", "mlm", "--steps", "1", "--units", "60", "--set", "validation.every=0")


def write_pairs(folder: Path, images: list[str]) -> Path:
    tokenizer = Tokenizer.build(["a red ball"])
    with RegionWriter(folder / "regions.zarr", region_dim=8) as regions:
        for image in images:
            regions.append(image, np.ones((3, 8)), np.full((3, 6), 0.5))
        regions.publish()
    with TextWriter(folder / "texts.zarr", tokenizer=tokenizer) as texts:
        for image in images:
            texts.append(f"text-{image}", "a red ball", image)
        texts.publish()
    splits = {"train": Split(texts="texts.zarr", regions="regions.zarr")}
    return write_dataset(folder, name=folder.name, splits=splits, tokenizer=tokenizer)


@pytest.fixture
def sbu(tmp_path: Path) -> Path:
    folder = write_pairs(tmp_path / "sbu", list("12345678"))
    lines = [f"{row}\thttp://farm4.static.flickr.com/3/700{row}_{SECRET}.jpg\n" for row in range(1, 9)]
    (folder / "urls.tsv").write_text("".join(lines))
    return folder


def test_audit_filter_and_pretrain_in_processes_of_their_own(uniter_session, sbu: Path, tmp_path: Path):
    ids, view = tmp_path / "test.txt", tmp_path / "sbu-safe"
    ids.write_text("7001\n7002\n")
    against = ("--against", f"flickr30k:test={ids}")
    audited, refused, allowed, filtered, trained, again = uniter_session(
        [
            ("data", "audit", sbu, *against, "--record"),
            ("pretrain", "--data", sbu, *QUICK, "--out", tmp_path / "refused"),
            ("pretrain", "--data", sbu, *QUICK, "--out", tmp_path / "allowed", "--allow-leaks"),
            ("data", "filter", sbu, *against, "--out", view),
            ("pretrain", "--data", view, *QUICK, "--out", tmp_path / "trained"),
            ("data", "audit", view, *against, "--out", tmp_path / "audit"),
        ]
    )
    assert audited.status == 1
    assert "sbu:train: 2 of 8 images are pictures of evaluation splits, with 2 of 8 texts" in audited.stdout
    assert refused.status == 1
    assert refused.stderr.count("\n") == 1
    for said in ("2 images of split 'train'", str(sbu / "audit.json"), "uniter data filter", "--allow-leaks"):
        assert said in refused.stderr
    assert not (tmp_path / "refused").exists()
    assert (allowed.status, filtered.status, trained.status, again.status) == (0, 0, 0, 0), allowed.stderr
    assert "are trained on" in " ".join(allowed.stdout.split())
    assert "allow_leaks = true" in (tmp_path / "allowed" / "recipe.toml").read_text()
    assert "6 texts" in CliRunner().invoke(app, ["data", "info", str(view)]).stdout
    assert "0 of 6 images are pictures of evaluation splits" in again.stdout
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert (report["leaks"], report["compared"][0]["whole"], report["distance"]) == ([], 6, DISTANCE)
    assert [leak["evaluation_image"] for leak in json.loads((view / "audit.json").read_text())["leaks"]] == [
        "7001",
        "7002",
    ]


def test_every_option_reaches_the_audit(sbu: Path, tmp_path: Path):
    genome = write_pairs(tmp_path / "vg", ["5", "6"])
    (tmp_path / "image_data.json").write_text('[{"image_id": 5, "coco_id": 42, "flickr_id": 7003}]')
    photo = f"http://farm4.static.flickr.com/3/7004_{SECRET}.jpg"
    (tmp_path / "instances.json").write_text(json.dumps({"images": [{"id": 43, "flickr_url": photo}]}))
    (tmp_path / "ids.txt").write_text("42\n43\n")
    (tmp_path / "urls.tsv").write_text("6\thttp://host.org/a.jpg\n")
    (tmp_path / "dev.json").write_text(
        '{"identifier": "dev-1-0-0", "left_url": "https://host.org/a.jpg", "right_url": "http://host.org/b.jpg"}\n'
    )
    done = CliRunner().invoke(app, [
        "data", "audit", str(sbu), f"genome={genome}", "--against", f"coco:val={tmp_path / 'ids.txt'}",
        "--against", f"nlvr2:dev={tmp_path / 'dev.json'}", "--vg-images", str(tmp_path / "image_data.json"),
        "--coco-images", str(tmp_path / "instances.json"), "--urls", f"vg={tmp_path / 'urls.tsv'}",
        "--distance", "3", "--workers", "1", "--out", str(tmp_path / "audit"),
    ])  # fmt: skip
    assert done.exit_code == 1, done.output
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert [(leak["source"], leak["image"], leak["rule"], leak["downstream"]) for leak in report["leaks"]] == [
        ("sbu:train", "3", "genome id", "coco:val"),
        ("sbu:train", "4", "flickr id", "coco:val"),
        ("vg:train", "5", "genome id", "coco:val"),
        ("vg:train", "6", "url", "nlvr2:dev"),
    ]
    assert report["distance"] == 3
    assert {file["name"] for file in report["files"]} == {
        "urls.tsv", "ids.txt", "dev.json", "image_data.json", "instances.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--against", "coco:val=nowhere.txt", "--out", "x"], "nowhere.txt"),
        (["--against", "nowhere:val", "--out", "x"], "nowhere"),
        (["--against", "nowhere", "--out", "x"], "DIRECTORY:SPLIT"),
        (["--against", "IDS"], "--record"),
        (["--against", "IDS", "--urls", "y", "--out", "x"], "NAME=PLACE"),
    ],
)
def test_wrong_arguments(sbu: Path, tmp_path: Path, arguments: list[str], said: str):
    (tmp_path / "ids.txt").write_text("1\n")
    arguments = [f"coco:val={tmp_path / 'ids.txt'}" if argument == "IDS" else argument for argument in arguments]
    done = CliRunner().invoke(app, ["data", "audit", str(sbu), *arguments])
    assert done.exit_code == 1
    assert isinstance(done.exception, ValueError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
