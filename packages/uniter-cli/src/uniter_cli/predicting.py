"""A split's predictions, what its labels say of them, and of always giving the most frequent answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import ArrayLike, NDArray

from uniter_cli.display import progress_bars
from uniter_cli.engine import build_accelerator
from uniter_cli.errors import UsageError
from uniter_cli.example_batches import ExampleBatches, prediction_jobs
from uniter_cli.loader import batch_loader
from uniter_cli.trained_models import open_trained
from uniter_data.examples import ExampleDataset
from uniter_tasks import TaskBatch
from uniter_tasks.downstream import DownstreamModel
from uniter_tasks.downstream.snli_ve import CLASSES
from uniter_tasks.predictions import Predictions, ScoreOptions, constant_predictions, score

__all__ = ["baselines", "predict", "predict_split", "scalars", "score_split"]


def predict(
    model: DownstreamModel,
    accelerator: Accelerator,
    dataset: ExampleDataset,
    *,
    units: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Predictions:
    """The probabilities of every example of a split, in its order, on every process.

    Args:
        model: unwrapped.
        accelerator: whose processes share the work.
        dataset: the split; labels need not be there.
        units: real units of a batch.
        progress: called with batches done and their number.
    """
    task, settings = model.task, model.settings
    jobs = prediction_jobs(
        dataset, task, settings, units=units, rank=accelerator.process_index, world_size=accelerator.num_processes
    )
    found: dict[int, tuple[list[float], list[list[float]]]] = {}
    loader = batch_loader(ExampleBatches(dataset, task, settings, training=False), jobs)
    for done, (job, batch) in enumerate(loader, start=1):
        boxes = _boxes(batch) if task.name == "refexp" else [[]] * len(batch.ids)
        for row, scores, own in zip(job.indices.tolist(), model.scores(batch), boxes, strict=True):
            found[row] = scores.flatten().tolist(), own
        progress(done, len(jobs))
    if accelerator.num_processes > 1:
        shares: list[Any] = [None] * accelerator.num_processes
        torch.distributed.all_gather_object(shares, found)
        found = {row: said for share in shares for row, said in share.items()}
    return Predictions.gather(
        task.name,
        dataset.example_ids.tolist(),
        [found[row][0] for row in range(len(dataset))],
        setting=settings.setting,
        answers=_answers(model),
        boxes=_in_pixels([found[row][1] for row in range(len(dataset))], dataset) if task.name == "refexp" else None,
    )


def predict_split(
    task: str,
    source: str,
    *,
    data: str | None = None,
    split: str | None = None,
    setting: str = "",
    hidden: bool = False,
    labelled: bool = False,
) -> tuple[Predictions, ExampleDataset, bool]:
    """What a fine-tuned model says of a split; see `open_trained` for the arguments and errors.

    Args:
        hidden: show no progress.
        labelled: refuse a split without labels.

    Returns:
        The predictions, the split, and whether this is the main process.
    """
    accelerator = build_accelerator()
    with progress_bars(hidden=hidden or not accelerator.is_main_process) as progress:
        trained = open_trained(task, source, accelerator, data=data, split=split, setting=setting, progress=progress)
        dataset = trained.dataset
        if labelled and not dataset.labelled:
            raise UsageError(
                f"{dataset.directory} ({dataset.split}) has no labels: uniter predict writes what its server scores"
            )
        found = predict(
            trained.model,
            accelerator,
            dataset,
            units=trained.units,
            progress=lambda done, total: progress(f"predicting {dataset.split}", done, total),
        )
    main = accelerator.is_main_process
    accelerator.end_training()
    return found, dataset, main


def baselines(training: ExampleDataset, dataset: ExampleDataset) -> dict[str, float]:
    """What always giving the most frequent answer of the training split reaches, named as in `scalars`."""
    boxes = None
    if dataset.task == "refexp":
        boxes = _in_pixels([own[:, [0, 1, 4, 5]] for own in dataset.boxes(np.arange(len(dataset)))], dataset)
    found = constant_predictions(dataset.task, training.annotations(), dataset.example_ids.tolist(), boxes=boxes)
    return scalars(score_split(found, dataset, ScoreOptions(draws=0)), dataset.task)


def score_split(
    predictions: Predictions, dataset: ExampleDataset, options: ScoreOptions | None = None
) -> dict[str, Any]:
    """What the official scorer says of predictions of a split with labels."""
    return score(predictions, list(dataset.annotations()), options)


def scalars(report: Mapping[str, Any], task: str) -> dict[str, float]:
    """The shares of a score, named `TASK/METRIC`, for logs and tables: no counts, no intervals.

    >>> scalars({"task": "nlvr2", "examples": 4, "accuracy": 0.5, "accuracy_interval": [0.1, 0.9]}, "nlvr2")
    {'nlvr2/accuracy': 0.5}
    """
    return {f"{task}/{name}": value for name, value in report.items() if isinstance(value, float)}


# ---------------------------------------------------------------------------------------------------------------------


def _answers(model: DownstreamModel) -> tuple[str, ...]:
    """What the probabilities stand for, where the official file names them."""
    return CLASSES if model.task.name == "snli-ve" else model.settings.answers


def _boxes(batch: TaskBatch) -> list[list[list[float]]]:
    """x1, y1, w, h in the unit square of every example's regions."""
    boxes = batch.packed.region_boxes[:, [0, 1, 4, 5]]
    return [each.tolist() for each in torch.split(boxes, batch.packed.region_lengths.tolist())]


def _in_pixels(boxes: Sequence[ArrayLike], dataset: ExampleDataset) -> list[NDArray[np.float64]]:
    sizes = [annotation["size"] for annotation in dataset.annotations()]
    return [np.asarray(own) * np.tile(size, 2) for own, size in zip(boxes, sizes, strict=True)]
