"""Mined negatives in a run: equal to their definition, to the last bit for any workers, processes and interruptions."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from uniter_cli import mining
from uniter_cli.retrieval_sources import image_samples, text_samples
from uniter_core import UniterConfig, unit_keys
from uniter_data import PairDataset, RandomNegatives
from uniter_tasks import score_grid
from uniter_tasks.downstream import DownstreamModel, TaskSettings

# 24 images in two blocks: the second mining, before step 4, scores blocks 3 and 4
ARGUMENTS = [
    "finetune", "retrieval", "--steps", "10", "--units", "900", "--set", "negatives.every=0",
    "--set", "negatives.mine_every=4", "--set", "negatives.mine_images=6", "--set", "negatives.mine_keep=3",
    "--set", "validation.pairs=60", "--set", "validation.every=5", "--set", "save.every=3",
    "--set", "optimizer.lr=3e-3",
]  # fmt: skip
DROPOUT = ["--set", "model.config.hidden_dropout=0.1", "--set", "model.config.attention_dropout=0.1"]


def records(run: Path) -> list[dict]:
    """What a run logged, without what a clock says."""
    kept = ("step", "kind", "objective", "loss", "grad_norm", "metrics")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: record.get(key) for key in kept} for record in map(json.loads, lines)]


def tables(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "mined").iterdir()}


@pytest.fixture(scope="module")
def undisturbed(tiny_scenes, uniter_session, tmp_path_factory) -> dict[str, Path]:
    """A run with dropout and one without, at a rate that changes the model much."""
    folder, data = tmp_path_factory.mktemp("mined"), ["--data", tiny_scenes / "captions"]
    runs = {name: folder / name for name in ("dropout", "plain")}
    commands = [[*ARGUMENTS, *DROPOUT, *data, "--out", runs["dropout"]], [*ARGUMENTS, *data, "--out", runs["plain"]]]
    for said in uniter_session(commands):
        assert said.status == 0, said.stderr
    return runs


def test_every_fourth_step_is_mined_before(undisturbed):
    for run in undisturbed.values():
        assert sorted(tables(run)) == ["step-00000000.npz", "step-00000004.npz", "step-00000008.npz"]
        assert len(set(tables(run).values())) == 3
        assert [r["step"] for r in records(run) if r["kind"] == "train"] == list(range(10))


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_while_it_mines_and_resumed_equals_undisturbed(undisturbed, workers, tiny_scenes, uniter, tmp_path):
    run = tmp_path / "run"
    whole = undisturbed["dropout"]
    begin = [*ARGUMENTS, *DROPOUT, "--data", str(tiny_scenes / "captions"), "--set", f"batch.workers={workers}"]
    kill_while_it_mines(4, [*begin, "--out", str(run)])
    assert list(tables(run)) == ["step-00000000.npz"]
    if not workers:
        lost_table(shutil.copytree(run, tmp_path / "lost"), uniter)
    uniter("finetune", "--resume", run)  # from step 3, with what was mined before the first
    assert records(run) == records(whole)
    assert tables(run) == tables(whole)
    weights = "model/model.safetensors"
    assert (run / weights).read_bytes() == (whole / weights).read_bytes()


def test_two_processes_that_share_a_model_mine_what_one_does(undisturbed, tiny_scenes, uniter, tmp_path):
    run, plain = tmp_path / "run", undisturbed["plain"]
    data = ["--data", tiny_scenes / "captions", "--set", "batch.parallel=fsdp"]
    uniter(*ARGUMENTS, *data, "--out", run, processes=2)
    assert tables(run)["step-00000000.npz"] == tables(plain)["step-00000000.npz"]
    for alone, together in zip(records(plain), records(run), strict=True):
        assert (alone["step"], alone["kind"]) == (together["step"], together["kind"])
        if alone["kind"] == "train":
            assert together["loss"] == pytest.approx(alone["loss"], abs=1e-4)
    one, two = (np.load(each / "mined" / "step-00000008.npz")["images"] for each in (plain, run))
    assert (one == two).mean() > 0.9  # scores that are all but equal may change places


def kill_while_it_mines(block: int, arguments: list[str]) -> None:
    """A run that is killed before so many blocks are scored; its workers, which nobody tells, end as well."""
    command = [sys.executable, str(Path(__file__).with_name("dying_process.py")), str(block), *arguments]
    said = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True, **said)
    try:
        assert process.wait() == -signal.SIGKILL
        for _ in range(600):
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
        pytest.fail("some process of the run is still there")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def lost_table(run: Path, uniter: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """What a run says whose table was cut short."""
    (run / "mined" / "step-00000000.npz").write_bytes(b"PK")
    done = uniter("finetune", "--resume", run, check=False)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "step-00000000.npz: no hard negatives can be read" in done.stderr
    assert "remove the checkpoints after step 0" in done.stderr


@pytest.mark.parametrize(("width", "at_once", "band"), [(16, 4096, 1 << 22), (3, 5, 1), (2, 7, 40)])
def test_a_table_is_the_best_of_the_whole_grid(tiny_scenes, monkeypatch, width, at_once, band):
    """Every candidate scored one by one: what is kept scores no less than what is left."""
    for name, value in (("WIDTH", width), ("AT_ONCE", at_once), ("BAND", band)):
        monkeypatch.setattr(mining, name, value)
    dataset = PairDataset.open(tiny_scenes / "captions", "train")
    config = UniterConfig.tiny(
        vocab_size=dataset.vocabulary.size, region_dim=dataset.region_dim, num_classes=2, initializer_range=0.3
    )
    model = DownstreamModel(config, "retrieval", TaskSettings(vocabulary=dataset.vocabulary), seed=3).train()
    candidates = RandomNegatives(dataset, images=8, texts=0)
    told = []
    table = mining.mine(
        model, Accelerator(cpu=True), dataset, candidates, keep=4, units=200, key=5,
        busy=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert model.training
    images = np.unique(dataset.image_rows)
    blocks = -(-len(images) // width)
    assert told == [(block, blocks) for block in range(1, blocks + 1)]
    texts = np.arange(len(dataset))
    keys = unit_keys(torch.tensor([5]), torch.tensor([len(dataset)])).numpy()
    drawn = candidates.draw(texts, keys).image_rows
    scores = score_grid(model, image_samples(dataset, images), text_samples(dataset, texts), units=900)
    is_drawn = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(is_drawn, np.searchsorted(images, drawn), True, axis=1)
    check_best(table.images, np.searchsorted(images, table.images), scores, is_drawn)
    check_best(table.texts[images], table.texts[images], scores.T, is_drawn.T)
    others = np.setdiff1d(np.arange(len(dataset.region_lengths)), images)
    assert (table.texts[others] == -1).all()


def check_best(kept: np.ndarray, columns: np.ndarray, scores: np.ndarray, is_drawn: np.ndarray) -> None:
    """Each row of `kept` names the best drawn cells of a row of scores, the best first."""
    for row in range(len(kept)):
        chosen = columns[row][kept[row] >= 0]
        assert len(set(chosen.tolist())) == len(chosen) == min(kept.shape[1], is_drawn[row].sum())
        assert is_drawn[row, chosen].all()
        found = scores[row, chosen]
        left = np.delete(scores[row], chosen)[np.delete(is_drawn[row], chosen)]
        assert (np.diff(found) <= 1e-5).all()
        assert found.min() >= left.max(initial=-np.inf) - 1e-5
