"""A grid of retrieval survives being killed without scoring a finished block again, is the same from two processes, and
takes no more memory when it is larger.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from uniter_cli.errors import UsageError
from uniter_cli.score_matrix import ScoreMatrix
from uniter_tasks import score_grid
from uniter_tasks.grid import Block

SCRIPT = Path(__file__).with_name("grid_process.py")
_spec = importlib.util.spec_from_file_location("grid_process", SCRIPT)
grid_process = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(grid_process)

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def command(matrix: Path, log: Path, sizes: tuple[int, int, int, int], processes: int = 1) -> list[str]:
    arguments = [str(SCRIPT), str(matrix), str(log), *map(str, sizes)]
    if processes == 1:
        return [sys.executable, *arguments]
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        *arguments,
    ]


def run(*arguments, **options) -> str:
    done = subprocess.run(command(*arguments, **options), env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def scored(log: Path) -> list[tuple[int, int]]:
    """Blocks in the order they were scored; a last line may be cut short by a kill."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]


def places(blocks: list[Block]) -> set[tuple[int, int]]:
    return {(block.row, block.column) for block in blocks}


def kill_after(blocks: int, *arguments) -> None:
    """Start the process and kill it with SIGKILL once it has begun to keep so many more blocks."""
    log = arguments[1]
    before = len(scored(log))
    process = subprocess.Popen(
        command(*arguments), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(12_000):
            if len(scored(log)) >= before + blocks:
                return
            if process.poll() is not None:
                pytest.fail(f"the process ended with {process.returncode} before it was killed")
            time.sleep(0.005)
        pytest.fail("too slow")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def prove_resuming(folder: Path, sizes: tuple[int, int, int, int], kills: list[int]) -> np.ndarray:
    """Kill and resume; the finished matrix."""
    matrix, log = folder / "scores.zarr", folder / "log"
    gallery = grid_process.Synthetic(*sizes[:2])
    for blocks in kills:
        kill_after(blocks, matrix, log, sizes)
        assert not matrix.exists()
        seen = len(scored(log))
        stopped = grid_process.open_matrix(matrix, gallery, height=sizes[2], width=sizes[3])
        finished = places(stopped.blocks) - places(stopped.pending())
        assert finished
        assert len(finished) >= seen - len(kills)  # all that was begun but for the one under way at each kill
        log.write_text("".join(f"{row} {column}\n" for row, column in sorted(finished)))
    before = scored(log)
    run(matrix, log, sizes)
    again = scored(log)[len(before) :]
    assert not set(again) & set(before)
    found = ScoreMatrix.open(matrix)
    assert sorted(before + again) == sorted(places(found.blocks))
    run(matrix, log, sizes)
    assert len(scored(log)) == len(found.blocks), "a whole matrix is not scored again"
    assert (found.text_ids, found.image_ids) == (gallery.text_ids, gallery.image_ids)
    return found[:]


SIZES = (110, 20, 16, 4)


def test_killed_twice_and_resumed_equals_pairs_scored_at_once(tmp_path):
    scores = prove_resuming(tmp_path, SIZES, [9, 14])
    gallery, model = grid_process.Synthetic(*SIZES[:2]), grid_process.tiny_model()
    whole = score_grid(model, gallery.images(slice(None)), gallery.texts(slice(None)), units=10_000)
    np.testing.assert_allclose(scores, whole, atol=1e-5)


def test_two_processes_are_one(tmp_path):
    for processes in (1, 2):
        run(tmp_path / f"{processes}.zarr", tmp_path / f"log-{processes}", SIZES, processes=processes)
    one, two = (ScoreMatrix.open(tmp_path / f"{processes}.zarr")[:] for processes in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert sorted(scored(tmp_path / "log-1")) == sorted(scored(tmp_path / "log-2"))


def test_another_matrix_in_the_way_is_refused(tmp_path):
    path = tmp_path / "scores.zarr"
    gallery = grid_process.Synthetic(5, 3)
    with pytest.raises(UsageError, match=r"holds no scores$"):
        ScoreMatrix.open(path)
    matrix = grid_process.open_matrix(path, gallery, height=2, width=2)
    with pytest.raises(UsageError, match="unfinished, repeat the command"):
        ScoreMatrix.open(path)
    with pytest.raises(ValueError, match="6 of 6 blocks are not scored yet"):
        matrix.publish()
    for change, message in (
        ({"origin": {"model": "other"}}, "scores of another model"),
        ({"text_ids": gallery.text_ids[::-1]}, "other texts or images"),
        ({"image_ids": gallery.image_ids[:2]}, "other texts or images"),
    ):
        asked = {"text_ids": gallery.text_ids, "image_ids": gallery.image_ids, "origin": {"model": "tiny"}} | change
        with pytest.raises(UsageError, match=message):
            ScoreMatrix.begin(path, height=2, width=2, **asked)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="in the way"):
        grid_process.open_matrix(tmp_path / "file", gallery, height=2, width=2)


@pytest.mark.soak
def test_a_large_grid_is_killed_resumed_and_takes_no_more_memory(tmp_path):
    """1,000 images with 5,000 texts: five million pairs."""
    small = float(run(tmp_path / "small.zarr", tmp_path / "small-log", (1000, 200, 512, 32)))
    scores = prove_resuming(tmp_path, (5000, 1000, 512, 32), [40, 120])
    assert scores.shape == (5000, 1000)
    assert np.isfinite(scores).all()
    large = float(run(tmp_path / "again.zarr", tmp_path / "again-log", (5000, 1000, 512, 32)))
    assert large < small + 64, f"peak memory in MiB: {small} at 0.2 million pairs, {large} at 5 million"
