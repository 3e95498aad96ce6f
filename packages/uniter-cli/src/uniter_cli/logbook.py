"""What a run tells while it goes on: JSON lines, TensorBoard, and a live view for a person."""

import math
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from uniter_cli.display import Display
from uniter_cli.fit import StepReport
from uniter_cli.memory import peak_memory
from uniter_cli.run_directory import RunDirectory

__all__ = ["Logbook"]


class Logbook:
    """Collects step reports and writes one record every `log_every` steps; silent on all but the main process.

    Args:
        directory: of the run.
        steps: how many the run has.
        first_step: where it starts (a resumed run later than 0).
        log_every: steps between records.
        main: whether this is the process that writes.
        peak: floating-point operations a second of its device at most; None where that is not known.
    """

    def __init__(
        self,
        directory: RunDirectory,
        *,
        steps: int,
        first_step: int,
        log_every: int,
        main: bool,
        peak: float | None = None,
    ) -> None:
        self._directory = directory
        self._log_every = log_every
        self._main = main
        self._peak = peak
        self._window: list[StepReport] = []
        self._display = Display(steps=steps, first_step=first_step) if main else None
        self._board = SummaryWriter(str(directory.tensorboard), purge_step=first_step) if main else None

    def __enter__(self) -> Self:
        if self._display:
            self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display:
            self._display.__exit__(kind, error, trace)
        if self._board:
            self._board.close()

    def step(self, report: StepReport, *, scale_units: int = 1) -> None:
        """Note one step.

        Args:
            report: the step's.
            scale_units: how many processes did the like, for the rate.
        """
        if not self._main:
            return
        self._window.append(report)
        if self._display:
            self._display.step(report)
        if (report.step + 1) % self._log_every == 0:
            self._write(scale_units)

    def measured(self, step: int, metrics: dict[str, float]) -> None:
        """Note a validation after step `step` (-1: before the first)."""
        if not self._main:
            return
        self._directory.log({"step": step, "kind": "validation", "metrics": metrics})
        if self._board:
            for name, value in metrics.items():
                self._board.add_scalar(f"validation/{name}", value, step + 1)
        if self._display:
            self._display.measured(step, metrics)

    def busy(self, what: str) -> Callable[[int, int], None]:
        """A callback `(done, total)` that shows work other than training."""
        if self._display:
            return self._display.busy(what)
        return lambda done, total: None

    def _write(self, scale_units: int) -> None:
        window, self._window = self._window, []
        seconds = sum(report.seconds for report in window)
        last = window[-1]
        shared: dict[str, Any] = {
            "lr": last.lr,
            "units_per_s": round(scale_units * sum(r.units for r in window) / seconds, 1),
            "utilisation": round(sum(r.units for r in window) / sum(r.slots for r in window), 4),
            "memory_mib": round(peak_memory() / 2**20),
            **({"mfu": round(sum(r.flops for r in window) / seconds / self._peak, 4)} if self._peak else {}),
            **{f"{part}_share": round(sum(r.spent[part] for r in window) / seconds, 4) for part in last.spent},
        }
        losses = {f"{r.dataset}/{r.objective}": r.loss for r in window}
        self._directory.log(
            {
                "step": last.step,
                "kind": "train",
                "dataset": last.dataset,
                "objective": last.objective,
                "loss": last.loss if math.isfinite(last.loss) else None,
                "grad_norm": last.grad_norm if math.isfinite(last.grad_norm) else None,
                **({"skipped": skipped} if (skipped := sum(r.skipped for r in window)) else {}),
                **shared,
            }
        )
        if self._board:
            for name, loss in losses.items():
                self._board.add_scalar(f"loss/{name}", loss, last.step)
            self._board.add_scalar("grad_norm", last.grad_norm, last.step)
            for name, value in shared.items():
                self._board.add_scalar(f"run/{name}", value, last.step)
