"""Batches on their way to the model: jobs drawn in the main process, samples made in the workers.

A `Job` says what a micro-batch holds and is all that travels to a worker; so the numbers of a run depend neither on the
number of workers nor, as the global batch is drawn before it is divided, on the number of processes.
"""

import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from threading import Thread
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from uniter_cli.parcels import Outbox
from uniter_data import Batch
from uniter_tasks import TaskBatch

__all__ = ["Job", "batch_loader", "job_of"]

AHEAD = 4  # batches that each worker makes ahead
HELD = 3  # batches of a worker that the receiver holds at a time: more than these are sent in a slower way


@dataclass(frozen=True, kw_only=True)
class Job:
    """One micro-batch to make: pairs or examples of one data set, for one objective or task.

    Attributes:
        step: optimiser step it belongs to (validation: number of the batch).
        dataset: name of the data set.
        objective: name of the objective or task.
        indices: (B,) texts or examples; `image_rows` (B,) and `matched` (B,) complete pairs, `keys` (B,) are for draws.
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


def job_of(batch: Batch, part: int, *, step: int, dataset: str, objective: str) -> Job:
    """One part of a global batch as a job."""
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


def batch_loader(
    batches: Dataset[tuple[Job, TaskBatch]],
    jobs: Sampler[Job] | list[Job],
    *,
    workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[tuple[Job, TaskBatch]]:
    """A loader that turns jobs into `(job, batch)`, in order.

    Args:
        batches: makes the batch of a job, `batches[job]`.
        jobs: what to make.
        workers: processes that make them; 0 = this one.
        pin_memory: copy into page-locked memory.
    """
    return DataLoader(
        _Parcels(batches) if workers else batches,
        batch_size=None,
        sampler=jobs,
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=AHEAD if workers else None,
        # a loader draws a seed when it starts: from the global generator it would take a number that dropout is owed
        generator=torch.Generator(),
        multiprocessing_context=_forkserver() if workers else None,
        worker_init_fn=_end_with_the_run if workers else None,
    )


class _Parcels(Dataset[Any]):
    """The batches, in parcels; for use in a worker."""

    def __init__(self, batches: Dataset[tuple[Job, TaskBatch]]) -> None:
        self._batches = batches
        self._outbox = Outbox(most=AHEAD + HELD)

    def __getitem__(self, job: Job) -> Any:
        return self._outbox.pack(self._batches[job])


def _forkserver() -> ForkServerContext:
    """Workers forked off a process that has only imported: forking one whose stores run threads can deadlock."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["uniter_data", "uniter_tasks"])  # once, not in every worker
    return context


def _end_with_the_run(worker: int) -> None:
    """In a worker: end when the process that it works for was killed.

    torch lets a worker watch its parent, which is the fork server, and that lives as long as a worker does.
    """

    def watch() -> None:
        run = multiprocessing.parent_process()
        if run:
            run.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()
