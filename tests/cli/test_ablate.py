"""`uniter ablate transfer`: what it runs, what it does not run again, and the table it ends with."""

import json
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import numpy as np
import pytest

from uniter_cli.ablation import SUBJECTS, choose_subjects, complete, runs_of
from uniter_cli.errors import UsageError
from uniter_cli.example_batches import ExamplePlan
from uniter_cli.run_directory import RunDirectory
from uniter_data.examples import ExampleDataset
from uniter_data.scenes import VERSION as SCENES_VERSION
from uniter_data.scenes.annotations import VERSION, ensure_task_data
from uniter_tasks.downstream import TaskSettings, task

NAMES = ("snli-ve", "nlvr2-pair")
ARGUMENTS = ("ablate", "transfer", "--tasks", ",".join(NAMES), "--seeds", 2, "--steps", 2)


@pytest.fixture(scope="module")
def tiny_cache(tiny_scenes: Path, tiny_annotations: Path, tmp_path_factory: pytest.TempPathFactory):
    """A cache of generated data that holds the smallest scenes in the place of the full ones."""
    cache = tmp_path_factory.mktemp("cache")
    scenes = cache / f"scenes-{SCENES_VERSION}"
    scenes.mkdir()
    for folder in tiny_scenes.iterdir():
        (scenes / folder.name).symlink_to(folder)
    (scenes / f"annotations-{VERSION}").symlink_to(tiny_annotations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITER_CACHE", str(cache))
        yield cache


@pytest.fixture(scope="module")
def ablation(tiny_cache, uniter_session, tmp_path_factory):
    """Two subjects, two seeds, two steps, from a model that lies where the command would train it."""
    out = tmp_path_factory.mktemp("ablation") / "transfer"
    pretrain = ["pretrain", "--steps", 2, "--units", 300, "--set", "validation.pairs=20", "--out", out / "pretrained"]
    first, last = uniter_session([pretrain, [*ARGUMENTS, "--out", out]])
    assert (first.status, last.status) == (0, 0), first.stderr + last.stderr
    return SimpleNamespace(out=out, said=last.stdout)


def test_every_run_is_there_and_starts_where_it_should(ablation):
    for name in NAMES:
        for seed in (1, 2):
            scratch = RunDirectory(ablation.out / name / f"scratch-{seed}").resume()
            tuned = RunDirectory(ablation.out / name / f"pretrained-{seed}").resume()
            assert scratch.model.init == ""
            assert tuned.model.init == str(ablation.out / "pretrained" / "model")
            assert scratch.optimizer.lr == 2 * tuned.optimizer.lr
            assert {scratch.seed, tuned.seed} == {seed}
            assert {scratch.steps, tuned.steps} == {2}


def test_the_tables_say_what_the_runs_measured(ablation):
    found = json.loads((ablation.out / "table.json").read_text())
    page = (ablation.out / "table.md").read_text()
    assert [subject["name"] for subject in found["subjects"]] == list(NAMES)
    for subject in found["subjects"]:
        prior = subject["priors"]["constant"]["accuracy"]
        assert 0 < prior < 1
        line = next(line for line in page.splitlines() if line.startswith(f"| {subject['name']} |"))
        for origin in ("scratch", "pretrained"):
            runs = [ablation.out / subject["name"] / f"{origin}-{seed}" for seed in (1, 2)]
            measured = [json.loads((run / "results.json").read_text())["test"] for run in runs]
            values = [test[f"{subject['task']}/accuracy"] for test in measured]
            assert subject[origin] | {"seconds": []} == {
                "seeds": [1, 2],
                "test": {"accuracy": values},
                "seconds": [],
            }
            assert f"| {prior:.3f} |" in line
            assert f"{mean(values):.3f} ± " in line
            assert f"{mean(values):.3f} ± " in ablation.said
    assert "0.7585 | 0.7580" in page, "the paper's figures stand beside NLVR2's settings"


def test_called_again_it_goes_on_where_it_stopped(ablation, uniter_session):
    stopped = ablation.out / "nlvr2-pair" / "pretrained-2"
    before = (stopped / "results.json").read_text()
    (stopped / "results.json").unlink()
    finished = {path: path.stat().st_mtime_ns for path in ablation.out.rglob("results.json")}
    (again,) = uniter_session([[*ARGUMENTS, "--out", ablation.out]])
    assert again.status == 0, again.stderr
    assert again.stdout.count("going on with") == 1
    assert "starting" not in again.stdout
    assert finished == {path: path.stat().st_mtime_ns for path in finished}
    assert json.loads((stopped / "results.json").read_text())["test"] == json.loads(before)["test"]


def test_a_run_by_another_recipe_is_refused_by_the_value_that_differs(ablation):
    init = str(ablation.out / "pretrained" / "model")
    run = next(runs_of(choose_subjects("nlvr2-pair"), ablation.out, init=init, seeds=[1], steps=3))
    with pytest.raises(UsageError, match=r"nlvr2-pair/scratch-1 holds a run with another steps \(2, not 3\)"):
        complete(run)


def test_subjects_are_named_alone_or_by_their_task():
    assert choose_subjects(None) == SUBJECTS
    assert [subject.name for subject in choose_subjects("refexp-1500, snli-ve")] == ["snli-ve", "refexp-1500"]
    with pytest.raises(UsageError, match="--tasks nlvr"):
        choose_subjects("nlvr")


def test_one_seed_of_all_comes_before_the_next(tmp_path):
    runs = list(runs_of(choose_subjects("vqa,vcr"), tmp_path, init="model", seeds=[1, 2]))
    assert [run.seed for run in runs] == [1] * 4 + [2] * 4
    assert len({run.path for run in runs}) == 8


def test_a_run_can_be_kept_to_some_examples(tiny_cache):
    dataset = ExampleDataset.open(ensure_task_data("snli-ve"), "train")
    settings = task("snli-ve").resolve(TaskSettings(vocabulary=dataset.vocabulary))

    def seen(seed: int, examples: int) -> set[int]:
        plan = ExamplePlan(dataset, task("snli-ve"), settings, steps=40, units=200, seed=seed, examples=examples)
        return set(np.concatenate([job.indices for job in plan]).tolist())

    assert len(seen(1, 10)) == 10
    assert seen(1, 10) == seen(1, 10) < seen(1, 20)
    assert seen(1, 10) != seen(2, 10)
    assert seen(1, 0) == set(range(len(dataset)))
    with pytest.raises(UsageError, match=f"task.examples = {len(dataset) + 1}: snli-ve has {len(dataset)} in train"):
        seen(1, len(dataset) + 1)


@pytest.mark.soak
def test_pretraining_pays(uniter, tmp_path):
    uniter("ablate", "transfer", "--seeds", "1", "--out", tmp_path / "transfer")
    subjects = json.loads((tmp_path / "transfer" / "table.json").read_text())["subjects"]
    gain = {
        subject["name"]: {
            metric: subject["pretrained"]["test"][metric][0] - subject["scratch"]["test"][metric][0]
            for metric in subject["scratch"]["test"]
        }
        for subject in subjects
    }
    assert gain["vqa"]["accuracy"] > 0.1
    assert gain["snli-ve"]["accuracy"] > 0.2
    assert gain["nlvr2-pair"]["accuracy"] > 0.1
    assert gain["refexp-1500"]["accuracy"] > 0.03
