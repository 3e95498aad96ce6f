"""`uniter finetune`: from the command line to a recipe, from the recipe to a run on a downstream task."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uniter_cli.commands.new_directory import new_directory
from uniter_cli.errors import UsageError

if TYPE_CHECKING:
    from uniter_cli.recipe import Recipe

__all__ = ["finetune", "resolve_task"]


def finetune(  # noqa: PLR0913  # an option each
    task: Annotated[str | None, typer.Argument(help="vqa, vcr, nlvr2, snli-ve, retrieval or refexp.")] = None,
    setting: Annotated[
        str | None, typer.Option("--setting", help="One of the task's: triplet, pair or pair-biattn of nlvr2.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="The task's data set: PATH[,train=SPLIT][,val=SPLIT][,test=SPLIT]. Without it: scenes."
        ),
    ] = None,
    init: Annotated[
        str | None, typer.Option("--init", help="The model to start from: a run, a model folder or a hub id.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="A shipped recipe's name or a TOML file; default TASK-quickstart.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override a value of the recipe: optimizer.lr=1e-4.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    units: Annotated[int | None, typer.Option("--units", help="Real units (words + regions) of a step.")] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="fp32, bf16 or fp16.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's directory; default runs/TASK-DATE.")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="Go on with the run in this directory.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="First compare every byte of the data with its checksum.")
    ] = False,
) -> None:
    """Fine-tune a pre-trained model on a downstream task.

    Several processes: put `torchrun --nproc-per-node N -m uniter_cli` in front of the same arguments.
    """
    given = [task, setting, data, init, recipe, settings, steps, seed, units, precision, out]
    if resume is not None and any(value is not None for value in given):
        raise UsageError("--resume goes on with the run's own recipe: give no other option with it")

    from uniter_cli.finetuning import finetune as run
    from uniter_cli.run_directory import RunDirectory
    from uniter_cli.verification import verify_before_run

    if resume is not None:
        unfinished = RunDirectory(resume).resume()
        if verify:
            verify_before_run(unfinished.data)
        run(unfinished, resume, resume=True)
        return
    if task is None:
        raise UsageError("name the task: uniter finetune vqa, vcr, nlvr2, snli-ve, retrieval or refexp")
    flags = {
        "task.setting": setting,
        "steps": steps,
        "seed": seed,
        "batch.units": units,
        "precision": precision,
        "model.init": init,
    }
    resolved = resolve_task(task, name=recipe, data=data, settings=settings, flags=flags)
    if verify:
        verify_before_run(resolved.data)
    run(resolved, out or new_directory(task))


def resolve_task(
    task: str,
    *,
    name: str | None = None,
    data: str | None = None,
    settings: list[str] | None = None,
    flags: dict[str, Any] | None = None,
) -> "Recipe":
    """The recipe of a fine-tuning run, with what the command line says on top.

    Args:
        task: its name.
        name: a shipped recipe or a file; None = the task's quickstart.
        data: the value of `--data`; it replaces the recipe's data set.
        settings: values of `--set`, `KEY=VALUE`.
        flags: other options by dotted key; None = not given.

    Raises:
        UsageError: something in it does not exist or does not go together.
    """
    from uniter_cli.overrides import chosen_settings
    from uniter_cli.recipe_files import load_recipe, override
    from uniter_cli.run_directory import model_folder
    from uniter_cli.sources import parse_data_arguments
    from uniter_tasks.downstream import task as task_called

    try:
        task_called(task)
    except ValueError as error:
        raise UsageError(str(error)) from error
    recipe = load_recipe(name or f"{task}-quickstart")
    if recipe.task.name != task:
        raise UsageError(f"recipe {recipe.name} is for {recipe.task.name or 'pre-training'}, not for {task}")
    recipe = override(recipe, chosen_settings(settings, flags))
    if data:
        recipe = replace(recipe, data=parse_data_arguments([data], recipe.data), bars={})
    if recipe.model.init:
        recipe = replace(recipe, model=replace(recipe.model, init=model_folder(recipe.model.init)))
    return recipe
