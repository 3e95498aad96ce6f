"""Fair timing: candidates take turns, so that what else the machine does meets all of them; medians."""

import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

__all__ = ["machine", "medians"]

SETTLE = 0.02  # seconds before each turn: the threads of the last candidate's libraries spin on for a while
SHORTEST_TURN = 0.005  # seconds: less is at the mercy of whatever lies in the caches


def medians(candidates: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 2) -> dict[str, float]:
    """Median seconds of each candidate over rounds in which each has its turn: one run, or several of a quick one.

    Args:
        candidates: name → what to time; a result is thrown away.
        rounds: turns each of them gets.
        warm_up: turns before that, not counted; they tell how often a quick candidate runs in a turn.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warm_up + rounds):
        for name, run in candidates.items():
            time.sleep(SETTLE)
            runs = 1 if turn < warm_up else max(1, round(SHORTEST_TURN / min(seconds[name])))
            _wait()
            begin = time.perf_counter()
            for _ in range(runs):
                run()
            _wait()
            seconds[name].append((time.perf_counter() - begin) / runs)
    return {name: statistics.median(times[warm_up:]) for name, times in seconds.items()}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def machine() -> str:
    """One line on what was measured where: processor or GPU, threads, torch, commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    ).stdout.strip()
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    processor = names[0] if names else platform.processor()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {torch.get_num_threads()} threads{gpu}, torch {torch.__version__}, commit {commit or '?'}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
