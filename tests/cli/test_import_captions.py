"""`uniter data import coco|…|pictures|uniter-texts`: what a person types reaches the importers of sentences."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from uniter_cli.main import app
from uniter_data import PairDataset, RegionWriter, Tokenizer, dataset_splits
from uniter_data.examples import ExampleDataset


def invoke(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["data", "import", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Regions of pictures 0 to 3."""
    with RegionWriter(tmp_path / "regions.zarr", region_dim=4) as regions:
        for image in range(4):
            regions.append(str(image), np.ones((1, 4)), [[0.25, 0.25, 0.75, 0.75, 0.5, 0.5]])
        return regions.publish()


def test_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        Image.new("RGB", (4, 4)).save(folder / f"{number}.png")
    table = tmp_path / "c.tsv"
    rows = "".join(f"{number}.png\ta dog\t\n" for number in range(20))
    table.write_text("file\ttext\turl\n" + rows + "20.png\ta cat\t\nbad\n")
    out = tmp_path / "mine"
    said = invoke(
        "pictures", table, "--pictures", folder, "--out", out, "--image-field", "file", "--caption-field", "text",
        "--val-share", "0.5", "--skip-missing", "--skip-damaged", "--max-tokens", "5",
    )  # fmt: skip
    assert "1 left out: its picture is missing" in said
    assert "1 damaged records left out, listed in damaged.txt" in said
    assert f"next: uniter data extract {out}" in said
    assert dataset_splits(out) == ["train", "val"]


def test_captions_over_a_store(tmp_path: Path, store: Path) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    Tokenizer.build(["a dog"]).save(tokenizer)
    options = ("--regions", store, "--vocab", tokenizer, "--skip-missing")
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(4)]
    captions = [{"id": number, "image_id": number, "caption": "a dog"} for number in range(4)]
    coco = tmp_path / "captions_val2017.json"
    coco.write_text(json.dumps({"images": images, "annotations": captions}))
    said = invoke("coco", coco, "--out", tmp_path / "coco", *options)
    assert "val      4 examples, 4 images" in said
    assert f"next: uniter pretrain --data {tmp_path / 'coco'}" in said
    genome = tmp_path / "r.json"
    genome.write_text(json.dumps([{"id": 1, "regions": [{"region_id": 1, "phrase": "a dog"}]}]))
    invoke("genome", genome, "--out", tmp_path / "genome", *options)
    table = tmp_path / "Train_GCC-training.tsv"
    table.write_text("".join(f"a dog\thttp://a.org/{number}.jpg\n" for number in range(3)))
    invoke("conceptual-captions", table, "--out", tmp_path / "cc", *options)
    manifest = tmp_path / "manifest.tsv"
    manifest.write_text("http://a.org/2.jpg\t3.jpg\n")
    invoke("sbu", table, "--manifest", manifest, "--out", tmp_path / "sbu", *options)
    for name, count in (("genome", 1), ("cc", 3), ("sbu", 1)):
        data = PairDataset.open(tmp_path / name, "train")
        assert len(data) == count
        assert data.vocabulary == Tokenizer.from_file(tokenizer).vocabulary


def test_what_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "c.csv"
    table.write_text("image,caption\n")
    done = CliRunner().invoke(
        app, ["data", "import", "pictures", str(table), "--out", "x", "--pictures", "a", "--pictures", "b"]
    )
    assert "expected one folder, got a, b" in str(done.exception)
    done = CliRunner().invoke(app, ["data", "import", "pictures", str(table), "--out", str(tmp_path / "x")])
    assert "give --regions or --pictures" in str(done.exception)


@pytest.mark.golden
def test_a_released_database(tmp_path: Path, golden_dir: Path, real_data_dir: Path) -> None:
    database = golden_dir / "lmdb" / "txt_db" / "vqa_train.db"
    recorded = json.loads((golden_dir / "lmdb" / "expected.json").read_text())["texts"][database.name]["examples"]
    with RegionWriter(tmp_path / "regions.zarr", region_dim=4) as regions:
        for image in {record["img_fname"] for record in recorded.values()}:
            regions.append(image, np.ones((1, 4)), [[0.25, 0.25, 0.75, 0.75, 0.5, 0.5]])
        store = regions.publish()
    said = invoke(
        "uniter-texts", f"val={database}", "--regions", store, "--out", tmp_path / "vqa", "--task", "vqa",
        "--answers", golden_dir / "lmdb" / "ans2label.json",
        "--vocab", real_data_dir / "bert" / "bert-base-uncased-vocab.txt",
    )  # fmt: skip
    assert f"{len(recorded)} examples" in said
    assert len(ExampleDataset.open(tmp_path / "vqa", "val")) == len(recorded)
