"""Run a command again and again, each time killed at a random moment, until it ends: `killed_runs.py` < JSON.

Every attempt is a process of its own, forked from this one, which has torch loaded: a start costs a tenth of a second
instead of several. Input: `start` and `resume` (arguments), `run` (its directory), `kills`, `seed`, `saves` (every how
many kills to wait for a save under way). Output: what it was killed at, a line each.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import accelerate  # noqa: F401 - loaded once, before any fork
import torch

from uniter_cli.main import run

torch.set_num_threads(1)


def attempt(arguments: list[str]) -> int:
    """Start the command in a forked process; its number."""
    child = os.fork()
    # a group of its own, made by whichever of the two comes first: what is killed is the run with its workers
    os.setpgid(child, child)
    if child:
        return child
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    sys.argv = ["uniter", *arguments]
    try:
        run()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(0)


def saving(checkpoints: Path, since: int) -> bool:
    """Whether a checkpoint is being written that was begun later than `since`: an attempt before may have left some."""
    try:
        return any(path.stat().st_ctime_ns > since for path in checkpoints.glob(".*.partial"))
    except FileNotFoundError:  # it was finished in between
        return False


def lines(metrics: Path) -> int:
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def main() -> None:
    job = json.load(sys.stdin)
    draw = random.Random(job["seed"])
    directory = Path(job["run"])
    metrics, checkpoints = directory / "metrics.jsonl", directory / "checkpoints"
    for number in range(job["kills"]):
        since = time.time_ns()
        child = attempt(job["resume"] if (directory / "recipe.toml").exists() else job["start"])
        in_a_save = number % job["saves"] == 0
        deadline = time.monotonic() + draw.uniform(0.0, 0.4)
        came_to = lines(metrics) + draw.randrange(1, 6)
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if in_a_save and saving(checkpoints, since):
                break
            if not in_a_save and lines(metrics) >= came_to and time.monotonic() > deadline:
                break
            time.sleep(0.0005)
        else:
            sys.exit(f"the run ended before kill {number}")
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(f"kill {number}: {'in a save' if in_a_save else 'after'} line {lines(metrics)}", flush=True)
    status = os.waitpid(attempt(job["resume"]), 0)[1]
    if status:
        sys.exit(f"the last attempt ended with {status}")


if __name__ == "__main__":
    main()
