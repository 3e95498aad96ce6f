"""A run that is killed and resumed is, bit for bit, the run that was left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLED_RUNS = Path(__file__).with_name("killed_runs.py")
ARGUMENTS = [
    "--tasks", "mlm,itm,mrc-kl,mrfr,wra",
    "--units", "200",
    "--set", "save.every=4",
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


def killed(start: list[str], run: Path, *, kills: int, seed: int, saves: int = 3) -> str:
    """Kill the run so often, at random moments and in saves, and let it end; what it was killed at."""
    job = {
        "start": ["pretrain", *start, "--out", str(run)],
        "resume": ["pretrain", "--resume", str(run)],
        "run": str(run),
        "kills": kills,
        "seed": seed,
        "saves": saves,
    }
    done = subprocess.run(
        [sys.executable, str(KILLED_RUNS)],
        input=json.dumps(job),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{done.stdout}\n{done.stderr[-4000:]}")
    return done.stdout


def check_killed_equals_undisturbed(arguments, uniter, folder, *, kills, seed):
    uniter("pretrain", *arguments, "--out", folder / "whole")
    said = killed(arguments, folder / "killed", kills=kills, seed=seed)
    assert said.count("kill ") == kills
    assert "in a save" in said
    assert losses(folder / "killed") == losses(folder / "whole")
    assert validations(folder / "killed") == validations(folder / "whole")
    for name in ("results.json", "summary.md", "curves.png", "model/model.safetensors"):
        assert (folder / "killed" / name).is_file(), name
    saved = [folder / run / "model" / "model.safetensors" for run in ("killed", "whole")]
    assert saved[0].read_bytes() == saved[1].read_bytes()
    assert not list((folder / "killed" / "checkpoints").glob(".*")), "nothing half-written is left"


@pytest.mark.parametrize(("workers", "accumulation", "kills"), [(0, 1, 12), (2, 2, 8)])
def test_killed_twenty_times_and_resumed_equals_undisturbed(
    workers, accumulation, kills, tiny_scenes, uniter, tmp_path
):
    arguments = [
        *ARGUMENTS, "--steps", str(10 * kills), "--data", str(tiny_scenes / "captions"),
        "--data", str(tiny_scenes / "snaps"), "--set", f"batch.workers={workers}",
        "--set", f"batch.accumulation={accumulation}",
    ]  # fmt: skip
    check_killed_equals_undisturbed(arguments, uniter, tmp_path, kills=kills, seed=workers)


@pytest.mark.soak
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_a_hundred_times(workers, tiny_scenes, uniter, tmp_path):
    arguments = [
        *ARGUMENTS, "--steps", "800", "--data", str(tiny_scenes / "captions"), "--data", str(tiny_scenes / "snaps"),
        "--set", f"batch.workers={workers}",
    ]  # fmt: skip
    check_killed_equals_undisturbed(arguments, uniter, tmp_path, kills=50, seed=100 + workers)


def test_killed_before_the_first_checkpoint_starts_again(tiny_scenes, uniter, tmp_path):
    arguments = ["--steps", "30", "--units", "200", "--set", "save.every=25", "--data", str(tiny_scenes / "captions")]
    killed(arguments, tmp_path / "run", kills=1, seed=1, saves=2**30)
    uniter("pretrain", *arguments, "--out", tmp_path / "whole")
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_resuming_a_finished_or_missing_run_says_so(tiny_scenes, uniter, tmp_path):
    run = tmp_path / "run"
    uniter("pretrain", "--steps", "2", "--units", "200", "--data", tiny_scenes / "captions", "--out", run)
    for folder, message in ((run, "is finished"), (tmp_path / "nothing", "holds no run to resume")):
        done = uniter("pretrain", "--resume", folder, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
