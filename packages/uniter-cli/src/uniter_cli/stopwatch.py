"""Where the seconds of a step go, on a CPU and on a GPU, whose work is timed where it runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["Stopwatch"]


class Stopwatch:
    """Adds up the seconds of named parts. Nothing waits for a GPU before `seconds` is called.

    Args:
        device: where the work runs.

    >>> watch = Stopwatch(torch.device("cpu"))
    >>> with watch.part("forward"):
    ...     pass
    >>> list(watch.seconds())
    ['forward']
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._clocked: dict[str, float] = {}
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        if self._on_gpu:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begin.record()
            yield
            end.record()
            self._events.append((name, begin, end))
        else:
            started = time.perf_counter()
            yield
            self._clocked[name] = self._clocked.get(name, 0.0) + time.perf_counter() - started

    def seconds(self) -> dict[str, float]:
        """Of every part so far; a GPU is waited for."""
        found = dict(self._clocked)
        for name, begin, end in self._events:
            end.synchronize()
            found[name] = found.get(name, 0.0) + begin.elapsed_time(end) / 1000
        return found
