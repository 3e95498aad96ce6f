"""Where a task's data come from: a directory that `uniter data import` wrote, or `scenes:NAME`, generated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from uniter_cli.errors import UsageError
from uniter_cli.recipe import DataRecipe
from uniter_cli.sources import locate
from uniter_data.examples import ExampleDataset, task_splits
from uniter_tasks.downstream import Task

__all__ = ["TaskSources", "open_task_sources", "open_task_split"]


@dataclass(frozen=True, kw_only=True)
class TaskSources:
    """The opened splits of a task's data set; it may lack `val` or `test`, or their labels."""

    train: ExampleDataset
    val: ExampleDataset | None = None
    test: ExampleDataset | None = None

    @property
    def splits(self) -> tuple[ExampleDataset, ...]:
        """All that are there."""
        return tuple(split for split in (self.train, self.val, self.test) if split is not None)

    def longest(self, task: Task) -> int:
        """Tokens of the longest sample of any split."""
        return max(int(task.positions(torch.from_numpy(split.text_lengths)).max()) for split in self.splits)

    def labelled(self, split: str) -> ExampleDataset | None:
        """A split that can be measured."""
        dataset: ExampleDataset | None = getattr(self, split)
        return dataset if dataset is not None and dataset.labelled else None


def open_task_sources(
    task: str, data: Mapping[str, DataRecipe], *, progress: Callable[[str, int, int], None] | None = None
) -> TaskSources:
    """Open the splits of the recipe's one data set.

    Raises:
        UsageError: not one data set, a data set of another task, or no such split.
        ValueError, OSError: a store is missing, foreign or damaged; the message names it.
    """
    if len(data) != 1:
        raise UsageError(f"fine-tuning takes one data set, the recipe names {len(data)}: {', '.join(data) or 'none'}")
    (recipe,) = data.values()
    directory = locate(recipe.path, progress)
    splits = task_splits(directory)
    if recipe.train not in splits:
        raise UsageError(f"{directory} has no split {recipe.train!r}: there are {', '.join(splits)}")
    sources = TaskSources(train=open_task_split(task, directory, recipe.train))
    for role, split in (("val", recipe.val), ("test", recipe.test)):
        default = getattr(DataRecipe(path=""), role)
        if split in splits or split != default:
            sources = replace(sources, **{role: open_task_split(task, directory, split)})
    return sources


def open_task_split(task: str, directory: str, split: str) -> ExampleDataset:
    """One split of a task's data set.

    Raises:
        UsageError: the data set is of another task.
        ValueError, OSError: a store is missing, foreign or damaged; the message names it.
    """
    dataset = ExampleDataset.open(directory, split)
    if dataset.task != task:
        raise UsageError(f"{directory} holds data of {dataset.task}, not of {task}: import it with uniter data import")
    return dataset
