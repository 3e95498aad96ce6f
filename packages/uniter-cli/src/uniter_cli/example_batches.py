"""Fine-tuning batches: which examples a step trains on; which batches cover a split to be predicted."""

# E examples of a data set

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from uniter_cli.errors import UsageError
from uniter_cli.loader import Job, job_of
from uniter_core import key_of, permutation
from uniter_data import UnitBatches
from uniter_data.examples import CountedExamples, ExampleDataset
from uniter_tasks import TaskBatch
from uniter_tasks.downstream import Task, TaskSettings

__all__ = ["ExampleBatches", "ExamplePlan", "prediction_jobs", "unit_counts"]


def unit_counts(dataset: ExampleDataset, task: Task, settings: TaskSettings, *, training: bool) -> NDArray[np.int64]:
    """(E,) units that each example has at most, as the task lays it out."""
    texts, regions = torch.from_numpy(dataset.text_lengths), torch.from_numpy(dataset.region_lengths)
    counts: NDArray[np.int64] = task.units(texts, regions, settings, training).numpy()
    return counts


class ExamplePlan(Sampler[Job]):
    """The jobs of one process, in order, from any step to the last; every process draws the same global batches.

    Args:
        dataset: the examples to train on.
        task: the task.
        settings: of the task.
        steps: of the run.
        units: real units of a global batch.
        seed: of all draws.
        examples: how many of the data set are trained on, drawn by the seed; 0 = all.
        accumulation: micro-batches a process runs in a step.
        rank, world_size: which share of the global batch is this process's.

    Raises:
        UsageError: the data set has fewer examples.
    """

    def __init__(
        self,
        dataset: ExampleDataset,
        task: Task,
        settings: TaskSettings,
        *,
        steps: int,
        units: int,
        seed: int,
        examples: int = 0,
        accumulation: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if examples > len(dataset):
            raise UsageError(f"task.examples = {examples}: {dataset.name} has {len(dataset)} in {dataset.split}")
        self.steps = steps
        self.first_step = 0
        self._names = {"dataset": dataset.name, "objective": task.name}
        self._own = range(rank * accumulation, (rank + 1) * accumulation)
        drawn = permutation(key_of(seed, dataset.name, "examples"), len(dataset))[:examples]
        self._rows = drawn.numpy() if examples else np.arange(len(dataset))
        counts = unit_counts(dataset, task, settings, training=True)[self._rows]
        self._stream = UnitBatches(
            CountedExamples(dataset.name, counts),
            units=units,
            seed=key_of(seed, dataset.name, task.name),
            parts=accumulation * world_size,
        )

    def seek(self, step: int, positions: Mapping[str, dict[str, int]]) -> None:
        """Go on at `step`, the stream where a checkpoint left it."""
        self.first_step = step
        for position in positions.values():
            self._stream.seek(position)

    def __iter__(self) -> Iterator[Job]:
        for step in range(self.first_step, self.steps):
            batch = next(self._stream)
            for part in self._own:
                job = job_of(batch, part, step=step, **self._names)
                yield replace(job, indices=self._rows[job.indices])

    def __len__(self) -> int:
        return (self.steps - self.first_step) * len(self._own)


def prediction_jobs(
    dataset: ExampleDataset, task: Task, settings: TaskSettings, *, units: int, rank: int = 0, world_size: int = 1
) -> list[Job]:
    """This process's share of the batches that cover a split once, examples of like size together.

    Args:
        dataset: the split.
        task: the task.
        settings: of the task.
        units: real units of a batch, or one example where it has more.
        rank, world_size: every `world_size`-th batch is this process's.
    """
    sizes = unit_counts(dataset, task, settings, training=False)
    order = np.argsort(sizes, kind="stable")
    batches: list[list[int]] = [[]]
    room = units
    for row in order.tolist():
        if batches[-1] and sizes[row] > room:
            batches.append([])
            room = units
        batches[-1].append(row)
        room -= int(sizes[row])
    return [
        Job(
            step=number,
            dataset=dataset.name,
            objective=task.name,
            indices=np.array(rows, dtype=np.int64),
            image_rows=np.zeros(len(rows), dtype=np.int64),
            matched=np.ones(len(rows), dtype=bool),
            keys=np.zeros(len(rows), dtype=np.int64),
            position={},
        )
        for number, rows in enumerate(batches)
        if rows and number % world_size == rank
    ]


class ExampleBatches(Dataset[tuple[Job, TaskBatch]]):
    """Makes the batch of a job of examples.

    Args:
        dataset: the examples.
        task: the task.
        settings: of the task.
        training: whether labels must be there.
    """

    def __init__(self, dataset: ExampleDataset, task: Task, settings: TaskSettings, *, training: bool) -> None:
        self.dataset = dataset
        self.task = task
        self.settings = settings
        self.training = training

    def __getitem__(self, job: Any) -> tuple[Job, TaskBatch]:
        examples = self.dataset.examples(job.indices, keys=job.keys)
        return job, self.task.collate(examples, self.settings, training=self.training)
