"""Hard negatives of a whole training set, mined with the model as it is: every process scores its share of the images.

Paper, appendix A.2, "Image-Text Retrieval". What was mined lies in the run's directory, a file a mining: a run that
stops in between goes on with it, and one that stops while it mines does so again, from the same weights.
"""

# T texts, I images, P pairs of a band, K hardest kept

from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import ArrayLike, NDArray

from uniter_cli.errors import RunError, UsageError
from uniter_cli.recipe import Recipe
from uniter_cli.retrieval_sources import image_samples, text_samples
from uniter_cli.run import Course
from uniter_core import key_of, unit_keys
from uniter_data import HardTable, PairDataset, RandomNegatives, ScoredPairs, candidate_pairs
from uniter_data.mining import Side
from uniter_tasks.downstream import DownstreamModel
from uniter_tasks.grid import MatchScorer, match_scorer, score_pairs, share

__all__ = ["Miner", "mine"]

WIDTH = 16  # images of a block, whose regions are read and embedded once
AT_ONCE = 4096  # pairs of a block whose texts are embedded together
BAND = 1 << 22  # pairs, about, that are in memory


class Miner:
    """Mines at the steps that a recipe says.

    Args:
        recipe: of the run.
        accelerator: whose processes share the work.
        dataset: the pairs that are trained on.
        model: unwrapped.

    Raises:
        UsageError: the data set has too few images to draw from.
    """

    def __init__(self, recipe: Recipe, accelerator: Accelerator, dataset: PairDataset, model: DownstreamModel) -> None:
        try:
            self._candidates = RandomNegatives(dataset, images=recipe.negatives.mine_images, texts=0)
        except ValueError as error:
            raise UsageError(f"negatives.mine_images: {error}") from error
        self._recipe = recipe
        self._accelerator = accelerator
        self._dataset = dataset
        self._model = model

    def table(self, step: int, course: Course) -> HardTable:
        """What holds at a step: mined now where it is a step to mine at, else read from the run's directory.

        Raises:
            RunError: the file of an earlier mining is missing or damaged.
        """
        negatives, dataset = self._recipe.negatives, self._dataset
        mined_at = step - step % negatives.mine_every
        path = course.directory.mined / f"step-{mined_at:08d}.npz"
        if mined_at == step:
            course.gather()
            table = mine(
                self._model,
                self._accelerator,
                dataset,
                self._candidates,
                keep=negatives.mine_keep,
                units=self._recipe.validation.units,
                key=key_of(self._recipe.seed, dataset.name, "mining", step),
                busy=course.busy("mining"),
            )
            if self._accelerator.is_main_process:
                table.save(path)
            return table
        try:
            return HardTable.load(path, texts=len(dataset), images=len(dataset.region_lengths))
        except ValueError as error:
            raise RunError(
                f"{error}: remove the checkpoints after step {mined_at}, and the run goes on from before it was mined"
            ) from error


def mine(
    model: DownstreamModel,
    accelerator: Accelerator,
    dataset: PairDataset,
    candidates: RandomNegatives,
    *,
    keep: int,
    units: int,
    key: int,
    busy: Callable[[int, int], None] = lambda done, total: None,
) -> HardTable:
    """Score each text with random images; the hardest of each text and of each image.

    Nothing but the model and `key` decides the table: blocks are the same however many processes share them.

    Args:
        model: unwrapped; in evaluation mode while it scores.
        accelerator: whose processes share the work.
        dataset: the pairs.
        candidates: draws the images of each text.
        keep: K, images for a text and texts for an image.
        units: words and regions of a batch.
        key: of the draws.
        busy: called with blocks done and their number, of this process.

    Returns:
        The table, on every process.
    """
    keys = unit_keys(torch.tensor([key]), torch.tensor([len(dataset)])).numpy()
    rows = np.unique(dataset.image_rows)
    blocks = share(
        [rows[left : left + WIDTH] for left in range(0, len(rows), WIDTH)],
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    scorer = match_scorer(model)
    of_texts = of_images = _pairs([], [], [])
    step = max(1, BAND * len(rows) // (candidates.width * len(dataset) * WIDTH))  # blocks of a band
    for start in range(0, len(blocks), step):
        band = blocks[start : start + step]
        texts, images = candidate_pairs(candidates, keys, first=int(band[0][0]), stop=int(band[-1][-1]) + 1)
        scores = np.empty(len(texts), dtype=np.float32)
        for done, block in enumerate(band, start=start + 1):
            part = slice(*np.searchsorted(images, [block[0], block[-1] + 1]))
            with accelerator.autocast():
                scores[part] = _score(scorer, dataset, block, texts[part], images[part], units=units)
            busy(done, len(blocks))
        found = _pairs(texts, images, scores)
        of_texts = ScoredPairs.joined([of_texts, found]).hardest("texts", keep)
        of_images = ScoredPairs.joined([of_images, found]).hardest("image_rows", keep)
    of_texts = _of_all_processes(accelerator, of_texts, "texts", keep)
    of_images = _of_all_processes(accelerator, of_images, "image_rows", keep)
    return HardTable(
        images=of_texts.table("texts", count=len(dataset), keep=keep),
        texts=of_images.table("image_rows", count=len(dataset.region_lengths), keep=keep),
    )


# ---------------------------------------------------------------------------------------------------------------------


def _pairs(texts: ArrayLike, images: ArrayLike, scores: ArrayLike) -> ScoredPairs:
    return ScoredPairs(
        texts=np.asarray(texts, dtype=np.int32),
        image_rows=np.asarray(images, dtype=np.int32),
        scores=np.asarray(scores, dtype=np.float32),
    )


def _score(
    scorer: MatchScorer,
    dataset: PairDataset,
    block: NDArray[np.int64],
    texts: NDArray[np.int64],
    images: NDArray[np.int64],
    *,
    units: int,
) -> NDArray[np.float32]:
    """(P,) scores of texts (P,) with images (P,) that are of one block."""
    regions = scorer.embed(image_samples(dataset, block))
    columns = np.searchsorted(block, images)
    scores = np.empty(len(texts), dtype=np.float32)
    for start in range(0, len(texts), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        named, places = np.unique(texts[part], return_inverse=True)
        words = scorer.embed(text_samples(dataset, named))
        scores[part] = score_pairs(scorer, words, regions, places, columns[part], units=units)
    return scores


def _of_all_processes(accelerator: Accelerator, own: ScoredPairs, side: Side, keep: int) -> ScoredPairs:
    """The hardest of all, met one process after the other, so that memory holds two shares at a time."""
    if accelerator.num_processes == 1:
        return own
    best = _pairs([], [], [])
    for rank in range(accelerator.num_processes):
        told = [own]  # what `rank` tells takes the place of what the others have in it
        torch.distributed.broadcast_object_list(told, src=rank)
        best = ScoredPairs.joined([best, *told]).hardest(side, keep)
    return best
