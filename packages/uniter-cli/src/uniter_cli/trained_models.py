"""A fine-tuned model and the split it is to be shown: that of its own run, of generated scenes, or any other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from uniter_cli.errors import UsageError
from uniter_cli.recipe import DataRecipe, Recipe
from uniter_cli.recipe_files import load_recipe
from uniter_cli.run_directory import RunDirectory
from uniter_cli.sources import SCENES, locate
from uniter_cli.task_sources import open_task_split
from uniter_core.checkpoints import load_folder
from uniter_data.examples import ExampleDataset
from uniter_tasks.downstream import DownstreamModel, TaskSettings
from uniter_tasks.downstream import task as task_called

__all__ = ["Trained", "open_trained"]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What predictions are made of.

    Attributes:
        model: fine-tuned, on the accelerator's device.
        dataset: the split.
        units: real units of a batch.
    """

    model: DownstreamModel
    dataset: ExampleDataset
    units: int


def open_trained(
    task: str,
    source: str,
    accelerator: Accelerator,
    *,
    data: str | None = None,
    split: str | None = None,
    setting: str = "",
    progress: Callable[[str, int, int], None] | None = None,
) -> Trained:
    """Load a fine-tuned model and open the split.

    Args:
        task: its name.
        source: a run's directory, a model folder, or a hub id.
        accelerator: the process group; its main process generates scenes, where they are asked for, the others wait.
        data: the data set; None = that of the run, of a model without a run generated scenes.
        split: of the data set; None = what the run's recipe tests on, otherwise `test`.
        setting: of the task; only for a model that does not say its own.
        progress: called with (what is done, how much of it, of how much).

    Raises:
        UsageError: the run is of another task or not finished; or the data set is, or does not fit the model.
        ValueError, OSError: there is no such model, data set or split, or it is damaged; the message names it.
    """
    recipe = _recipe(task, source)
    own = next(iter(recipe.data.values())) if recipe else DataRecipe(path=f"{SCENES}{task}")
    with accelerator.main_process_first():
        directory = locate(data or own.path, progress)
    default = own.test if data is None else DataRecipe(path="").test
    dataset = open_task_split(task, directory, split or default)
    folder = str(RunDirectory(Path(source).expanduser()).model) if recipe else source
    model = _load(task, folder, dataset, setting=setting, attention=recipe.model.attention if recipe else "auto")
    return Trained(
        model=model.to(accelerator.device), dataset=dataset, units=(recipe or Recipe(name=task)).validation.units
    )


# ---------------------------------------------------------------------------------------------------------------------


def _recipe(task: str, source: str) -> Recipe | None:
    """That of a finished run of the task; None where the source is no run."""
    run = RunDirectory(Path(source).expanduser())
    if not run.recipe.is_file():
        return None
    recipe = load_recipe(str(run.recipe))
    if recipe.task.name != task:
        raise UsageError(f"{source} is a run of {recipe.task.name or 'pre-training'}, not of {task}")
    if not run.model.is_dir():
        raise UsageError(f"{source} is not finished, it has no model: go on with uniter finetune --resume {source}")
    return recipe


def _load(task: str, folder: str, dataset: ExampleDataset, *, setting: str, attention: str) -> DownstreamModel:
    """The model, if it fits the data."""
    held = load_folder(folder)
    head = f"heads.{task_called(task).head_name}."
    if held.task is None and not any(name.startswith(head) for name in held.tensors):
        raise UsageError(f"{folder} is not fine-tuned for {task}: start from it with uniter finetune {task} --init")
    settings = None if held.task else TaskSettings(vocabulary=dataset.vocabulary, setting=setting)
    model = DownstreamModel.from_pretrained(folder, task, settings, attention=attention)
    own, other = model.settings.vocabulary, dataset.vocabulary
    if own.size != other.size or (own.digest and other.digest and own.digest != other.digest):
        raise UsageError(
            f"{folder} was trained with another vocabulary ({own.size} entries) than {dataset.name} has "
            f"({other.size} entries): import the data with the vocabulary of the model's own"
        )
    if model.config.region_dim != dataset.region_dim:
        raise UsageError(
            f"{folder} expects region features {model.config.region_dim} wide, {dataset.name} has {dataset.region_dim}"
        )
    longest = int(model.task.positions(torch.from_numpy(dataset.text_lengths)).max())
    if longest > model.config.max_positions:
        raise UsageError(
            f"{dataset.name} ({dataset.split}) has texts of {longest} tokens, {folder} {model.config.max_positions} "
            "positions: import with a smaller --max-tokens"
        )
    return model
