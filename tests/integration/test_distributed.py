"""Two processes are one: the same task at each step, and the losses of one process with the same global batches."""

import json
import shutil

import pytest

ARGUMENTS = ["--tasks", "mlm,itm,mrc-kl,mrfr,wra", "--steps", "24", "--units", "300", "--set", "validation.every=12"]


def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def single(tiny_scenes, uniter, tmp_path_factory):
    run = tmp_path_factory.mktemp("single") / "run"
    uniter("pretrain", *ARGUMENTS, "--data", tiny_scenes / "captions", "--data", tiny_scenes / "snaps", "--out", run)
    return run


@pytest.mark.parametrize(
    ("processes", "accumulation", "parallel"), [(2, 1, "ddp"), (1, 2, "ddp"), (2, 2, "ddp"), (2, 1, "fsdp")]
)
def test_processes_accumulation_and_sharding_change_no_number(
    processes, accumulation, parallel, single, tiny_scenes, uniter, tmp_path
):
    run = tmp_path / "run"
    done = uniter(
        "pretrain", *ARGUMENTS, "--set", f"batch.accumulation={accumulation}",
        "--set", f"batch.parallel={parallel}",
        "--data", tiny_scenes / "captions", "--data", tiny_scenes / "snaps", "--out", run,
        processes=processes,
    )  # fmt: skip
    alone, together = records(single), records(run)
    assert [(r["step"], r["kind"]) for r in alone] == [(r["step"], r["kind"]) for r in together]
    for a, b in zip(alone, together, strict=True):
        if a["kind"] == "train":
            assert (a["dataset"], a["objective"]) == (b["dataset"], b["objective"])
            assert b["loss"] == pytest.approx(a["loss"], abs=1e-5, rel=1e-5)
            assert b["grad_norm"] == pytest.approx(a["grad_norm"], abs=1e-4, rel=1e-4)
        else:
            assert a["metrics"].keys() == b["metrics"].keys()
            assert b["metrics"] == pytest.approx(a["metrics"], abs=2e-3)
    assert done.stdout.count("Validation, before and after") == 1, "only the main process speaks"


def test_two_processes_resume(tiny_scenes, uniter, tmp_path):
    arguments = ["--steps", "12", "--units", "300", "--set", "save.every=6", "--data", str(tiny_scenes / "captions")]
    whole, half = tmp_path / "whole", tmp_path / "half"
    uniter("pretrain", *arguments, "--out", whole, processes=2)
    uniter("pretrain", *arguments, "--out", half, processes=2)
    # as if the run had stopped after its first checkpoint
    (half / "results.json").unlink()
    for checkpoint in (half / "checkpoints").glob("step-*12"):
        shutil.rmtree(checkpoint)
    uniter("pretrain", "--resume", half, processes=2)
    assert [r for r in records(half) if r["kind"] == "train" and r["step"] > 5] != []
    keep = ("step", "kind", "loss", "grad_norm")
    assert [{k: r.get(k) for k in keep} for r in records(half)] == [{k: r.get(k) for k in keep} for r in records(whole)]
    done = uniter("pretrain", "--resume", half, check=False)
    assert done.returncode != 0


def test_a_sharded_run_goes_on_in_one_process(single, tiny_scenes, uniter, tmp_path):
    run = tmp_path / "run"
    uniter(
        "pretrain", *ARGUMENTS, "--set", "batch.parallel=fsdp", "--set", "save.every=12", "--data",
        tiny_scenes / "captions", "--data", tiny_scenes / "snaps", "--out", run, processes=2,
    )  # fmt: skip
    older, newest = sorted((run / "checkpoints").glob("step-*"))
    shards = {path.name: path.stat().st_size for path in older.glob("*.safetensors")}
    assert len(shards) == 2
    assert max(shards.values()) < 0.6 * sum(shards.values()), "each process writes its own share"
    (run / "results.json").unlink()
    (newest / "position.json").unlink()
    uniter("pretrain", "--resume", run)
    alone, together = ([r for r in records(each) if r["kind"] == "train"] for each in (single, run))
    assert [r["loss"] for r in together] == pytest.approx([r["loss"] for r in alone], abs=1e-5, rel=1e-5)
