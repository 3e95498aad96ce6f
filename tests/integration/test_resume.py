"""A run that is killed and resumed is, bit for bit, the run that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ARGUMENTS = [
    "--tasks", "mlm,itm,mrc-kl,mrfr,wra",
    "--steps", "60",
    "--units", "200",
    "--set", "save.every=7",
    "--set", "validation.every=25",
    "--set", "model.config.hidden_dropout=0.1",
    "--set", "model.config.attention_dropout=0.1",
]  # fmt: skip


def losses(run: Path) -> list[tuple[int, str, float, float]]:
    """Step, objective, loss and gradient norm of every step, to the last bit."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(r["step"], r["objective"], r["loss"], r["grad_norm"]) for r in records if r["kind"] == "train"]


def validations(run: Path) -> list[dict[str, object]]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["kind"] == "validation"]


def kill_at(step: int, command: list[str], run: Path, environment: dict[str, str]) -> None:
    """Start the command and kill it with SIGKILL once it has logged `step`."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    metrics = run / "metrics.jsonl"
    try:
        for _ in range(6000):
            if process.poll() is not None:
                pytest.fail(f"the run ended with {process.returncode} before it was killed")
            if metrics.exists() and f'"step": {step}, "kind": "train"' in metrics.read_text():
                break
            time.sleep(0.02)
        else:
            pytest.fail(f"step {step} was not reached")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_resumed_equals_undisturbed(workers, tiny_scenes, uniter, tmp_path):
    data = ["--data", str(tiny_scenes / "captions"), "--data", str(tiny_scenes / "snaps")]
    arguments = [*ARGUMENTS, *data, "--set", f"batch.workers={workers}"]
    uniter("pretrain", *arguments, "--out", tmp_path / "whole")
    killed = tmp_path / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = [sys.executable, "-m", "uniter_cli", "pretrain", *arguments, "--out", str(killed)]
    go_on = [sys.executable, "-m", "uniter_cli", "pretrain", "--resume", str(killed)]
    where = random.Random(workers)
    kill_at(where.randrange(8, 25), start, killed, environment)
    kill_at(where.randrange(30, 55), go_on, killed, environment)
    uniter("pretrain", "--resume", killed)
    assert losses(killed) == losses(tmp_path / "whole")
    assert validations(killed) == validations(tmp_path / "whole")
    for name in ("results.json", "summary.md", "curves.png", "model/model.safetensors"):
        assert (killed / name).is_file(), name
    saved = [folder / "model" / "model.safetensors" for folder in (killed, tmp_path / "whole")]
    assert saved[0].read_bytes() == saved[1].read_bytes()


def test_killed_before_the_first_checkpoint_starts_again(tiny_scenes, uniter, tmp_path):
    run = tmp_path / "run"
    arguments = ["--steps", "30", "--units", "200", "--set", "save.every=25", "--data", str(tiny_scenes / "captions")]
    start = [sys.executable, "-m", "uniter_cli", "pretrain", *arguments, "--out", str(run)]
    kill_at(5, start, run, os.environ | {"OMP_NUM_THREADS": "1"})
    uniter("pretrain", "--resume", run)
    uniter("pretrain", *arguments, "--out", tmp_path / "whole")
    assert losses(run) == losses(tmp_path / "whole")


def test_resuming_a_finished_or_missing_run_says_so(tiny_scenes, uniter, tmp_path):
    run = tmp_path / "run"
    uniter("pretrain", "--steps", "2", "--units", "200", "--data", tiny_scenes / "captions", "--out", run)
    for folder, message in ((run, "is finished"), (tmp_path / "nothing", "holds no run to resume")):
        done = uniter("pretrain", "--resume", folder, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
