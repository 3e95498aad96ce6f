"""Retrieval's batches: each true pair with random negatives, with mined ones beside them, or with a pool of candidates.

What is mined holds for a stretch of steps. A plan ends where the stretch does, so that no worker makes a batch ahead
with negatives that are out of date; then it goes on with new ones.
"""

# B pairs of a batch, I other images and K other texts of each

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Sampler

from uniter_cli.loader import Job, job_of
from uniter_cli.recipe import NegativesRecipe
from uniter_core import Example, key_of
from uniter_data import HardTable, MinedNegatives, PairDataset, RandomNegatives, UnitBatches
from uniter_tasks import TaskBatch
from uniter_tasks.downstream import HARD, TaskSettings, pool_of, task

__all__ = ["GroupBatches", "GroupNegatives", "GroupPlan", "group_negatives"]

RANDOM = "retrieval"

GroupNegatives = RandomNegatives | MinedNegatives


def group_negatives(dataset: PairDataset, recipe: NegativesRecipe) -> dict[str, GroupNegatives]:
    """What each objective of retrieval draws for a true pair, of the objectives that the recipe trains on.

    Raises:
        ValueError: the data set has too few images or texts.
    """
    found: dict[str, GroupNegatives] = {}
    if recipe.mine_every:
        found[RANDOM] = MinedNegatives(dataset, images=recipe.images, texts=recipe.texts, hard=recipe.hard)
    elif recipe.every != 1:
        found[RANDOM] = RandomNegatives(dataset, images=recipe.images, texts=recipe.texts)
    if recipe.every:
        found[HARD] = RandomNegatives(dataset, images=recipe.pool, texts=recipe.pool, counted=recipe.keep)
    return found


class GroupPlan(Sampler[Job]):
    """The jobs of one process, in order, from any step to `stop`; every process draws the same global batches.

    Args:
        dataset: the pairs to train on.
        negatives: of each objective.
        steps: of the run.
        units: real units of a global batch, of a pool those that are kept at most.
        seed: of all draws.
        hard_every: steps from one pool to the next; 0 = no pools.
        mine_every: steps from one mining to the next; 0 = nothing is mined.
        accumulation: micro-batches a process runs in a step.
        rank, world_size: which share of the global batch is this process's.
    """

    def __init__(
        self,
        dataset: PairDataset,
        negatives: Mapping[str, GroupNegatives],
        *,
        steps: int,
        units: int,
        seed: int,
        hard_every: int = 0,
        mine_every: int = 0,
        accumulation: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.steps = steps
        self.first_step = 0
        self._dataset = dataset
        self._negatives = negatives
        self._units = units
        self._seed = seed
        self._hard_every = hard_every
        self._mine_every = mine_every
        self._parts = accumulation * world_size
        self._own = range(rank * accumulation, (rank + 1) * accumulation)
        self._positions: dict[str, dict[str, int]] = {}
        self._streams = self._open()

    @property
    def stop(self) -> int:
        """The step before which nothing is mined anew: `steps`, or the next multiple of `mine_every`."""
        if not self._mine_every:
            return self.steps
        return min(self.steps, (self.first_step // self._mine_every + 1) * self._mine_every)

    def seek(self, step: int, positions: Mapping[str, dict[str, int]]) -> None:
        """Go on at `step`, each stream where a checkpoint left it."""
        self.first_step = step
        self._positions = {stream.removeprefix(f"{self._dataset.name}/"): at for stream, at in positions.items()}
        self._streams = self._open()

    def renew(self, table: HardTable) -> None:
        """Go on with what was mined: the groups that are still to come have other units then, and are drawn anew."""
        for drawn in self._negatives.values():
            if isinstance(drawn, MinedNegatives):
                drawn.table = table
        self._streams = self._open()

    def go_on(self) -> None:
        """Go on at `stop`, once all up to there was drawn."""
        self.first_step = self.stop

    def __iter__(self) -> Iterator[Job]:
        for step in range(self.first_step, self.stop):
            objective = HARD if self._hard_every and (step + 1) % self._hard_every == 0 else RANDOM
            batch = next(self._streams[objective])
            self._positions[objective] = batch.position
            for part in self._own:
                yield job_of(batch, part, step=step, dataset=self._dataset.name, objective=objective)

    def __len__(self) -> int:
        return (self.stop - self.first_step) * len(self._own)

    def _open(self) -> dict[str, UnitBatches]:
        streams = {
            objective: UnitBatches(
                self._dataset,
                units=self._units,
                seed=key_of(self._seed, self._dataset.name, objective),
                parts=self._parts,
                sizes=drawn,
            )
            for objective, drawn in self._negatives.items()
        }
        for objective, position in self._positions.items():
            streams[objective].seek(position)
        return streams


class GroupBatches(Dataset[tuple[Job, TaskBatch]]):
    """Makes the batch of a job of true pairs, their negatives drawn by the pairs' keys.

    Args:
        dataset: the pairs.
        negatives: of each objective.
        settings: of the task.
        keep: negatives of each side that a pool is narrowed to.
    """

    def __init__(
        self, dataset: PairDataset, negatives: Mapping[str, GroupNegatives], settings: TaskSettings, *, keep: int
    ) -> None:
        self.dataset = dataset
        self.negatives = dict(negatives)
        self.settings = settings
        self.keep = keep

    def __getitem__(self, job: Any) -> tuple[Job, TaskBatch]:
        examples = self._groups(job)
        batch = task(RANDOM).collate(examples, self.settings)
        return job, pool_of(batch, examples, keep=self.keep) if job.objective == HARD else batch

    def _groups(self, job: Job) -> list[Example]:
        """Each text and each image is read once, however many groups show it."""
        drawn = self.negatives[job.objective].draw(job.indices, job.keys)
        texts, text_places = np.unique(np.column_stack([job.indices, drawn.texts]), return_inverse=True)
        images, image_places = np.unique(np.column_stack([job.image_rows, drawn.image_rows]), return_inverse=True)
        words, regions = self.dataset.token_ids(texts), self.dataset.images(images)
        size = len(job.indices)
        return [
            Example(
                id=str(name),
                texts=tuple(words[place][1:-1] for place in of_texts),
                images=tuple(regions[place] for place in of_images),
                key=key,
            )
            for name, of_texts, of_images, key in zip(
                self.dataset.text_ids[job.indices],
                text_places.reshape(size, -1).tolist(),
                image_places.reshape(size, -1).tolist(),
                job.keys.tolist(),
                strict=True,
            )
        ]
