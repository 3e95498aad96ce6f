"""Fine-tuning that is killed and resumed, and fine-tuning by two processes, are the run of one that was left alone."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

ARGUMENTS = [
    "nlvr2", "--setting", "pair", "--steps", "24", "--units", "700",
    "--set", "save.every=5", "--set", "validation.every=12",
    "--set", "model.config.hidden_dropout=0.1",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(uniter, tiny_tasks, tmp_path_factory):
    """The run that was left alone."""
    run = tmp_path_factory.mktemp("whole") / "run"
    uniter("finetune", *ARGUMENTS, "--data", tiny_tasks / "nlvr2", "--out", run)
    return run


def records(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    keep = ("step", "kind", "loss", "grad_norm", "metrics")
    return [{name: line[name] for name in keep if name in line} for line in lines]


def weights(run):
    return (run / "model" / "model.safetensors").read_bytes()


def kill_after(step, command, run):
    """Start the command and kill it once it has logged `step`."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True, **quiet)
    deadline = time.monotonic() + 120
    try:
        while not ((run / "metrics.jsonl").exists() and f'"step": {step},' in (run / "metrics.jsonl").read_text()):
            assert process.poll() is None, "the run ended before it was killed"
            assert time.monotonic() < deadline, f"step {step} was not reached"
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_and_resumed_equals_undisturbed(whole, uniter, tiny_tasks, tmp_path):
    run = tmp_path / "run"
    arguments = [*ARGUMENTS, "--data", str(tiny_tasks / "nlvr2"), "--out", str(run)]
    kill_after(8, [sys.executable, "-m", "uniter_cli", "finetune", *arguments], run)
    assert not (run / "results.json").exists()
    uniter("finetune", "--resume", run)
    assert records(run) == records(whole)
    assert weights(run) == weights(whole)
    results = [json.loads((folder / "results.json").read_text()) for folder in (run, whole)]
    for name in ("before", "after", "baselines", "test", "units"):
        assert results[0][name] == results[1][name]


def test_two_processes_equal_one(uniter, tiny_tasks, tmp_path):
    arguments = ["vqa", "--data", tiny_tasks / "vqa", "--steps", "8", "--units", "400", "--set", "validation.every=4"]
    uniter("finetune", *arguments, "--out", tmp_path / "one")
    done = uniter("finetune", *arguments, "--out", tmp_path / "two", processes=2)
    assert done.stdout.count("Validation, before and after") == 1, "only the main process speaks"
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    for alone, together in zip(one, two, strict=True):
        assert (alone["step"], alone["kind"]) == (together["step"], together["kind"])
        if alone["kind"] == "train":
            assert together["loss"] == pytest.approx(alone["loss"], rel=1e-5, abs=1e-5)
            assert together["grad_norm"] == pytest.approx(alone["grad_norm"], rel=1e-4, abs=1e-4)
        else:
            assert together["metrics"] == pytest.approx(alone["metrics"], abs=0.06)  # two of 36 questions, near a tie
    score = json.loads(uniter("evaluate", "vqa", tmp_path / "one", "--json", processes=2).stdout)
    assert score["accuracy"] == json.loads((tmp_path / "one" / "results.json").read_text())["test"]["vqa/accuracy"]
