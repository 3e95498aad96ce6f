"""`uniter pretrain`: from the command line to a recipe, from the recipe to a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uniter_cli.commands.new_directory import new_directory
from uniter_cli.errors import UsageError

if TYPE_CHECKING:
    from uniter_cli.recipe import Recipe

__all__ = ["pretrain", "resolve"]

# Weight of an objective in the mixture where the recipe names none: the released in-domain proportions.
USUAL_WEIGHTS = {"mlm": 2.0, "itm": 2.0, "mrc": 1.0, "mrc-kl": 1.0, "mrfr": 1.0}


def pretrain(  # noqa: PLR0913 - a parameter an option
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="Objectives, separated by commas: mlm,itm,mrc,mrc-kl,mrfr,wra.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="A data set: PATH[,weight=W][,train=SPLIT][,val=SPLIT][,test=SPLIT]; may be given several times. "
            "Without it: generated scenes.",
        ),
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="A shipped recipe's name or a TOML file.")] = "quickstart",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override a value of the recipe: optimizer.lr=1e-4.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    units: Annotated[int | None, typer.Option("--units", help="Real units (words + regions) of a step.")] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="fp32, bf16 or fp16.")] = None,
    init: Annotated[str | None, typer.Option("--init", help="Start from this run, model folder or hub id.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's directory; default runs/RECIPE-DATE.")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="Go on with the run in this directory.")] = None,
    allow_leaks: Annotated[
        bool | None,
        typer.Option("--allow-leaks", help="Train also on data whose audit names pictures of evaluation splits."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="First compare every byte of the data with its checksum.")
    ] = False,
) -> None:
    """Pre-train UNITER on image-sentence pairs.

    Several processes: put `torchrun --nproc-per-node N -m uniter_cli` in front of the same arguments.
    """
    given = [tasks, data, settings, steps, seed, units, precision, init, out, allow_leaks]
    if resume is not None and any(value is not None for value in given):
        raise UsageError("--resume goes on with the run's own recipe: give no other option with it")

    from uniter_cli.pretraining import pretrain as run
    from uniter_cli.run_directory import RunDirectory
    from uniter_cli.verification import verify_before_run

    if resume is not None:
        unfinished = RunDirectory(resume).resume()
        if verify:
            verify_before_run(unfinished.data)
        run(unfinished, resume, resume=True)
        return
    flags = {
        "steps": steps,
        "seed": seed,
        "batch.units": units,
        "precision": precision,
        "model.init": init,
        "allow_leaks": allow_leaks,
    }
    resolved = resolve(recipe, tasks=tasks, data=data, settings=settings, flags=flags)
    if verify:
        verify_before_run(resolved.data)
    run(resolved, out or new_directory(resolved.name))


def resolve(
    name: str,
    *,
    tasks: str | None = None,
    data: list[str] | None = None,
    settings: list[str] | None = None,
    flags: dict[str, Any] | None = None,
) -> "Recipe":
    """The recipe called `name` with what the command line says on top.

    Args:
        name: a shipped recipe or a file.
        tasks: the value of `--tasks`.
        data: values of `--data`; they replace the recipe's data sets, and its stages and bars where the names differ.
        settings: values of `--set`, `KEY=VALUE`.
        flags: other options by dotted key; None = not given.

    Raises:
        UsageError: something in it does not exist or does not go together.
    """
    from dataclasses import replace

    from uniter_cli.overrides import chosen_settings
    from uniter_cli.recipe_files import load_recipe, override
    from uniter_cli.run_directory import model_folder
    from uniter_cli.sources import parse_data_arguments

    recipe = load_recipe(name)
    recipe = override(recipe, chosen_settings(settings, flags))
    if tasks is not None:
        weights, wra = _task_weights(tasks, recipe.tasks)
        recipe = override(
            replace(recipe, tasks=weights), {"masking.wra_weight": (recipe.masking.wra_weight or 0.1) if wra else 0.0}
        )
    if data:
        chosen_data = parse_data_arguments(data, recipe.data)
        same = set(chosen_data) == set(recipe.data)
        recipe = replace(
            recipe, data=chosen_data, stages=recipe.stages if same else (), bars=recipe.bars if same else {}
        )
    if recipe.model.init:
        recipe = replace(recipe, model=replace(recipe.model, init=model_folder(recipe.model.init)))
    if not recipe.tasks or not recipe.data:
        raise UsageError(f"recipe {recipe.name} names no {'data' if recipe.tasks else 'tasks'}: give --data or --tasks")
    return recipe


def _task_weights(tasks: str, known: dict[str, float]) -> tuple[dict[str, float], bool]:
    """Weights of the objectives named by `--tasks`, and whether word-region alignment rides along."""
    from uniter_tasks import parse_tasks

    try:
        names = parse_tasks(tasks)
    except ValueError as error:
        raise UsageError(f"--tasks: {error}") from error
    return {name: known.get(name, USUAL_WEIGHTS.get(name, 1.0)) for name in names if name != "wra"}, "wra" in names
