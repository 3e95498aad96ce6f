"""What a fine-tuning run on retrieval does: groups to rank, recall on a gallery that is scored each with each."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from uniter_cli.group_batches import GroupBatches, GroupPlan, group_negatives
from uniter_cli.loader import Job, batch_loader
from uniter_cli.mining import Miner
from uniter_cli.recipe import Recipe
from uniter_cli.retrieval_sources import PairGallery, PairSources
from uniter_cli.run import Busy, Course, Work
from uniter_tasks import TaskBatch
from uniter_tasks.downstream import DownstreamModel
from uniter_tasks.grid import grid_blocks, match_scorer, score_blocks, share
from uniter_tasks.metrics import RetrievalScore, score_retrieval

__all__ = ["recalls", "retrieval_work", "score_in_memory"]

HEIGHT, WIDTH = 256, 16  # texts and images of a block


def retrieval_work(recipe: Recipe, accelerator: Accelerator, sources: PairSources, model: DownstreamModel) -> Work:
    """What the course of a run calls. Validation and test use a drawn gallery of `validation.pairs` pairs at most.

    Raises:
        UsageError, ValueError: a batch is too small for a group, or the data set for so many negatives.
    """
    negatives = group_negatives(sources.train, recipe.negatives)
    plan = GroupPlan(
        sources.train,
        negatives,
        steps=recipe.steps,
        units=recipe.batch.units,
        seed=recipe.seed,
        hard_every=recipe.negatives.every,
        mine_every=recipe.negatives.mine_every,
        accumulation=recipe.batch.accumulation,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    miner = Miner(recipe, accelerator, sources.train, model) if recipe.negatives.mine_every else None
    galleries = {
        split: PairGallery.of(dataset, pairs=recipe.validation.pairs)
        for split, dataset in (("val", sources.val), ("test", sources.test))
        if dataset is not None
    }

    def batches(course: Course) -> Iterator[tuple[Job, TaskBatch]]:
        """One stretch after the other: what is mined before it holds for all of it."""
        loader = batch_loader(
            GroupBatches(sources.train, negatives, model.settings, keep=recipe.negatives.keep),
            plan,
            workers=recipe.batch.workers,
            pin_memory=accelerator.device.type == "cuda",
        )
        while plan.first_step < recipe.steps:
            if miner:
                plan.renew(miner.table(plan.first_step, course))
            yield from loader  # its workers start anew, and with what was mined
            plan.go_on()

    def measured(split: str, busy: Busy) -> dict[str, float]:
        if split not in galleries:
            return {}
        gallery = galleries[split]
        scores = score_in_memory(model, accelerator, gallery, units=recipe.validation.units, busy=busy(split))
        found = recalls(score_retrieval(scores, gallery.text_images))
        return {f"retrieval/{name}": value for name, value in found.items()}

    return Work(
        model=model,
        plan=plan,
        loader=batches,
        validate=lambda prepared, busy: measured("val", busy),
        baselines=lambda: _chance(galleries["val"]) if "val" in galleries else {},
        test=lambda busy: measured("test", busy),
        save=model.save_pretrained,
    )


def recalls(score: RetrievalScore) -> dict[str, float]:
    """`image_recall@k` and `text_recall@k` by k, and their `mean`."""
    sides = {"image": score.image_recall, "text": score.text_recall}
    found = {f"{side}_recall@{k}": float(value) for side, by_k in sides.items() for k, value in by_k.items()}
    return found | {"mean": score.mean}


def score_in_memory(
    model: DownstreamModel, accelerator: Accelerator, gallery: PairGallery, *, units: int, busy: Any
) -> NDArray[np.float32]:
    """(T, I) scores of a gallery, on every process; each scores its share of the blocks.

    Args:
        model: unwrapped.
        accelerator: whose processes share the work.
        gallery: small enough for memory.
        units: real units of a batch.
        busy: called with blocks done and their number.
    """
    shape = len(gallery.rows), len(gallery.image_rows)
    blocks = share(
        grid_blocks(*shape, height=HEIGHT, width=WIDTH),
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    found = []
    with accelerator.autocast():
        for done, part in enumerate(score_blocks(match_scorer(model), gallery, blocks, units=units), start=1):
            found.append(part)
            busy(done, len(blocks))
    if accelerator.num_processes > 1:
        shares: list[Any] = [None] * accelerator.num_processes
        torch.distributed.all_gather_object(shares, found)
        found = [part for own in shares for part in own]
    scores = np.full(shape, np.nan, dtype=np.float32)
    for block, values in found:
        scores[block.texts, block.images] = values
    return scores


# ---------------------------------------------------------------------------------------------------------------------


def _chance(gallery: PairGallery) -> dict[str, float]:
    """Expected recall of scores drawn at random: of a text's one image among I, of an image's n texts among T."""
    texts, images = len(gallery.rows), len(gallery.image_rows)
    own = np.bincount(gallery.text_images, minlength=images)
    found = {}
    for k in (1, 5, 10):
        found[f"retrieval/image_recall@{k}"] = min(1.0, k / images)
        missed = np.ones(images)
        for place in range(min(k, texts)):  # every one of the k best is another image's
            missed *= np.clip(texts - own - place, 0, None) / (texts - place)
        found[f"retrieval/text_recall@{k}"] = float(1 - missed.mean())
    return found
