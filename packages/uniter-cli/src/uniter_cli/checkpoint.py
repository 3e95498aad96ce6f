"""Checkpoints of a run: all that the next step depends on, written beside and renamed; the newest whole one found."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from accelerate import Accelerator

from uniter_cli.errors import RunError, UsageError
from uniter_cli.fit import StepReport

__all__ = ["Position", "newest_checkpoint", "restore", "save"]


@dataclass(kw_only=True)
class Position:
    """Where a run stands: the next step, and where each stream of batches is.

    Attributes:
        step: number of the next step.
        streams: position of each `dataset/objective` stream that has been drawn from.
        seconds, units, slots: totals of the steps so far, for the summary.
    """

    step: int = 0
    seconds: float = 0.0
    units: int = 0
    slots: int = 0
    streams: dict[str, dict[str, int]] = field(default_factory=dict)

    def advance(self, report: StepReport, *, processes: int) -> None:
        """Move past a step that `processes` processes made alike."""
        self.step = report.step + 1
        self.streams[report.stream] = report.position
        self.seconds += report.seconds
        self.units += report.units * processes
        self.slots += report.slots * processes


def save(accelerator: Accelerator, folder: Path, position: Position, *, keep: int) -> Path:
    """Save model, optimiser, scaler and generator states as `folder/step-N`, and drop all but the newest `keep`.

    A checkpoint has its final name only when it is whole: killed at any moment, a run leaves the previous one intact.
    """
    final = folder / f"step-{position.step:08d}"
    partial = folder / f".{final.name}.partial"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (partial / "position.json").write_text(json.dumps({"processes": accelerator.num_processes} | asdict(position)))
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        for old in _whole(folder)[:-keep]:
            shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()
    return final


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint, or None where there is none."""
    whole = _whole(folder)
    return whole[-1] if whole else None


def restore(accelerator: Accelerator, checkpoint: Path) -> Position:
    """Load a checkpoint into what `accelerator` has prepared; the position to go on from.

    Raises:
        UsageError: it was saved by another number of processes.
        RunError: a file is missing or cannot be read.
    """
    saved = json.loads((checkpoint / "position.json").read_text())
    processes = saved.pop("processes")
    if processes != accelerator.num_processes:
        raise UsageError(
            f"{checkpoint} was saved by {processes} processes, this run has {accelerator.num_processes}: start as many"
        )
    # accelerate only logs when a generator's state is missing: the run would go on with other dropout
    generators = checkpoint / f"random_states_{accelerator.process_index}.pkl"
    if not generators.is_file():
        raise RunError(f"{generators} is missing: remove {checkpoint} to resume from the one before")
    try:
        accelerator.load_state(str(checkpoint))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise RunError(f"{checkpoint} cannot be read ({error}): remove it to resume from the one before") from error
    return Position(**saved)


def _whole(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if (path / "position.json").is_file())
