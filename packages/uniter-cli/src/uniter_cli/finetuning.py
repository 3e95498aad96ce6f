"""A fine-tuning run: the task's data, its model, what it measures; the course of it is that of every run."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from uniter_cli.display import console, progress_bars
from uniter_cli.engine import build_accelerator, seed_everything
from uniter_cli.errors import UsageError
from uniter_cli.example_batches import ExampleBatches, ExamplePlan
from uniter_cli.loader import batch_loader
from uniter_cli.nearest import nearest
from uniter_cli.predicting import baselines, predict, scalars, score_split
from uniter_cli.recipe import Recipe
from uniter_cli.retrieval_run import retrieval_work
from uniter_cli.retrieval_sources import PairSources, open_pair_sources
from uniter_cli.run import Busy, Work, run
from uniter_cli.summary import RunResult
from uniter_cli.task_sources import TaskSources, open_task_sources
from uniter_core import PRESETS, key_of
from uniter_tasks.downstream import DownstreamModel, TaskSettings, task
from uniter_tasks.downstream.vqa import build_answers
from uniter_tasks.predictions import ScoreOptions

__all__ = ["build_task_model", "build_task_settings", "example_work", "finetune"]


def finetune(recipe: Recipe, out: Path, *, resume: bool = False) -> RunResult:
    """Fine-tune as the recipe says, in `out`.

    Args:
        recipe: everything that decides the numbers; `recipe.task` names the task.
        out: the run's directory; new, or with `resume` one that holds an unfinished run of this recipe.
        resume: go on from the newest whole checkpoint.

    Returns:
        What was measured (on every process the same).

    Raises:
        UsageError, RunError, ValueError, OSError: in one line, before training starts where it can be known then.
    """
    accelerator = build_accelerator(recipe.precision)
    kind = KINDS.get(recipe.task.name, EXAMPLES)
    sources = _open(recipe, accelerator, kind)
    seed_everything(recipe.seed, accelerator)
    settings = build_task_settings(recipe, sources)
    model = build_task_model(recipe, sources, settings)
    if accelerator.is_main_process:
        for note in model.notes:
            console.print(note, highlight=False)
    return run(recipe, out, accelerator, kind.work(recipe, accelerator, sources, model), resume=resume)


def build_task_settings(recipe: Recipe, sources: TaskSources | PairSources) -> TaskSettings:
    """The task's settings as the recipe says them, with the data's vocabulary and, for vqa, its answers.

    Raises:
        UsageError: an option is unknown or out of range.
    """
    known = {field.name for field in fields(TaskSettings)} - {"vocabulary", "setting", "answers"}
    for option in recipe.task.options:
        if option not in known:
            raise UsageError(f"task.options.{option}: {nearest(option, known)}")
    answers: tuple[str, ...] = ()
    if recipe.task.name == "vqa" and isinstance(sources, TaskSources):
        answers = _answers(recipe, sources)
    try:
        return task(recipe.task.name).resolve(
            TaskSettings(
                vocabulary=sources.train.vocabulary,
                setting=recipe.task.setting,
                answers=answers,
                **recipe.task.options,
            )
        )
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def build_task_model(recipe: Recipe, sources: TaskSources | PairSources, settings: TaskSettings) -> DownstreamModel:
    """A model with the checkpoint's encoder, or a fresh one, and a fresh head.

    Raises:
        UsageError: the preset is unknown, or the checkpoint does not fit the data.
        ValueError: the checkpoint's encoder does not load fully.
    """
    seed = key_of(recipe.seed, "init")
    if recipe.model.init:
        model = DownstreamModel.from_encoder(
            recipe.model.init,
            recipe.task.name,
            settings,
            seed=seed,
            attention=recipe.model.attention,
            max_positions=sources.longest(task(recipe.task.name)),
            overrides=recipe.model.config,
        )
        if model.config.region_dim != sources.train.region_dim:
            raise UsageError(
                f"{recipe.model.init} expects region features {model.config.region_dim} wide, {sources.train.name} has "
                f"{sources.train.region_dim}: choose a checkpoint made for such regions, or other regions"
            )
        return model
    if recipe.model.preset not in PRESETS:
        raise UsageError(f"model.preset {recipe.model.preset!r}: there are {', '.join(PRESETS)}")
    sizes = {
        "vocab_size": sources.train.vocabulary.size,
        "region_dim": sources.train.region_dim,
        "num_classes": sources.train.num_classes or 2,
    }
    try:
        config = PRESETS[recipe.model.preset](**(sizes | recipe.model.config))
    except TypeError as error:
        raise UsageError(f"model.config: {error}") from error
    longest = sources.longest(task(recipe.task.name))
    if longest > config.max_positions:
        raise UsageError(
            f"{sources.train.name} has texts of {longest} tokens, the model {config.max_positions} positions: "
            f"--set model.config.max_positions={longest}"
        )
    return DownstreamModel(config, recipe.task.name, settings, seed=seed, attention=recipe.model.attention)


def example_work(recipe: Recipe, accelerator: Accelerator, sources: TaskSources, model: DownstreamModel) -> Work:
    """What a run does that trains on examples and is measured by the official scorer of its predictions."""
    plan = ExamplePlan(
        sources.train,
        model.task,
        model.settings,
        steps=recipe.steps,
        units=recipe.batch.units,
        seed=recipe.seed,
        examples=recipe.task.examples,
        accumulation=recipe.batch.accumulation,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )

    def measured(split: str, busy: Busy) -> dict[str, float]:
        dataset = sources.labelled(split)
        if dataset is None:
            return {}
        found = predict(model, accelerator, dataset, units=recipe.validation.units, progress=busy(split))
        return scalars(score_split(found, dataset, ScoreOptions(draws=0)), model.task.name)

    def validate(prepared: nn.Module, busy: Busy) -> dict[str, float]:
        return measured("val", busy)

    def constant() -> dict[str, float]:
        dataset = sources.labelled("val")
        return baselines(sources.train, dataset) if dataset is not None else {}

    return Work(
        model=model,
        plan=plan,
        loader=lambda course: batch_loader(
            ExampleBatches(sources.train, model.task, model.settings, training=True),
            plan,
            workers=recipe.batch.workers,
            pin_memory=accelerator.device.type == "cuda",
        ),
        validate=validate,
        baselines=constant,
        test=lambda busy: measured("test", busy),
        save=model.save_pretrained,
    )


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What differs between tasks of examples and tasks of pairs: how their data are opened, what their runs do."""

    open: Callable[..., Any]
    work: Callable[..., Work]


EXAMPLES = Kind(open=open_task_sources, work=example_work)
KINDS = {"retrieval": Kind(open=open_pair_sources, work=retrieval_work)}

# ---------------------------------------------------------------------------------------------------------------------


def _open(recipe: Recipe, accelerator: Accelerator, kind: Kind) -> Any:
    """The data, generated by one process where they are generated; the others wait and read."""
    hidden = not accelerator.is_main_process
    with accelerator.main_process_first(), progress_bars(hidden=hidden) as progress:
        return kind.open(recipe.task.name, recipe.data, progress=progress)


def _answers(recipe: Recipe, sources: TaskSources) -> tuple[str, ...]:
    """The answers of vqa: one a line of a file, or those frequent enough in the training annotations."""
    if recipe.task.answers:
        lines = Path(recipe.task.answers).expanduser().read_text(encoding="utf-8").splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    return build_answers(sources.train.annotations(), least=recipe.task.least_answers)
