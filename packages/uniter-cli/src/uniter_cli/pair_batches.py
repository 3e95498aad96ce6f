"""Pre-training batches: which pairs a step trains on, by the mixture; which pairs measure an objective."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import Dataset, Sampler

from uniter_cli.loader import Job, job_of
from uniter_cli.pair_source import PairSource
from uniter_core import key_of
from uniter_data import Batch, TaskMixture, UnitBatches
from uniter_data.shuffling import default_block
from uniter_tasks import ObjectiveSettings, TaskBatch, objective

__all__ = ["PairBatches", "TrainingPlan", "mismatch_probability", "validation_jobs"]


class TrainingPlan(Sampler[Job]):
    """The jobs of one process, in order, from any step to the last; every process draws the same global batches.

    Args:
        datasets: the training sets by name.
        mixture: which data set and objective a step trains on.
        settings: of the objectives (the share of mismatched pairs).
        units: real units of a global batch.
        seed: of all draws.
        accumulation: micro-batches a process runs in a step.
        shuffle_block: of the order of each data set, as in `UnitBatches`; -1 = by where its regions lie.
        rank, world_size: which share of the global batch is this process's.
    """

    def __init__(
        self,
        datasets: Mapping[str, PairSource],
        mixture: TaskMixture,
        settings: ObjectiveSettings,
        *,
        units: int,
        seed: int,
        accumulation: int = 1,
        shuffle_block: int = 0,
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
                mismatch_probability=mismatch_probability(name, settings),
                parts=accumulation * world_size,
                shuffle_block=default_block(datasets[dataset].regions.location) if shuffle_block < 0 else shuffle_block,
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
                yield job_of(batch, part, step=step, dataset=dataset, objective=name)

    def __len__(self) -> int:
        return (self.mixture.steps - self.first_step) * len(self._own)


def validation_jobs(
    name: str,
    dataset: PairSource,
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
        job_of(batch, 0, step=number, dataset=name, objective=objective_name)
        for number, batch in enumerate(chosen)
        if number % world_size == rank
    ]


class PairBatches(Dataset[tuple[Job, TaskBatch]]):
    """Makes the batch of a job of pairs.

    Args:
        datasets: by name.
        settings: of the objectives.
    """

    def __init__(self, datasets: Mapping[str, PairSource], settings: ObjectiveSettings) -> None:
        self.datasets = dict(datasets)
        self.settings = settings

    def __getitem__(self, job: Any) -> tuple[Job, TaskBatch]:
        dataset = self.datasets[job.dataset]
        samples = dataset.samples(job.indices, image_rows=job.image_rows, matched=job.matched, keys=job.keys)
        return job, objective(job.objective).collate(samples, self.settings)


def mismatch_probability(name: str, settings: ObjectiveSettings) -> float:
    """The share of pairs that an objective shows with another image."""
    return settings.mismatch_probability if objective(name).mismatched else 0.0
