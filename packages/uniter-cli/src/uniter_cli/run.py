"""The course of a run of any kind: begin or resume, train, measure, save, test once, sum up."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from accelerate import Accelerator
from torch import nn

from uniter_cli import checkpoint
from uniter_cli.curves import draw_curves
from uniter_cli.display import console
from uniter_cli.engine import agreed, was_restarted
from uniter_cli.errors import RunError, UsageError
from uniter_cli.fit import StepReport, fit
from uniter_cli.interruption import Interrupted, Interruption
from uniter_cli.loader import Job
from uniter_cli.logbook import Logbook
from uniter_cli.memory import peak_memory
from uniter_cli.nearest import nearest
from uniter_cli.parallel import Spread
from uniter_cli.parallel import spread as spread_model
from uniter_cli.peak import peak_flops
from uniter_cli.recipe import Recipe
from uniter_cli.run_directory import RunDirectory, write_text
from uniter_cli.summary import RunResult, markdown, show
from uniter_tasks import TaskBatch

__all__ = ["Busy", "Course", "Plan", "Work", "run"]

LOW = ("loss", "distance")  # endings of the metrics that are best when low

Busy = Callable[[str], Callable[[int, int], None]]
"""Gives, for a named piece of work, a progress callback `(done, total)`."""


class Plan(Protocol):
    """The micro-batches of a run, from any step on."""

    def seek(self, step: int, positions: Mapping[str, dict[str, int]]) -> None:
        """Go on at `step`, each stream where a checkpoint left it."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What the stream of batches may use of the run that it feeds.

    Attributes:
        directory: of the run.
        busy: shows that it does something else.
        gather: brings `Work.model` up to date with what is trained; every process takes part.
    """

    directory: RunDirectory
    busy: Busy
    gather: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a kind of run brings to the course that all runs have in common.

    Attributes:
        model: to be trained; called as `model(name, batch)`, returns a `Loss`.
        plan: what is trained on, in which order.
        loader: opens the stream of this process's micro-batches, from where the plan stands.
        validate: the prepared model → metrics of the validation split; empty where there is none.
        baselines: what constant answers reach, by the same names.
        test: metrics of the test split, looked at once; empty where there is none.
        save: writes the finished model into a folder.
    """

    model: nn.Module
    plan: Plan
    loader: Callable[[Course], Iterable[tuple[Job, TaskBatch]]]
    validate: Callable[[nn.Module, Busy], dict[str, float]]
    baselines: Callable[[], dict[str, float]]
    test: Callable[[Busy], dict[str, float]]
    save: Callable[[Path], None]


def run(recipe: Recipe, out: Path, accelerator: Accelerator, work: Work, *, resume: bool = False) -> RunResult:
    """Train as the recipe says, in `out`.

    Args:
        recipe: everything that decides the numbers.
        out: the run's directory; new, or with `resume` one that holds an unfinished run of this recipe.
        accelerator: the process group.
        work: what this kind of run does.
        resume: go on from the newest whole checkpoint.

    Returns:
        What was measured (on every process the same).

    Raises:
        UsageError, RunError: there is no room, another run is in the way, or a loss is not finite.
    """
    directory = RunDirectory(Path(agreed(accelerator, str(out))))
    _check_space(directory.path, work.model, recipe)
    spread = spread_model(work.model, recipe, accelerator)
    position = _begin(directory, recipe, work.plan, accelerator, spread, resume=resume)
    with Logbook(
        directory,
        steps=recipe.steps,
        first_step=position.step,
        log_every=recipe.save.log_every,
        main=accelerator.is_main_process,
        peak=peak_flops(accelerator.device, recipe.precision),
    ) as logbook:

        def validate(step: int) -> None:
            spread.gather()
            metrics = work.validate(spread.measured, logbook.busy)
            if metrics:
                logbook.measured(step, metrics)
                _keep_best(recipe, directory, accelerator, work, position, metrics)

        def save() -> None:
            checkpoint.save(accelerator, spread, directory.checkpoints, position, keep=recipe.save.keep)

        def after_step(report: StepReport) -> None:
            position.advance(report, processes=accelerator.num_processes)
            logbook.step(report, scale_units=accelerator.num_processes)
            last = position.step == recipe.steps
            if last or (recipe.validation.every and position.step % recipe.validation.every == 0):
                validate(report.step)
            if last or position.step % recipe.save.every == 0:
                save()

        if position.step == 0:
            validate(-1)
        with Interruption() as interruption:
            finished = fit(
                spread.trained,
                spread.optimizer,
                accelerator,
                work.loader(Course(directory=directory, busy=logbook.busy, gather=spread.gather)),
                recipe,
                first_step=position.step,
                after_step=after_step,
                asked_to_stop=lambda: interruption.asked,
            )
        if not finished:
            save()
            raise Interrupted(
                f"stopped after step {position.step} of {recipe.steps}: go on with --resume {directory.path}",
                interruption.code,
            )
        spread.gather()
        result = _finish(recipe, directory, accelerator, work, position, logbook)
    if accelerator.is_main_process:
        show(result, recipe, console)
    accelerator.end_training()
    return result


# ---------------------------------------------------------------------------------------------------------------------


def _finish(
    recipe: Recipe,
    directory: RunDirectory,
    accelerator: Accelerator,
    work: Work,
    position: checkpoint.Position,
    logbook: Logbook,
) -> RunResult:
    """Save the model, look at the test split once, write the summary."""
    if accelerator.is_main_process:
        work.save(directory.model)
    test = work.test(logbook.busy)
    peak = peak_flops(accelerator.device, recipe.precision)
    measured = [r["metrics"] for r in directory.records() if r["kind"] == "validation"]
    result = RunResult(
        before=measured[0] if measured else {},
        after=measured[-1] if measured else {},
        baselines=work.baselines(),
        test=test,
        seconds=position.seconds,
        spent={part: seconds / max(position.seconds, 1e-9) for part, seconds in position.spent.items()},
        mfu=position.flops / position.seconds / peak if peak and position.seconds else None,
        skipped=position.skipped,
        units=position.units,
        utilisation=position.units / max(position.slots, 1),
        parameters=sum(parameter.numel() for parameter in work.model.parameters()),
        peak_memory=peak_memory(),
    )
    if accelerator.is_main_process:
        write_text(directory.results, json.dumps(asdict(result), indent=2) + "\n")
        write_text(directory.summary, markdown(result, recipe))
        draw_curves(directory.records(), directory.curves)
    accelerator.wait_for_everyone()
    return result


def _begin(
    directory: RunDirectory, recipe: Recipe, plan: Plan, accelerator: Accelerator, spread: Spread, *, resume: bool
) -> checkpoint.Position:
    """A new directory, or the position of the newest checkpoint of an old one."""
    if not resume and not agreed(accelerator, _goes_on(directory, recipe)):
        if accelerator.is_main_process:
            directory.begin(recipe)
        accelerator.wait_for_everyone()
        return checkpoint.Position()
    # one process reads every byte of them, for all
    looked = checkpoint.newest_checkpoint(directory.checkpoints) if accelerator.is_main_process else (None, [])
    newest, damaged = agreed(accelerator, looked)
    position = checkpoint.restore(accelerator, spread, newest, seed=recipe.seed) if newest else checkpoint.Position()
    if position.step >= recipe.steps and directory.results.exists():
        raise UsageError(f"{directory.path} is finished: see {directory.summary}")
    plan.seek(position.step, position.streams)
    if accelerator.is_main_process:
        directory.rewind(position.step)
        for complaint in damaged:
            console.print(f"not used: {complaint}", highlight=False)
        console.print(f"resuming {directory.path} at step {position.step} of {recipe.steps}", highlight=False)
    accelerator.wait_for_everyone()
    return position


def _goes_on(directory: RunDirectory, recipe: Recipe) -> bool:
    """Whether torchrun started the run's processes again, after one of them died."""
    return was_restarted() and directory.recipe.is_file() and directory.resume() == recipe


def _keep_best(
    recipe: Recipe,
    directory: RunDirectory,
    accelerator: Accelerator,
    work: Work,
    position: checkpoint.Position,
    metrics: Mapping[str, float],
) -> None:
    """Save the model where the metric that is watched was never better.

    Raises:
        UsageError: there is no such metric; before the first step.
    """
    name = recipe.save.best
    if not name:
        return
    if name not in metrics:
        raise UsageError(f"save.best {name!r} is no metric of the validation: {nearest(name, metrics)}")
    value = metrics[name]
    if position.best is not None and (value >= position.best if name.endswith(LOW) else value <= position.best):
        return
    position.best = value
    if accelerator.is_main_process:
        work.save(directory.best)
        write_text(
            directory.path / "best.json", json.dumps({"metric": name, "value": value, "step": position.step}) + "\n"
        )


def _check_space(out: Path, model: nn.Module, recipe: Recipe) -> None:
    """Refuse to start where the checkpoints (weights and two moments each, one more than are kept) do not fit."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    needed = weights * (3 * (recipe.save.keep + 1) + 1)
    place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise RunError(
            f"{out}: the run's checkpoints need {needed / 2**20:,.0f} MiB, {free / 2**20:,.0f} MiB are free: "
            "make room, choose another --out, or keep fewer (--set save.keep=1)"
        )
