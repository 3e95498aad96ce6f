"""Every task from fine-tuning to the score of an ensemble, through the command, on tiny generated data."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from uniter_tasks.predictions import FORMATS, load_archive, read_official


@dataclass(frozen=True)
class Chain:
    """What a task's commands left and said."""

    folder: object
    said: dict[str, str]
    scores: dict[str, dict]

    def results(self, seed):
        return json.loads((self.folder / f"run{seed}" / "results.json").read_text())


TASKS = {
    # settings of the two runs; annotation files of the test split
    "vqa": (["", ""], ["vqa/v2_scenes_test_annotations_hidden.json"]),
    "vcr": (["", ""], ["vcr/test.jsonl"]),
    "nlvr2": (["pair-biattn", "triplet"], ["nlvr2/test1.json"]),
    "snli-ve": (["", ""], ["snli-ve/snli_ve_test.jsonl"]),
    "refexp": (["", ""], ["refexp/attributes/refs(scenes).p"]),
}


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    return request.param


@pytest.fixture(scope="module")
def chain(task, uniter_session, tiny_tasks, tiny_annotations, tmp_path_factory):
    settings, files = TASKS[task]
    folder = tmp_path_factory.mktemp(task)
    data = ["--data", tiny_tasks / task]
    official = [part for file in files for part in ("--annotations", tiny_annotations / file)]
    split = ["--split", "test"]
    suffix = FORMATS[task].suffix
    runs = {
        f"finetune {seed}": [
            "finetune", task, *data, "--steps", 3, "--units", 1500, "--seed", seed, "--out", folder / f"run{seed}",
            *(["--setting", setting] if setting else []),
        ]
        for seed, setting in enumerate(settings, start=1)
    }  # fmt: skip
    first, both, kept = (folder / f"{name}{suffix}" for name in ("first", "both", "kept"))
    commands = runs | {
        "predict 1": ["predict", task, folder / "run1", "--out", first],
        "predict 2": ["predict", task, folder / "run2", "--out", folder / f"second{suffix}", *data, *split],
        "ensemble": [
            "ensemble", first.with_suffix(".npz"), folder / "second.npz", "--out", both, *official, *split, "--json",
        ],
        "evaluate official": ["evaluate", task, "--predictions", both, *official, *split, "--json"],
        "evaluate npz": [
            "evaluate", task, "--predictions", both.with_suffix(".npz"), "--annotations", tiny_tasks / task, "--json",
        ],
        "evaluate run": ["evaluate", task, folder / "run1", "--json", "--out", kept],
        "evaluate model": ["evaluate", task, folder / "run1" / "model", *data],
    }  # fmt: skip
    done = dict(zip(commands, uniter_session(commands.values()), strict=True))
    for name, each in done.items():
        assert each.status == 0, f"{name}: {each.stderr}"
    scores = {name: json.loads(each.stdout) for name, each in done.items() if "--json" in commands[name]}
    return Chain(folder, {name: each.stdout for name, each in done.items()}, scores)


def test_the_summary_says_what_the_most_frequent_answer_reaches(task, chain):
    results = chain.results(1)
    assert "most frequent answer" in chain.said["finetune 1"]
    assert results["baselines"].keys() == results["after"].keys()
    assert 0 <= results["baselines"][f"{task}/accuracy"] < 1
    assert f"validation after step 3: accuracy  {task} " in chain.said["finetune 1"]


def test_an_ensemble_is_the_mean_of_its_runs(chain, task):
    one, two, both = (load_archive(chain.folder / f"{name}.npz") for name in ("first", "second", "both"))
    assert one.ids == two.ids == both.ids
    np.testing.assert_allclose(both.flat, (one.flat + two.flat) / 2, atol=1e-7)
    assert set(read_official(task, chain.folder / f"both{FORMATS[task].suffix}")) == set(both.ids)
    assert both.setting == "+".join(filter(None, dict.fromkeys(TASKS[task][0])))


def test_the_same_predictions_have_the_same_score(chain):
    scores = {name: dict(score) for name, score in chain.scores.items()}
    for name in ("ensemble", "evaluate official", "evaluate npz"):
        for label in ("predictions", "split"):
            scores[name].pop(label, None)
        scores[name].pop("region_accuracy", None)  # official files of refexp say boxes, not regions
    assert scores["ensemble"] == scores["evaluate official"] == scores["evaluate npz"]


def test_a_run_scores_as_it_did_at_its_end(task, chain):
    score, results = chain.scores["evaluate run"], chain.results(1)
    assert score["task"] == task
    assert score["split"] == "test"
    shares = {f"{task}/{name}": value for name, value in score.items() if isinstance(value, float)}
    assert shares == pytest.approx(results["test"])
    interval = "q_ar_interval" if task == "vcr" else "accuracy_interval"
    low, high = score[interval]
    assert 0 <= low <= score["accuracy"] <= high <= 1
    assert f"{100 * score['accuracy']:.2f}" in chain.said["evaluate model"]
    assert load_archive(chain.folder / "kept.npz").ids == load_archive(chain.folder / "first.npz").ids
