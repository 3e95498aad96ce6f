"""`uniter data import TASK`: what a person types reaches the importers; wrong input is one line and exit status 1."""

import json
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from uniter_cli.main import app
from uniter_data import PairDataset, RegionWriter, Tokenizer
from uniter_data.examples import ExampleDataset, task_splits


def invoke(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["data", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def save(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def save_lines(path: Path, records: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Regions of a few pictures, each with one box in the middle."""
    with RegionWriter(tmp_path / "regions.zarr", region_dim=4) as regions:
        for image in ("9", "COCO_val2014_000000000009", "dev-1-0-img0", "dev-1-0-img1", "scene@0"):
            regions.append(image, np.ones((1, 4)), [[0.25, 0.25, 0.75, 0.75, 0.5, 0.5]])
        return regions.publish()


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    Tokenizer.build(["what is it a dog"]).save(tmp_path / "tokenizer.json")
    return tmp_path / "tokenizer.json"


def test_vqa(tmp_path: Path, store: Path, vocabulary: Path) -> None:
    asked = {"question_id": 1, "question": "What is it?", "image_id": 9}
    questions = save(tmp_path / "q.json", {"questions": [asked], "data_subtype": "val2014"})
    answered = {"question_id": 1, "question_type": "what is", "answer_type": "other", "answers": [{"answer": "a"}] * 10}
    annotations = save(tmp_path / "a.json", {"annotations": [answered]})
    qas = [{"qa_id": 3, "image_id": 9, "question": "What?", "answer": "Dog."}]
    genome = save(tmp_path / "question_answers.json", [{"id": 9, "qas": qas}])
    out = tmp_path / "vqa"
    said = invoke(
        "import", "vqa", "--questions", f"train={questions}", "--annotations", f"train={annotations}",
        "--questions", questions, "--genome", genome, "--regions", store, "--out", out, "--vocab", vocabulary,
    )  # fmt: skip
    assert "vqa in" in said
    assert task_splits(out) == ["train", "val"]
    data = ExampleDataset.open(out, "train")
    assert data.example_ids.tolist() == ["1", "vg-3"]
    assert data.vocabulary == Tokenizer.from_file(vocabulary).vocabulary
    assert "2 examples" in invoke("info", out)
    assert "every checksum is right" in invoke("verify", out)


def test_snli_ve_and_nlvr2(tmp_path: Path, store: Path) -> None:
    judged = {"pairID": "p", "sentence2": "A dog.", "Flickr30K_ID": "9", "gold_label": "neutral"}
    lines = save_lines(tmp_path / "snli_ve_test.jsonl", [judged, judged | {"pairID": "q", "Flickr30K_ID": "8"}])
    said = invoke("import", "snli-ve", lines, "--regions", store, "--out", tmp_path / "snli-ve", "--skip-missing")
    assert "1 left out: its image has no regions" in said
    assert task_splits(tmp_path / "snli-ve") == ["test"]
    lines = save_lines(tmp_path / "dev.json", [{"identifier": "dev-1-0-0", "sentence": "Dogs.", "label": "True"}])
    invoke("import", "nlvr2", f"train={lines}", lines, "--regions", store, "--out", tmp_path / "nlvr2")
    assert task_splits(tmp_path / "nlvr2") == ["train", "val"]


def test_vcr(tmp_path: Path, store: Path) -> None:
    record = {
        "annot_id": "val-0", "objects": ["person"], "img_fn": "film/scene@0.jpg", "question": ["Who", "is", [0]],
        "answer_choices": [["a"], ["b"], ["c"], ["d"]], "rationale_choices": [["a"], ["b"], ["c"], ["d"]],
    }  # fmt: skip
    lines = save_lines(tmp_path / "val.jsonl", [record])
    out = tmp_path / "vcr"
    invoke("import", "vcr", lines, "--regions", store, "--objects", store, "--tags", "regions", "--out", out)
    data = ExampleDataset.open(out, "val")
    assert data.sentences(0)[0] == "Who is person 1"
    assert data.region_lengths.tolist() == [[2]]


def test_refcoco(tmp_path: Path, store: Path) -> None:
    objects = {
        "images": [{"id": 9, "file_name": "COCO_val2014_000000000009.jpg", "width": 100, "height": 100}],
        "annotations": [{"id": 3, "image_id": 9, "category_id": 1, "bbox": [25, 25, 50, 50]}],
    }
    sentence = {"sent": "the dog", "raw": "the dog", "tokens": [], "sent_id": 7}
    reference = {"ref_id": 1, "ann_id": 3, "image_id": 9, "split": "test", "file_name": "x", "sentences": [sentence]}
    refs = tmp_path / "refs(umd).p"
    refs.write_bytes(pickle.dumps([reference], protocol=0))
    instances, out = save(tmp_path / "instances.json", objects), tmp_path / "refcocog"
    invoke("import", "refcoco", refs, "--instances", instances, "--regions", store, "--out", out, "--boxes", "detected")
    assert ExampleDataset.open(out, "test").example(0).annotation["target"] == 0


def test_karpathy(tmp_path: Path, store: Path) -> None:
    image = {
        "filepath": "val2014", "filename": "COCO_val2014_000000000009.jpg", "cocoid": 9, "split": "restval",
        "sentences": [{"raw": "A dog.", "sentid": 4}],
    }  # fmt: skip
    file, out = save(tmp_path / "dataset_coco.json", {"images": [image]}), tmp_path / "coco"
    invoke("import", "karpathy", file, "--regions", store, "--out", out, "--merge-restval")
    assert PairDataset.open(out, "train").text_ids.tolist() == ["4"]


def test_an_error_is_one_line(tmp_path: Path, store: Path) -> None:
    lines = save_lines(tmp_path / "dev.json", [{"identifier": "dev-7-0-0", "sentence": "Dogs.", "label": "True"}])
    command = ["data", "import", "nlvr2", str(lines), "--regions", str(store), "--out", str(tmp_path / "out")]
    with pytest.raises(ValueError, match=r"dev\.json:1: image 'dev-7-0-img0' has no regions in .*--skip-missing"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert not (tmp_path / "out").exists()
