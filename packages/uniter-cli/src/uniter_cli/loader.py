"""From the mixture to batches on their way to the model: jobs drawn in the main process, samples made in the workers.

A `Job` says which pairs a micro-batch holds and is all that travels to a worker; so the numbers of a run depend neither
on the number of workers nor, as the global batch is drawn before it is divided, on the number of processes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from uniter_core import key_of
from uniter_data import Batch, PairDataset, TaskMixture, UnitBatches
from uniter_tasks import ObjectiveSettings, TaskBatch, objective

__all__ = ["Job", "TrainingPlan", "batch_loader", "validation_jobs"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One micro-batch to make: the pairs of one data set, for one objective.

    Attributes:
        step: optimiser step it belongs to (validation: number of the batch).
        dataset: name of the data set.
        objective: name of the objective.
        indices: (B,) texts; `image_rows` (B,), `matched` (B,), `keys` (B,) complete the pairs.
        position: of the stream after this step's batch, for checkpoints.
    """

    step: int
    dataset: str
    objective: str
    indices: NDArray[np.int64]
    image_rows: NDArray[np.int64]
    matched: NDArray[np.bool_]
    keys: NDArray[np.int64]
    position: dict[str, int]

    @property
    def stream(self) -> str:
        """Name of the stream the pairs were drawn from."""
        return f"{self.dataset}/{self.objective}"


class TrainingPlan(Sampler[Job]):
    """The jobs of one process, in order, from any step to the last; every process draws the same global batches.

    Args:
        datasets: the training sets by name.
        mixture: which data set and objective a step trains on.
        settings: of the objectives (the share of mismatched pairs).
        units: real units of a global batch.
        seed: of all draws.
        accumulation: micro-batches a process runs in a step.
        rank, world_size: which share of the global batch is this process's.
    """

    def __init__(
        self,
        datasets: Mapping[str, PairDataset],
        mixture: TaskMixture,
        settings: ObjectiveSettings,
        *,
        units: int,
        seed: int,
        accumulation: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.mixture = mixture
        self.first_step = 0
        self._own = range(rank * accumulation, (rank + 1) * accumulation)
        self._streams = {
            f"{dataset}/{name}": UnitBatches(
                datasets[dataset],
                units=units,
                seed=key_of(seed, dataset, name),
                mismatch_probability=settings.mismatch_probability if objective(name).mismatched else 0.0,
                parts=accumulation * world_size,
            )
            for dataset, name in mixture.pairs
        }

    def seek(self, step: int, positions: Mapping[str, dict[str, int]]) -> None:
        """Go on at `step`, each stream where a checkpoint left it."""
        self.first_step = step
        for stream, position in positions.items():
            self._streams[stream].seek(position)

    def __iter__(self) -> Iterator[Job]:
        for step in range(self.first_step, self.mixture.steps):
            dataset, name = self.mixture.choose(step)
            batch = next(self._streams[f"{dataset}/{name}"])
            for part in self._own:
                yield _job(batch, part, step=step, dataset=dataset, objective=name)

    def __len__(self) -> int:
        return (self.mixture.steps - self.first_step) * len(self._own)


def validation_jobs(
    name: str,
    dataset: PairDataset,
    objective_name: str,
    *,
    units: int,
    pairs: int = 0,
    mismatch_probability: float = 0.0,
    rank: int = 0,
    world_size: int = 1,
) -> list[Job]:
    """This process's share of the batches that measure one objective on one split: the same at every call.

    Args:
        name: of the data set.
        dataset: the split.
        objective_name: the objective to measure.
        units: real units of a batch.
        pairs: measure about so many pairs, spread over the split; 0 = all.
        mismatch_probability: share of pairs shown with another image (1: every one).
        rank, world_size: every `world_size`-th batch is this process's.
    """
    batches = UnitBatches(
        dataset, units=units, seed=key_of("validation", dataset.split), mismatch_probability=mismatch_probability
    )
    chosen: list[Batch] = []
    seen = 0
    for batch in batches.epoch(0):
        if pairs and seen >= pairs:
            break
        chosen.append(batch)
        seen += len(batch.parts[0])
    return [
        _job(batch, 0, step=number, dataset=name, objective=objective_name)
        for number, batch in enumerate(chosen)
        if number % world_size == rank
    ]


def batch_loader(
    datasets: Mapping[str, PairDataset],
    jobs: Sampler[Job] | list[Job],
    settings: ObjectiveSettings,
    *,
    workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[tuple[Job, TaskBatch]]:
    """A loader that turns jobs into `(job, batch)`, in order."""
    return DataLoader(
        _JobBatches(datasets, settings),
        batch_size=None,
        sampler=jobs,
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=4 if workers else None,
        # a loader draws a seed when it starts: from the global generator it would take a number that dropout is owed
        generator=torch.Generator(),
        # forking a process whose stores already run threads can deadlock
        multiprocessing_context="forkserver" if workers else None,
    )


class _JobBatches(Dataset[tuple[Job, TaskBatch]]):
    def __init__(self, datasets: Mapping[str, PairDataset], settings: ObjectiveSettings) -> None:
        self.datasets = dict(datasets)
        self.settings = settings

    def __getitem__(self, job: Any) -> tuple[Job, TaskBatch]:
        dataset = self.datasets[job.dataset]
        samples = dataset.samples(job.indices, image_rows=job.image_rows, matched=job.matched, keys=job.keys)
        return job, objective(job.objective).collate(samples, self.settings)


def _job(batch: Batch, part: int, *, step: int, dataset: str, objective: str) -> Job:
    return Job(
        step=step,
        dataset=dataset,
        objective=objective,
        indices=batch.parts[part],
        image_rows=batch.image_rows[part],
        matched=batch.matched[part],
        keys=batch.keys[part],
        position=batch.position,
    )
