"""Checkpoints of a run: all that the next step depends on, written beside and renamed; the newest sound one found."""

import json
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError
from torch.distributed.checkpoint.api import CheckpointException

from uniter_cli.engine import seed_dropout
from uniter_cli.errors import RunError
from uniter_cli.fit import StepReport
from uniter_cli.parallel import Spread
from uniter_cli.training_state import load_generators, load_tensors, save_generators, save_tensors

__all__ = ["Position", "newest_checkpoint", "restore", "save"]

POSITION = "position.json"  # written last: a checkpoint without it was cut short
BLOCK = 1 << 24
FAULTS = (OSError, RuntimeError, ValueError, KeyError, SafetensorError, CheckpointException)


@dataclass(kw_only=True)
class Position:
    """Where a run stands: the next step, and where each stream of batches is.

    Attributes:
        step: number of the next step.
        streams: position of each `dataset/objective` stream that has been drawn from.
        seconds, units, slots, flops: totals of the steps so far, for the summary.
        spent: seconds of them by part, as a step report has them.
        skipped: steps that changed nothing because their loss was not finite.
        best: the best value so far of the metric that is watched, None before the first.
    """

    step: int = 0
    seconds: float = 0.0
    units: int = 0
    slots: int = 0
    flops: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    skipped: int = 0
    best: float | None = None
    streams: dict[str, dict[str, int]] = field(default_factory=dict)

    def advance(self, report: StepReport, *, processes: int) -> None:
        """Move past a step that `processes` processes made alike."""
        self.step = report.step + 1
        self.streams[report.stream] = report.position
        self.seconds += report.seconds
        self.units += report.units * processes
        self.slots += report.slots * processes
        self.flops += report.flops
        for part, seconds in report.spent.items():
            self.spent[part] = self.spent.get(part, 0.0) + seconds
        self.skipped += report.skipped


def save(accelerator: Accelerator, spread: Spread, folder: Path, position: Position, *, keep: int) -> Path:
    """Save parameters, moments, scaler and generators as `folder/step-N`, and drop all but the newest `keep`.

    A checkpoint has its final name only when it is whole: killed at any moment, a run leaves the previous one intact.

    Raises:
        RunError: there is no room for it; the ones before it are intact.
    """
    final = folder / f"step-{position.step:08d}"
    partial = folder / f".{final.name}.partial"
    try:
        _write(accelerator, spread, partial, final, position)
    except FAULTS as error:  # each library tells of a full disk in a way of its own
        shutil.rmtree(partial, ignore_errors=True)
        raise RunError(
            f"{final} could not be written ({_first_line(error)}): the checkpoints before it are intact; make room, "
            f"then go on with --resume {folder.parent}"
        ) from error
    if accelerator.is_main_process:
        for old in _whole(folder)[:-keep]:
            shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()
    return final


def newest_checkpoint(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest sound checkpoint, or None where there is none; and what is wrong with newer ones, a line each."""
    complaints: list[str] = []
    for candidate in reversed(_whole(folder)):
        wrong = _damage(candidate)
        if not wrong:
            return candidate, complaints
        complaints.append(f"{candidate}: {wrong}")
    return None, complaints


def restore(accelerator: Accelerator, spread: Spread, checkpoint: Path, *, seed: int) -> Position:
    """Load a checkpoint into a model and its optimiser, however it was spread; the position to go on from.

    With as many processes as saved it, the run goes on bit for bit. With another number, the data go on in the same
    order and dropout is seeded anew from `seed` and the step.

    Raises:
        RunError: it cannot be loaded.
    """
    saved = _read_position(checkpoint)
    saved.pop("files")
    processes, scaler = saved.pop("processes"), saved.pop("scaler")
    position = Position(**saved)
    try:
        load_tensors(checkpoint, spread)
        if processes == accelerator.num_processes:
            load_generators(checkpoint, accelerator)
        else:
            seed_dropout(seed, accelerator, step=position.step)
    except FAULTS as error:
        raise RunError(
            f"{checkpoint} cannot be loaded ({_first_line(error)}): remove it to resume from the one before"
        ) from error
    if accelerator.scaler and scaler:
        accelerator.scaler.load_state_dict(scaler)
    return position


# ---------------------------------------------------------------------------------------------------------------------


def _write(accelerator: Accelerator, spread: Spread, partial: Path, final: Path, position: Position) -> None:
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "generators").mkdir(parents=True)
    accelerator.wait_for_everyone()
    save_tensors(partial, spread)
    save_generators(partial, accelerator)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        files = {path.relative_to(partial).as_posix(): [path.stat().st_size, _checksum(path)] for path in _in(partial)}
        scaler = accelerator.scaler.state_dict() if accelerator.scaler else {}
        saved = {"processes": accelerator.num_processes, "scaler": scaler, "files": files} | asdict(position)
        (partial / POSITION).write_text(json.dumps(saved))
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    accelerator.wait_for_everyone()


def _whole(folder: Path) -> list[Path]:
    """Checkpoints that were written to their end, the oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / POSITION).is_file())


def _damage(checkpoint: Path) -> str:
    """What is wrong with a checkpoint's files; empty if nothing is."""
    try:
        files = _read_position(checkpoint)["files"]
        for name, (size, checksum) in files.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size:
                return f"{name} has {path.stat().st_size} bytes, {size} were written"
            if _checksum(path) != checksum:
                return f"{name} is damaged: its checksum is another"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{POSITION} cannot be read ({error})"
    return ""


def _read_position(checkpoint: Path) -> dict[str, Any]:
    saved: dict[str, Any] = json.loads((checkpoint / POSITION).read_text())
    return saved


def _in(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _checksum(path: Path) -> int:
    """CRC-32 of a file, read block after block."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
