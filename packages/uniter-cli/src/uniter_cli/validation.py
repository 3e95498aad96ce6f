"""Measuring objectives on a split: the sums that objectives log, added over batches and processes; constant answers."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from uniter_cli.loader import Job, batch_loader
from uniter_cli.model import lacking_labels
from uniter_cli.pair_batches import PairBatches, mismatch_probability, validation_jobs
from uniter_cli.pair_source import PairSource
from uniter_cli.recipe import ValidationRecipe
from uniter_tasks import MajorityBaseline, ObjectiveSettings, objective

__all__ = ["baselines", "measure"]


def measure(
    model: nn.Module,
    accelerator: Accelerator,
    datasets: Mapping[str, PairSource],
    objectives: Iterable[str],
    settings: ObjectiveSettings,
    recipe: ValidationRecipe,
    *,
    another_picture: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Means of every logged quantity, named `DATASET/OBJECTIVE/METRIC`, and `OBJECTIVE/METRIC` over all data sets.

    The pairs, their masks and their mismatched partners are the same at every call and for any number of processes.

    Args:
        model: called as `model(objective, batch)`; put into evaluation mode.
        accelerator: whose processes share the work.
        datasets: the splits to measure on.
        objectives: names.
        settings: of the objectives.
        recipe: how much of a split to use, in batches of how many units.
        another_picture: show every sentence with the regions of another image, to see what a model takes from the
            image at all.
        progress: called with batches done and their number.
    """
    model.eval()
    sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros(2, dtype=torch.float64, device=accelerator.device))
    jobs = _jobs(
        datasets,
        objectives,
        recipe,
        mismatch=lambda task: 1.0 if another_picture else mismatch_probability(task, settings),
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    with torch.no_grad():
        for done, (job, batch) in enumerate(batch_loader(PairBatches(datasets, settings), jobs), start=1):
            loss = model(job.objective, batch.to(accelerator.device))
            for metric, value in loss.logged.items():
                sums[f"{job.dataset}/{job.objective}/{metric}"] += value
                sums[f"{job.objective}/{metric}"] += value
            progress(done, len(jobs))
    return _means(accelerator, sums)


def baselines(
    datasets: Mapping[str, PairSource],
    objectives: Iterable[str],
    settings: ObjectiveSettings,
    recipe: ValidationRecipe,
) -> dict[str, float]:
    """What a constant answer reaches on the batches that `measure` uses, by the names that `measure` gives."""
    found: dict[str, float] = {}
    for task in objectives:
        overall = MajorityBaseline(objective(task).baselines)
        own = {name: MajorityBaseline(objective(task).baselines) for name in datasets}
        jobs = _jobs(datasets, [task], recipe, mismatch=lambda task: mismatch_probability(task, settings))
        for job, batch in batch_loader(PairBatches(datasets, settings), jobs):
            overall.update(batch)
            own[job.dataset].update(batch)
        for prefix, baseline in (("", overall), *((f"{name}/", each) for name, each in own.items())):
            found |= {f"{prefix}{task}/{metric}": value for metric, value in baseline.result().items()}
    return found


# ---------------------------------------------------------------------------------------------------------------------


def _jobs(
    datasets: Mapping[str, PairSource],
    objectives: Iterable[str],
    recipe: ValidationRecipe,
    *,
    mismatch: Callable[[str], float],
    rank: int = 0,
    world_size: int = 1,
) -> list[Job]:
    """One process's batches for every data set and objective that can be measured on it."""
    return [
        job
        for name, dataset in datasets.items()
        for task in objectives
        if not lacking_labels(dataset, task)
        for job in validation_jobs(
            name,
            dataset,
            task,
            units=recipe.units,
            pairs=recipe.pairs,
            mismatch_probability=mismatch(task),
            rank=rank,
            world_size=world_size,
        )
    ]


def _means(accelerator: Accelerator, sums: dict[str, Tensor]) -> dict[str, float]:
    """Mean of each quantity over all processes; a process may have seen none of some."""
    if accelerator.num_processes > 1:
        gathered: list[dict[str, list[float]] | None] = [None] * accelerator.num_processes
        torch.distributed.all_gather_object(gathered, {name: value.tolist() for name, value in sums.items()})
        total: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for part in gathered:
            for name, (value, count) in (part or {}).items():
                total[name] = [total[name][0] + value, total[name][1] + count]
    else:
        total = {name: value.tolist() for name, value in sums.items()}
    return {name: value / count for name, (value, count) in sorted(total.items()) if count > 0}
