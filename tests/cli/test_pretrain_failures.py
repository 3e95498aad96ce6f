"""What can go wrong when a run starts or goes on: no room for its checkpoints, a loss that is not finite."""

import json
from collections import namedtuple

import pytest
import torch

from uniter_cli.commands.pretrain import resolve
from uniter_cli.errors import RunError
from uniter_cli.pretraining import pretrain


@pytest.fixture
def denormals():
    """A run in this process flushes denormals, which other tests need."""
    yield
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("denormals")
def test_no_room_for_the_checkpoints(tiny_scenes, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(2**30, 2**30 - 2**20, 2**20))
    recipe = resolve("quickstart", data=[str(tiny_scenes / "captions")], flags={"steps": 2, "batch.units": 200})
    with pytest.raises(RunError, match=r"need \d+ MiB, 1 MiB are free"):
        pretrain(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_pairs(tiny_scenes, uniter, tmp_path):
    run = tmp_path / "run"
    done = uniter(
        "pretrain", "--data", tiny_scenes / "captions", "--tasks", "mlm", "--steps", "20", "--units", "200",
        "--set", "optimizer.lr=1e30", "--set", "optimizer.warmup=0", "--set", "save.every=1", "--out", run,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "not finite" in line
    assert "its pairs: " in line
    steps = [json.loads(row)["step"] for row in (run / "metrics.jsonl").read_text().splitlines()]
    assert f"step {max(steps) + 1} (mlm on captions)" in line, "every step before it is on record"
    assert any((run / "checkpoints").glob("step-*/position.json")) or max(steps) == -1
