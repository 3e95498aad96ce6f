"""The training loop: every run of every task goes through here, and it knows none of them by name.

B pairs of a micro-batch, N units (words + regions) of a step.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar, cast

import torch
from accelerate import Accelerator
from torch import nn

from uniter_cli.errors import RunError
from uniter_cli.loader import Job
from uniter_cli.optim import learning_rate
from uniter_cli.parallel import clip_gradients
from uniter_cli.recipe import Recipe
from uniter_cli.stopwatch import Stopwatch
from uniter_core import UniterEncoder, training_flops
from uniter_tasks import TaskBatch

__all__ = ["StepReport", "fit"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one optimiser step did, over all processes.

    Attributes:
        step: its number, from 0.
        dataset, objective: what it trained on.
        loss: the objective's mean over the global batch.
        grad_norm: global norm before clipping.
        skipped: whether loss or gradient was not finite and the step changed nothing.
        lr: learning rate.
        units: real units of this process's share; `slots` what a padded batch would have held.
        seconds: wall time of the step.
        spent: seconds of it by part: `data` (waiting for batches), `agreement` (of the processes), `forward`,
            `backward` (with the exchange of gradients that runs beside it), `update`.
        flops: arithmetic of this process's share of the encoder's work.
        stream, position: what it drew from, and where that stands now.
    """

    step: int
    dataset: str
    objective: str
    loss: float
    grad_norm: float
    skipped: bool
    lr: float
    units: int
    slots: int
    seconds: float
    spent: dict[str, float]
    flops: float
    stream: str
    position: dict[str, int]


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    batches: Iterable[tuple[Job, TaskBatch]],
    recipe: Recipe,
    *,
    first_step: int = 0,
    after_step: Callable[[StepReport], None],
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train from `first_step` to the recipe's last step.

    Args:
        model: prepared by `accelerator`; called as `model(objective, batch)`, returns a `Loss`.
        optimizer: prepared by `accelerator`.
        accelerator: the process group.
        batches: this process's micro-batches in order, `accumulation` a step.
        recipe: steps, schedule and clipping.
        first_step: the step the first batch belongs to.
        after_step: called after every step; saves, measures and logs.
        asked_to_stop: whether this process was asked to end; all processes end after the same step.

    Returns:
        Whether the last step was reached.

    Raises:
        RunError: the loss or the gradient is not finite and the recipe does not skip such steps; the message names
            the pairs.
    """
    config = cast(UniterEncoder, accelerator.unwrap_model(model).encoder).config
    model.train()
    clock = time.perf_counter()
    for step, parts, waited in _steps(batches, first_step, recipe.batch.accumulation):
        watch = Stopwatch(accelerator.device)
        lr = learning_rate(recipe.optimizer, step, recipe.steps)
        for group in optimizer.param_groups:
            group["lr"] = lr * group["multiplier"]
        with watch.part("agreement"):
            count, stopping = _agree(accelerator, parts, stop=asked_to_stop())
        loss = _backward(model, accelerator, parts, count, watch)
        with watch.part("update"):
            # under fp16 the scaler itself skips a step whose scaled gradients overflow
            norm = clip_gradients(model, accelerator, recipe.optimizer.clip)
            finite = math.isfinite(loss) and (accelerator.scaler is not None or bool(torch.isfinite(norm)))
            if finite:
                optimizer.step()
            elif recipe.optimizer.not_finite == "stop":
                raise RunError(_not_finite(loss, float(norm), parts, step))
            optimizer.zero_grad(set_to_none=True)
        spent = {"data": waited} | watch.seconds()
        now = time.perf_counter()
        job, _ = parts[0]
        packed = [batch.packed for _, batch in parts]
        report = StepReport(
            step=step,
            dataset=job.dataset,
            objective=job.objective,
            loss=loss,
            grad_norm=float(norm),
            skipped=not finite,
            lr=lr,
            units=sum(p.num_units for p in packed),
            slots=sum(p.num_samples * p.max_seqlen for p in packed),
            seconds=now - clock,
            spent=spent,
            flops=sum(training_flops(config, p.segments.lengths, len(p.region_features)) for p in packed),
            stream=job.stream,
            position=job.position,
        )
        after_step(report)
        if stopping:
            return step + 1 == recipe.steps
        model.train()
        clock = time.perf_counter()
    return True


# ---------------------------------------------------------------------------------------------------------------------


def _steps(batches: Iterable[T], first_step: int, accumulation: int) -> Iterator[tuple[int, list[T], float]]:
    """Groups of `accumulation` micro-batches, with the step's number and the seconds spent waiting for them."""
    stream = iter(batches)
    step = first_step
    while True:
        started = time.perf_counter()
        parts = list(islice(stream, accumulation))
        if not parts:
            return
        yield step, parts, time.perf_counter() - started
        step += 1


def _agree(accelerator: Accelerator, parts: list[tuple[Job, TaskBatch]], *, stop: bool) -> tuple[float, bool]:
    """Targets of the global batch, and whether any process was asked to end: one exchange for both."""
    known = [float(sum(batch.count for _, batch in parts)), float(stop)]
    if accelerator.num_processes > 1:
        here = torch.tensor(known, dtype=torch.float64, device=accelerator.device)
        known = accelerator.reduce(here, reduction="sum").tolist()
    return known[0], known[1] > 0


def _backward(
    model: nn.Module, accelerator: Accelerator, parts: list[tuple[Job, TaskBatch]], count: float, watch: Stopwatch
) -> float:
    """Gradients of the mean over the *global* batch; its value.

    The sum of every part is divided by the count over all parts and processes, known before the first forward pass; so
    neither accumulation nor the number of processes changes a number. DDP averages over processes: hence the factor.
    """
    world = accelerator.num_processes
    total = torch.zeros((), dtype=torch.float64, device=accelerator.device)
    for number, (job, batch) in enumerate(parts, start=1):
        with accelerator.no_sync(model) if number < len(parts) else nullcontext():
            with watch.part("forward"), accelerator.autocast():
                loss = model(job.objective, batch.to(accelerator.device, non_blocking=True))
            with watch.part("backward"):
                accelerator.backward(loss.sum * (world / count))
        total += loss.sum.detach().double()
    if world > 1:
        total = accelerator.reduce(total, reduction="sum")
    return float(total) / count


def _not_finite(loss: float, norm: float, parts: list[tuple[Job, TaskBatch]], step: int) -> str:
    job, _ = parts[0]
    ids = [name for _, batch in parts for name in batch.ids]
    return (
        f"step {step} ({job.objective} on {job.dataset}): loss {loss}, gradient norm {norm}: "
        f"not finite, the run stops before the update; its pairs: {', '.join(ids[:8])}{' …' if len(ids) > 8 else ''}"
    )
