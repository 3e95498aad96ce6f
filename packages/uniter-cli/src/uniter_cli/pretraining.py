"""A pre-training run from its recipe to its summary: open, build, train, measure, save."""

import json
import resource
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.progress import Progress

from uniter_cli import checkpoint
from uniter_cli.curves import draw_curves
from uniter_cli.display import console, progress_callback
from uniter_cli.engine import build_accelerator, seed_everything
from uniter_cli.errors import RunError, UsageError
from uniter_cli.fit import StepReport, fit
from uniter_cli.loader import TrainingPlan, batch_loader
from uniter_cli.logbook import Logbook
from uniter_cli.model import build_model, build_settings
from uniter_cli.optim import build_optimizer
from uniter_cli.probes import evaluate
from uniter_cli.recipe import Recipe
from uniter_cli.run_directory import RunDirectory, write_text
from uniter_cli.sources import Sources, open_sources
from uniter_cli.summary import RunResult, markdown, show
from uniter_cli.validation import baselines, measure
from uniter_data import Stage, TaskMixture
from uniter_tasks import ObjectiveSettings, PretrainingModel

__all__ = ["build_mixture", "pretrain"]


def pretrain(recipe: Recipe, out: Path, *, resume: bool = False) -> RunResult:
    """Pre-train as the recipe says, in `out`.

    Args:
        recipe: everything that decides the numbers.
        out: the run's directory; new, or with `resume` one that holds an unfinished run of this recipe.
        resume: go on from the newest whole checkpoint.

    Returns:
        What was measured (on every process the same).

    Raises:
        UsageError, RunError, ValueError, OSError: in one line, before training starts where it can be known then.
    """
    accelerator = build_accelerator(recipe.precision)
    directory = RunDirectory(out)
    sources = _open(recipe, accelerator)
    settings = build_settings(recipe, sources)
    seed_everything(recipe.seed, accelerator)
    bare = build_model(recipe, sources, settings)
    plan = TrainingPlan(
        sources.train,
        build_mixture(recipe),
        settings,
        units=recipe.batch.units,
        seed=recipe.seed,
        accumulation=recipe.batch.accumulation,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    _check_space(out, bare, recipe)
    model, optimizer = accelerator.prepare(bare, build_optimizer(bare, recipe.optimizer))
    position = _begin(directory, recipe, plan, accelerator, resume=resume)
    run = _Run(recipe, directory, accelerator, sources, settings, position)
    with Logbook(
        directory,
        steps=recipe.steps,
        first_step=position.step,
        log_every=recipe.save.log_every,
        main=accelerator.is_main_process,
    ) as logbook:
        if position.step == 0:
            run.validate(model, logbook, step=-1)
        loader = batch_loader(
            sources.train,
            plan,
            settings,
            workers=recipe.batch.workers,
            pin_memory=accelerator.device.type == "cuda",
        )

        def after_step(report: StepReport) -> None:
            run.after_step(report, model, logbook)

        fit(model, optimizer, accelerator, loader, recipe, first_step=position.step, after_step=after_step)
        result = run.finish(accelerator.unwrap_model(model), logbook)
    if accelerator.is_main_process:
        show(result, recipe, console)
    accelerator.end_training()
    return result


def build_mixture(recipe: Recipe) -> TaskMixture:
    """The recipe's stages with every (data set, objective) weighted by the product of their weights."""
    stages = recipe.stages or ()
    weights = [(stage.until, stage.data) for stage in stages]
    if not weights:
        weights = [(1.0, {name: source.weight for name, source in recipe.data.items()})]
    return TaskMixture(
        [
            Stage(
                until=until,
                weights={
                    name: {
                        task: weight * share
                        for task, share in (recipe.tasks | recipe.data[name].tasks).items()
                        if share > 0
                    }
                    for name, weight in data.items()
                },
            )
            for until, data in weights
        ],
        seed=recipe.seed,
        steps=recipe.steps,
    )


# ---------------------------------------------------------------------------------------------------------------------


class _Run:
    """What happens around the steps of one run."""

    def __init__(
        self,
        recipe: Recipe,
        directory: RunDirectory,
        accelerator: Accelerator,
        sources: Sources,
        settings: ObjectiveSettings,
        position: checkpoint.Position,
    ) -> None:
        self.recipe = recipe
        self.directory = directory
        self.accelerator = accelerator
        self.sources = sources
        self.settings = settings
        self.position = position

    def after_step(self, report: StepReport, model: torch.nn.Module, logbook: Logbook) -> None:
        """Log; measure and save where it is time to."""
        position, recipe = self.position, self.recipe
        position.step = report.step + 1
        position.streams[report.stream] = report.position
        position.seconds += report.seconds
        position.units += report.units * self.accelerator.num_processes
        position.slots += report.slots * self.accelerator.num_processes
        logbook.step(report, scale_units=self.accelerator.num_processes)
        last = position.step == recipe.steps
        if last or (recipe.validation.every and position.step % recipe.validation.every == 0):
            self.validate(model, logbook, step=report.step)
        if last or position.step % recipe.save.every == 0:
            checkpoint.save(self.accelerator, self.directory.checkpoints, position, keep=recipe.save.keep)

    def validate(self, model: torch.nn.Module, logbook: Logbook, *, step: int) -> None:
        """Measure the validation splits after `step`."""
        if not self.sources.val:
            return
        metrics = measure(
            model,
            self.accelerator,
            self.sources.val,
            self.recipe.tasks,
            self.settings,
            self.recipe.validation,
            progress=logbook.busy("validation"),
        )
        logbook.measured(step, metrics)

    def finish(self, bare: PretrainingModel, logbook: Logbook) -> RunResult:
        """Save the model, look at the test split once, write the summary."""
        recipe, position = self.recipe, self.position
        if self.accelerator.is_main_process:
            bare.save_pretrained(self.directory.model, vocabulary=self.settings.vocabulary)
        test = {}
        if self.sources.test:
            test = evaluate(
                bare,
                self.accelerator,
                test=self.sources.test,
                val=self.sources.val,
                recipe=recipe,
                settings=self.settings,
                busy=logbook.busy,
            )
        measured = [r["metrics"] for r in self.directory.records() if r["kind"] == "validation"]
        result = RunResult(
            before=measured[0] if measured else {},
            after=measured[-1] if measured else {},
            baselines=baselines(self.sources.val, recipe.tasks, self.settings, recipe.validation),
            test=test,
            seconds=position.seconds,
            units=position.units,
            utilisation=position.units / max(position.slots, 1),
            parameters=sum(parameter.numel() for parameter in bare.parameters()),
            peak_memory=_peak_memory(),
        )
        if self.accelerator.is_main_process:
            write_text(self.directory.results, json.dumps(asdict(result), indent=2) + "\n")
            write_text(self.directory.summary, markdown(result, recipe))
            draw_curves(self.directory.records(), self.directory.curves)
        self.accelerator.wait_for_everyone()
        return result


def _open(recipe: Recipe, accelerator: Accelerator) -> Sources:
    """The data, generated by one process where they are generated; the others wait and read."""
    hidden = not (accelerator.is_main_process and console.is_terminal)
    bars = Progress(console=console, disable=hidden, transient=True)
    with accelerator.main_process_first(), bars:
        return open_sources(recipe.data, progress=progress_callback(bars))


def _begin(
    directory: RunDirectory, recipe: Recipe, plan: TrainingPlan, accelerator: Accelerator, *, resume: bool
) -> checkpoint.Position:
    """A new directory, or the position of the newest checkpoint of an old one."""
    if not resume:
        if accelerator.is_main_process:
            directory.begin(recipe)
        accelerator.wait_for_everyone()
        return checkpoint.Position()
    newest = checkpoint.newest_checkpoint(directory.checkpoints)
    position = checkpoint.restore(accelerator, newest) if newest else checkpoint.Position()
    if position.step >= recipe.steps and directory.results.exists():
        raise UsageError(f"{directory.path} is finished: see {directory.summary}")
    plan.seek(position.step, position.streams)
    if accelerator.is_main_process:
        directory.rewind(position.step)
        console.print(f"resuming {directory.path} at step {position.step} of {recipe.steps}", highlight=False)
    accelerator.wait_for_everyone()
    return position


def _check_space(out: Path, model: torch.nn.Module, recipe: Recipe) -> None:
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


def _peak_memory() -> int:
    """Bytes: of the device where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
