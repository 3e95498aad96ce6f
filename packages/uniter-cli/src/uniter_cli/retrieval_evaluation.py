"""Retrieval on a whole split: every text with every image, kept on disk as it is scored, then recall both ways."""

# T texts, I images

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import nn

from uniter_cli.display import SECONDS_BETWEEN_LINES, console, progress_bars
from uniter_cli.engine import build_accelerator
from uniter_cli.errors import UsageError
from uniter_cli.recipe import DataRecipe, Recipe
from uniter_cli.recipe_files import load_recipe
from uniter_cli.retrieval_run import recalls
from uniter_cli.retrieval_sources import PairGallery
from uniter_cli.run_directory import RunDirectory, model_folder
from uniter_cli.score_matrix import ScoreMatrix
from uniter_cli.sources import SCENES, check_fit, locate
from uniter_core.checkpoints import load_folder
from uniter_data import PairDataset
from uniter_tasks import ObjectiveSettings, PretrainingModel
from uniter_tasks.downstream import DownstreamModel, TaskSettings
from uniter_tasks.grid import Gallery, match_scorer, score_blocks, share
from uniter_tasks.metrics import RetrievalScore, bootstrap_interval, score_retrieval
from uniter_tasks.predictions import gold_columns

__all__ = ["evaluate_matrix", "evaluate_retrieval", "fill", "open_matcher"]

HEIGHT, WIDTH = 512, 32  # texts and images of a block: what a stop may cost


def evaluate_retrieval(
    source: str,
    *,
    split: str | None = None,
    data: str | None = None,
    folds: int = 1,
    out: Path | None = None,
    hidden: bool = False,
) -> dict[str, Any]:
    """Recall of a model on all texts and images of a split.

    The score matrix stays at `out`. Stopped at any moment, the same command goes on with it; once it is whole, nothing
    is scored again.

    Args:
        source: a run's directory, a model folder or a hub id: fine-tuned for retrieval, or pre-trained (zero-shot).
        split: of the data set; None = what the run's recipe tests on, otherwise `test`.
        data: the data set; None = that of a run of retrieval, of any other model generated scenes.
        folds: also the mean over so many galleries, equal parts of the images.
        out: the score matrix; None = `scores-DATA-SPLIT.zarr` in the run's directory, or here where it is none.
        hidden: show no progress.

    Returns:
        The report; empty on all processes but the main one.

    Raises:
        UsageError: the model is for something else or does not fit the data; another matrix is in the way; too many
            folds.
        ValueError, OSError: there is no such model, data set or split, or it is damaged; the message names it.
    """
    accelerator = build_accelerator()
    run = RunDirectory(Path(source).expanduser())
    recipe = load_recipe(str(run.recipe)) if run.recipe.is_file() else None
    dataset = _dataset(recipe, accelerator, data, split, hidden=hidden)
    model = open_matcher(model_folder(source), dataset).to(accelerator.device)
    gallery = PairGallery.of(dataset)
    _check_folds(folds, gallery)
    folder = run.path if recipe else Path()
    matrix = _matrix(out or folder / f"scores-{dataset.name}-{dataset.split}.zarr", model, gallery, accelerator)
    units = (recipe or Recipe(name="")).validation.units
    scored = sum(block.pairs for block in matrix.pending())
    seconds = fill(matrix, model, gallery, accelerator, units=units, hidden=hidden)
    if not accelerator.is_main_process:
        return {}
    matrix = matrix.publish()
    if not hidden:
        pairs = len(gallery.rows) * len(gallery.image_rows)
        console.print(f"{scored:,} of {pairs:,} pairs scored in {seconds:,.1f} s", highlight=False)
    told = {"model": source, "zero_shot": isinstance(model, PretrainingModel)}
    return {"task": "retrieval", **told, **_report(matrix, gallery, gallery.text_images, folds)}


def evaluate_matrix(path: Path, *, data: str, split: str | None, folds: int = 1) -> dict[str, Any]:
    """Recall of a whole score matrix, whoever wrote it, on the split whose texts and images it names.

    Args:
        path: the matrix.
        data: the data set of pairs.
        split: of the data set; None = `test`.
        folds: as for `evaluate_retrieval`.

    Raises:
        UsageError: there is no whole matrix, or too many folds.
        ValueError: it has other texts or images than the split.
    """
    matrix = ScoreMatrix.open(path)
    gallery = PairGallery.of(PairDataset.open(locate(data), split or "test"))
    _check_folds(folds, gallery)
    image_ids = gallery.image_ids
    own = {name: image_ids[column] for name, column in zip(gallery.text_ids, gallery.text_images, strict=True)}
    columns = gold_columns(matrix.text_ids, matrix.image_ids, own, where=str(path))
    return {"task": "retrieval", **_report(matrix, gallery, columns, folds)}


def open_matcher(folder: str, dataset: PairDataset) -> PretrainingModel | DownstreamModel:
    """The model of a folder or hub id that says how well a text fits an image.

    Raises:
        UsageError: it is for another task, has no head for it, or does not fit the data.
    """
    held = load_folder(folder)
    model: PretrainingModel | DownstreamModel
    if held.task is not None and held.task.get("name") != "retrieval":
        raise UsageError(f"{folder} is fine-tuned for {held.task.get('name')}, not for retrieval")
    # soft labels play no part in retrieval, so their classes need not agree
    config = replace(held.config, num_classes=dataset.num_classes or held.config.num_classes)
    check_fit(config, held.vocabulary, dataset, origin=folder)
    if int(dataset.text_lengths.max()) > held.config.max_positions:
        raise UsageError(
            f"{dataset.name} ({dataset.split}) has texts of {int(dataset.text_lengths.max())} tokens, {folder} "
            f"{held.config.max_positions} positions: import with a smaller --max-tokens"
        )
    if "heads.rank.weight" in held.tensors:
        settings = None if held.task else TaskSettings(vocabulary=dataset.vocabulary)
        model = DownstreamModel.from_pretrained(folder, "retrieval", settings)
    elif "heads.itm.weight" in held.tensors:
        model = PretrainingModel.from_pretrained(folder, ObjectiveSettings(vocabulary=dataset.vocabulary))
    else:
        raise UsageError(f"{folder} has no head for matching: fine-tune it, or take a pre-trained model with its heads")
    return model


def fill(
    matrix: ScoreMatrix,
    model: PretrainingModel | DownstreamModel,
    gallery: Gallery,
    accelerator: Accelerator,
    *,
    units: int,
    hidden: bool = False,
) -> float:
    """Score what a matrix lacks; each process its share of the blocks.

    Args:
        matrix: open on every process.
        model: unwrapped, on the accelerator's device.
        gallery: its texts and images.
        accelerator: whose processes share the work.
        units: real units of a batch.
        hidden: show no progress.

    Returns:
        Seconds it took on this process.
    """
    pending = matrix.pending()
    accelerator.wait_for_everyone()  # nobody writes before everybody knows what is left
    own = share(pending, rank=accelerator.process_index, world_size=accelerator.num_processes)
    started = time.monotonic()
    with _bar(own, hidden=hidden or not accelerator.is_main_process) as scored:
        for block, scores in score_blocks(match_scorer(model), gallery, own, units=units):
            matrix.write(block, scores)
            scored(block.pairs)
    accelerator.wait_for_everyone()
    return time.monotonic() - started


# ---------------------------------------------------------------------------------------------------------------------


def _check_folds(folds: int, gallery: PairGallery) -> None:
    if not 1 <= folds <= len(gallery.image_rows):
        raise UsageError(
            f"--folds {folds}: expected 1 to {len(gallery.image_rows)}, the images of {gallery.dataset.split}"
        )


def _report(matrix: ScoreMatrix, gallery: PairGallery, columns: NDArray[np.int64], folds: int) -> dict[str, Any]:
    """What is said of a whole matrix; `columns` (T,) of each text's image."""
    score = score_retrieval(matrix, columns)
    report = {
        "data": gallery.dataset.directory,
        "split": gallery.dataset.split,
        "scores": str(matrix.path),
        "examples": len(columns),
        "images": len(gallery.image_rows),
        **recalls(score),
        **_intervals(score),
    }
    if folds > 1:
        report |= {"num_folds": folds, "folds": recalls(score_retrieval(matrix, columns, folds=folds))}
    return report


def _intervals(score: RetrievalScore) -> dict[str, list[float]]:
    """95 % intervals of the recalls, over other queries to the same gallery, which count as independent."""
    sides = {"image": (score.image_recall, score.image_ranks), "text": (score.text_recall, score.text_ranks)}
    return {
        f"{side}_recall@{k}_interval": list(bootstrap_interval(ranks < k))
        for side, (by_k, ranks) in sides.items()
        for k in by_k
    }


def _dataset(
    recipe: Recipe | None, accelerator: Accelerator, data: str | None, split: str | None, *, hidden: bool
) -> PairDataset:
    """The split that was asked for, or that the run tests on; scenes are generated by the main process."""
    own = DataRecipe(path=f"{SCENES}retrieval")
    if recipe and recipe.task.name == "retrieval":
        own = next(iter(recipe.data.values()))
    with accelerator.main_process_first(), progress_bars(hidden=hidden) as progress:
        directory = locate(data or own.path, progress)
    return PairDataset.open(directory, split or (own.test if data is None else DataRecipe(path="").test))


def _matrix(path: Path, model: nn.Module, gallery: PairGallery, accelerator: Accelerator) -> ScoreMatrix:
    """The matrix on every process, made by the main one where it is new."""
    dataset = gallery.dataset
    origin = {"model": _fingerprint(model), "data": f"{dataset.name}/{dataset.split}"}
    with accelerator.main_process_first():
        return ScoreMatrix.begin(
            path,
            text_ids=gallery.text_ids,
            image_ids=gallery.image_ids,
            origin=origin,
            height=HEIGHT,
            width=WIDTH,
        )


def _fingerprint(model: nn.Module) -> str:
    """Of all parameters, wherever they were loaded from."""
    digest = blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def _bar(blocks: list[Any], *, hidden: bool) -> Iterator[Callable[[int], None]]:
    """Pairs done, their rate and the time left: a bar in a terminal, elsewhere a line now and then."""
    total, done, started = sum(block.pairs for block in blocks), 0, time.monotonic()
    spoke = started
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]} pairs/s"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal) as bars:
        bar = bars.add_task("retrieval", total=total, rate="")

        def scored(pairs: int) -> None:
            nonlocal done, spoke
            done += pairs
            now = time.monotonic()
            rate = done / max(now - started, 1e-9)
            bars.update(bar, completed=done, rate=f"{rate:,.0f}")
            if not hidden and not console.is_terminal and now - spoke > SECONDS_BETWEEN_LINES:
                spoke = now
                left = (total - done) / rate
                console.print(f"{done:,} of {total:,} pairs, {rate:,.0f}/s, {left:,.0f} s left", highlight=False)

        yield scored
