"""A run that is asked to end, loses a process or finds its checkpoint damaged loses nothing but time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

STEPS = 24
ARGUMENTS = [
    "--tasks", "mlm,itm,mrc-kl,mrfr,wra",
    "--steps", str(STEPS),
    "--units", "300",
    "--set", "save.every=6",
    "--set", "validation.every=8",
    "--set", "save.best=mlm/accuracy",
]  # fmt: skip


def records(run):
    """What every step and every validation measured, to the last bit."""
    keep = ("step", "kind", "objective", "loss", "grad_norm", "metrics")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: record.get(key) for key in keep} for record in map(json.loads, lines)]


@pytest.fixture(scope="module")
def data(tiny_scenes):
    return ["--data", str(tiny_scenes / "captions"), "--data", str(tiny_scenes / "snaps")]


@pytest.fixture(scope="module")
def whole(data, uniter, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    uniter("pretrain", *ARGUMENTS, *data, "--out", run)
    return run


@pytest.fixture
def half(whole, tmp_path):
    """The run as it would lie there, had it been killed just before its end."""
    run = tmp_path / "half"
    shutil.copytree(whole, run)
    (run / "results.json").unlink()
    return run


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_used(whole, half, uniter):
    older, newest = sorted((half / "checkpoints").glob("step-*"))
    tensors = max(newest.rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(tensors.read_bytes())
    content[len(content) // 2] ^= 1
    tensors.write_bytes(content)
    said = uniter("pretrain", "--resume", half).stdout
    assert f"not used: {newest}: {tensors.relative_to(newest)} is damaged" in said
    assert f"at step {int(older.name.removeprefix('step-'))} of {STEPS}" in said
    assert records(half) == records(whole)


@pytest.mark.parametrize("harm", ["cut", "missing", "garbled position"])
def test_every_kind_of_damage_is_noticed(harm, half):
    from uniter_cli.checkpoint import newest_checkpoint

    older, newest = sorted((half / "checkpoints").glob("step-*"))
    assert newest_checkpoint(half / "checkpoints") == (newest, [])
    if harm == "garbled position":
        (newest / "position.json").write_text("{")
    else:
        file = next(newest.glob("*.safetensors"))
        file.write_bytes(file.read_bytes()[:-1]) if harm == "cut" else file.unlink()
    found, (complaint,) = newest_checkpoint(half / "checkpoints")
    assert found == older
    assert str(newest) in complaint


def test_a_run_that_is_asked_to_end_saves_and_goes_on(whole, data, uniter, tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "uniter_cli", "pretrain", *ARGUMENTS, *data, "--out", str(run)]
    process = subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    metrics = run / "metrics.jsonl"
    for _ in range(6000):
        if metrics.exists() and '"kind": "train"' in metrics.read_text():
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert said.startswith("stopped after step ")
    assert said.strip().endswith(f"go on with --resume {run}")
    step = int(said.split()[3])
    assert (run / "checkpoints" / f"step-{step:08d}" / "position.json").is_file()
    uniter("pretrain", "--resume", run)
    assert records(run) == records(whole)


def test_two_processes_go_on_as_one(whole, data, uniter, tmp_path):
    run = tmp_path / "run"
    uniter("pretrain", *ARGUMENTS, *data, "--out", run, processes=2)
    (run / "results.json").unlink()
    shutil.rmtree(run / "checkpoints" / f"step-{STEPS:08d}")
    said = uniter("pretrain", "--resume", run).stdout
    assert f"at step {STEPS - 6} of {STEPS}" in said
    for alone, together in zip(records(whole), records(run), strict=True):
        assert (alone["step"], alone["kind"], alone["objective"]) == tuple(
            together[key] for key in ("step", "kind", "objective")
        )
        if alone["kind"] == "train":
            assert together["loss"] == pytest.approx(alone["loss"], abs=1e-5, rel=1e-5)


def test_torchrun_starts_a_killed_process_again(data, uniter, tmp_path):
    arguments = ["pretrain", *ARGUMENTS, *data]
    uniter(*arguments, "--out", tmp_path / "whole", processes=2)
    run = tmp_path / "run"
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone", "--max-restarts", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", *launcher, "-m", "uniter_cli", *arguments, "--out", str(run)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    metrics = run / "metrics.jsonl"
    for _ in range(12000):
        if metrics.exists() and '"step": 9, "kind": "train"' in metrics.read_text():
            break
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout
    os.kill(int(children.split()[-1]), signal.SIGKILL)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert f"resuming {run} at step " in said
    assert records(run) == records(tmp_path / "whole")


def test_a_restart_needs_to_know_the_run(monkeypatch):
    from uniter_cli.commands.pretrain import pretrain
    from uniter_cli.errors import UsageError

    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    with pytest.raises(UsageError, match="--out"):
        pretrain(data=["scenes:captions"])


def test_steps_that_are_not_finite_are_skipped_and_counted_when_asked(data, uniter, tmp_path):
    run = tmp_path / "run"
    uniter(
        "pretrain", *data, "--tasks", "mlm", "--steps", "6", "--units", "200", "--set", "optimizer.lr=1e30",
        "--set", "optimizer.warmup=0", "--set", "optimizer.not_finite=skip", "--out", run,
    )  # fmt: skip
    skipped = [json.loads(line).get("skipped", 0) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert 0 < sum(skipped) < 6
    assert f"{sum(skipped)} steps skipped" in (run / "summary.md").read_text()


def test_the_best_model_is_kept_beside_the_last(whole):
    best = json.loads((whole / "best.json").read_text())
    measured = {
        record["step"] + 1: record["metrics"]["mlm/accuracy"]
        for record in records(whole)
        if record["kind"] == "validation"
    }
    assert best["metric"] == "mlm/accuracy"
    assert best["value"] == measured[best["step"]] == max(measured.values())
    assert (whole / "best" / "model.safetensors").is_file()
