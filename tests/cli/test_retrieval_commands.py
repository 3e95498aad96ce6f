"""Retrieval through the command: fine-tuned with hard negatives, scored whole, zero-shot, from the matrix alone."""

import json

import numpy as np
import pytest

from uniter_cli.recipe_files import load_recipe
from uniter_cli.score_matrix import ScoreMatrix
from uniter_data import PairDataset
from uniter_tasks.metrics import score_retrieval

HARD = ["negatives.every=3", "negatives.pool=6", "negatives.keep=2", "validation.pairs=40"]
MINE = ["--steps", 7, "--set", "negatives.every=0", "--set", "negatives.mine_every=3"]
TRAIN = ["--steps", 7, "--units", 900, *(part for each in HARD for part in ("--set", each))]


def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def steps(run):
    return [(r["step"], r["objective"], r["loss"], r["grad_norm"]) for r in records(run) if r["kind"] == "train"]


@pytest.fixture(scope="module")
def said(tiny_scenes, uniter_session, tmp_path_factory):
    """What the commands said, by name, and the folder they worked in."""
    folder, pairs = tmp_path_factory.mktemp("retrieval"), tiny_scenes / "captions"
    data = ["--data", pairs]
    run, pretrained = folder / "run", folder / "pretrained"
    matrix = folder / "zero.zarr"
    commands = {
        "finetune": ["finetune", "retrieval", *data, *TRAIN, "--out", run],
        "evaluate": ["evaluate", "retrieval", run, "--folds", 2, "--json"],
        "again": ["evaluate", "retrieval", run],
        "val": ["evaluate", "retrieval", run / "model", *data, "--split", "val", "--out", folder / "val.zarr"],
        "pretrain": ["pretrain", "--tasks", "mlm,itm", *data, "--steps", 2, "--units", 300, "--out", pretrained],
        "zero-shot": ["evaluate", "retrieval", pretrained, *data, "--out", matrix, "--json"],
        "matrix": ["evaluate", "retrieval", "--predictions", matrix, "--annotations", pairs, "--json"],
        "from pre-training": ["finetune", "retrieval", *data, "--steps", 2, "--units", 300, "--init", pretrained,
                              "--set", "validation.pairs=40", "--out", folder / "second"],
    }  # fmt: skip
    done = dict(zip(commands, uniter_session(commands.values()), strict=True))
    for name, each in done.items():
        assert each.status == 0, f"{name}: {each.stderr}"
    return folder, {name: each.stdout for name, each in done.items()}


def test_hard_negatives_come_every_third_step(said):
    folder, _ = said
    objectives = [objective for _, objective, _, _ in steps(folder / "run")]
    assert objectives == ["retrieval", "retrieval", "retrieval-hard"] * 2 + ["retrieval"]
    assert all(0 < loss < 1.2 and norm > 0 for _, _, loss, norm in steps(folder / "run"))
    results = json.loads((folder / "run" / "results.json").read_text())
    for measured in (results["before"], results["after"], results["test"]):
        assert set(measured) == {
            "retrieval/mean", *(f"retrieval/{side}_recall@{k}" for side in ("image", "text") for k in (1, 5, 10))
        }  # fmt: skip


def test_the_whole_split_is_scored_and_kept(said, tiny_scenes):
    folder, out = said
    report = json.loads(out["evaluate"])
    matrix = ScoreMatrix.open(folder / "run" / "scores-captions-test.zarr")
    dataset = PairDataset.open(tiny_scenes / "captions", "test")
    assert matrix.text_ids == dataset.text_ids.tolist()
    own = dataset.regions.image_ids[dataset.image_rows].tolist()
    columns = [matrix.image_ids.index(name) for name in own]
    assert matrix.image_ids == list(dict.fromkeys(own))
    score = score_retrieval(matrix[:], columns)
    assert (report["examples"], report["images"]) == matrix.shape == (len(dataset), len(set(own)))
    assert report["image_recall@1"] == pytest.approx(score.image_recall[1])
    assert report["text_recall@5"] == pytest.approx(score.text_recall[5])
    assert (report["split"], report["zero_shot"], report["num_folds"]) == ("test", False, 2)
    for side in ("image", "text"):
        low, high = report[f"{side}_recall@1_interval"]
        assert 0 <= low <= report[f"{side}_recall@1"] <= high <= 1
    assert "95 % interval" in out["again"]
    assert report["folds"]["image_recall@1"] >= report["image_recall@1"]
    assert f"0 of {len(dataset) * len(set(own))} pairs scored" in out["again"]
    assert "image_recall@10" in out["val"]


def test_a_pre_trained_model_is_scored_zero_shot(said):
    folder, out = said
    report, again = json.loads(out["zero-shot"]), json.loads(out["matrix"])
    assert report["zero_shot"]
    assert {name: report[name] for name in again if name != "scores"} == {
        n: v for n, v in again.items() if n != "scores"
    }
    assert "head rank: the checkpoint's" in out["from pre-training"]
    assert np.isfinite(ScoreMatrix.open(folder / "zero.zarr")[:]).all()


def test_what_does_not_go_together_is_one_line(said, tiny_scenes, uniter_session):
    folder, _ = said
    pairs = tiny_scenes / "captions"
    data = ["--data", pairs]
    run = folder / "run"
    commands = {
        "--folds 9: expected 1 to 8": ["evaluate", "retrieval", run, "--folds", 9],
        "holds scores of another model": ["evaluate", "retrieval", run, "--out", folder / "zero.zarr"],
        "holds scores of another data": ["evaluate", "retrieval", run, *data, "--split", "val",
                                         "--out", run / "scores-captions-test.zarr"],
        "--folds is an option of retrieval, not of vqa": ["evaluate", "vqa", run, "--folds", 5],
        "--balanced is no option of retrieval": ["evaluate", "retrieval", run, "--balanced", run / "recipe.toml"],
        "holds no scores": ["evaluate", "retrieval", "--predictions", folder, "--annotations", pairs],
        "negatives.keep = 7 is out of range": ["finetune", "retrieval", *data, *TRAIN, "--set", "negatives.keep=7"],
        "negatives.every and negatives.mine_every are both on": [
            "finetune", "retrieval", *data, *TRAIN, "--set", "negatives.mine_every=3"],
        "negatives.hard = 21 is out of range": ["finetune", "retrieval", *data, *MINE, "--set", "negatives.hard=21"],
        "negatives.mine_images: images: expected at most 2": ["finetune", "retrieval", *data, *MINE,
                                                             "--out", folder / "none"],
        "images: expected at most": ["finetune", "retrieval", *data, *TRAIN, "--set", "negatives.pool=24",
                                     "--out", folder / "none"],
        "as the largest group of captions may have": ["finetune", "retrieval", *data, *TRAIN, "--units", 90,
                                                      "--out", folder / "none"],
    }  # fmt: skip
    for (message, _), done in zip(commands.items(), uniter_session(commands.values()), strict=True):
        assert done.status != 0
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (folder / "none" / "recipe.toml").exists()


@pytest.mark.parametrize(("data", "every", "examples"), [("coco", 4000, 60), ("flickr", 2500, 120)])
@pytest.mark.parametrize("size", ["base", "large"])
def test_the_papers_recipes_mine_as_it_says(data, every, examples, size):
    recipe = load_recipe(f"retrieval-{data}-hard-{size}-paper")
    negatives = recipe.negatives
    assert (negatives.mine_every, negatives.mine_images, negatives.mine_keep) == (every, 128, 20)
    assert (negatives.images + negatives.texts, 2 * negatives.hard, negatives.every) == (2, 2, 0)
    pairs = 1 + negatives.images + negatives.texts + 2 * negatives.hard
    assert recipe.batch.units == examples * pairs * 52
