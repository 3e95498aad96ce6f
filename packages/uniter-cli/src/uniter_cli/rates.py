"""Bars for work that is counted in things and takes hours: with a rate and the time left; plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from uniter_cli.display import console, progress_callback

__all__ = ["rated_progress"]

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def rated_progress(things: str) -> Iterator[Callable[[str, int, int], None]]:
    """A callback `(what, done, total)` that shows a bar on a terminal, else a line every half a minute.

    Args:
        things: what is counted, such as "pictures".
    """
    if not console.is_terminal:
        yield _lines(things)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(things),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield progress_callback(bars)


class _Rate(ProgressColumn):
    """Things a second over the last seconds."""

    def __init__(self, things: str) -> None:
        super().__init__()
        self._things = things

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.1f} {self._things}/s" if task.speed else "")


def _lines(things: str) -> Callable[[str, int, int], None]:
    begun: dict[str, tuple[float, int]] = {}  # of each kind of work: when, and how much was done before
    spoke = time.monotonic()

    def update(what: str, done: int, total: int) -> None:
        nonlocal spoke
        now = time.monotonic()
        start, before = begun.setdefault(what, (now, done))
        if now - spoke < SECONDS_BETWEEN_LINES or done == before:
            return
        spoke = now
        rate = (done - before) / (now - start)
        left = time.strftime("%H:%M:%S", time.gmtime((total - done) / rate))
        console.print(f"{what}  {done:,}/{total:,}  {rate:,.1f} {things}/s  {left} left", highlight=False)

    return update
