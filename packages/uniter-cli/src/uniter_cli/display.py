"""The live view of a run: losses by objective, rate, and time left; plain lines where there is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from uniter_cli.fit import StepReport

__all__ = ["Display", "console", "progress_bars", "progress_callback"]

SMOOTHING = 0.95
SECONDS_BETWEEN_LINES = 15.0
SAID = ("accuracy", "_recall@1")  # endings of the metrics that are said after a validation

console = Console()


class Display:
    """Shows steps as they are done.

    Args:
        steps: of the whole run.
        first_step: where it starts.
    """

    def __init__(self, *, steps: int, first_step: int = 0) -> None:
        self._steps = steps
        self._losses: dict[str, float] = {}
        self._rate = 0.0
        self._utilisation = 0.0
        self._spoke = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("training", total=steps, completed=first_step)
        self._live = Live(self._render(), console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if console.is_terminal:
            self._live.stop()

    def step(self, report: StepReport) -> None:
        """Show one more step."""
        known = self._losses.get(report.objective)
        weight = 0.0 if known is None else SMOOTHING
        self._losses[report.objective] = weight * (known or 0.0) + (1 - weight) * report.loss
        rate = report.units / report.seconds
        self._rate = SMOOTHING * self._rate + (1 - SMOOTHING) * rate if self._rate else rate
        self._utilisation = report.units / report.slots
        self._progress.update(self._task, completed=report.step + 1)
        if console.is_terminal:
            self._live.update(self._render())
        elif time.monotonic() - self._spoke > SECONDS_BETWEEN_LINES:
            self._spoke = time.monotonic()
            losses = "  ".join(f"{name} {value:.3f}" for name, value in sorted(self._losses.items()))
            console.print(f"step {report.step + 1}/{self._steps}  {losses}  {self._rate:,.0f} units/s", highlight=False)

    def measured(self, step: int, metrics: dict[str, float]) -> None:
        """Show a validation in one line."""
        chosen = {name: value for name, value in metrics.items() if name.count("/") == 1 and name.endswith(SAID)}
        line = "  ".join(f"{name.removesuffix('/accuracy')} {value:.3f}" for name, value in sorted(chosen.items()))
        console.print(f"validation after step {step + 1}: accuracy  {line}", highlight=False)

    def busy(self, what: str) -> Callable[[int, int], None]:
        """A callback that shows other work beside the training bar, or in a line now and then."""
        task = self._progress.add_task(what, total=None)
        started = time.monotonic()

        def update(done: int, total: int) -> None:
            self._progress.update(task, completed=done, total=total, visible=done < total)
            now = time.monotonic()
            if console.is_terminal:
                self._live.update(self._render())
            elif now - self._spoke > SECONDS_BETWEEN_LINES and now - started > SECONDS_BETWEEN_LINES:
                self._spoke = now
                left = (total - done) * (now - started) / max(done, 1)
                console.print(f"{what}: {done:,} of {total:,}, {left:,.0f} s left", highlight=False)

        return update

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 3))
        names = sorted(self._losses)
        table.add_row(*(f"[bold]{name}[/] {self._losses[name]:.3f}" for name in names))
        rate = f"{self._rate:,.0f} real units/s   a padded batch would be {self._utilisation:.0%} full"
        return Group(table, rate if names else "", self._progress)


def progress_callback(progress: Progress) -> Callable[[str, int, int], None]:
    """A callback `(what, done, total)` that keeps one bar for each `what`."""
    tasks: dict[str, int] = {}

    def update(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=total)
        progress.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

    return update


@contextmanager
def progress_bars(*, hidden: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Bars for long work, gone when it is done; the callback is `progress_callback`'s."""
    with Progress(console=console, transient=True, disable=hidden or not console.is_terminal) as bars:
        yield progress_callback(bars)
