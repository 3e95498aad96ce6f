"""Hard negatives of retrieval: of many candidates, those that the model itself finds most alike to the true pair.

A pool is a batch of groups with many candidates each. All are scored in evaluation mode without gradient, and the best
of them make smaller groups, on which one ordinary training pass is taken. Paper, appendix A.2, "Image-Text Retrieval";
how often, and from how many, the recipe says.

S samples, G groups, M negatives.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from uniter_core import Example
from uniter_tasks.batch import TaskBatch

__all__ = ["HARD", "hinges", "keep_hardest", "pool_of"]

HARD = "retrieval-hard"
"""The objective that trains on the hardest of its batch."""


def pool_of(batch: TaskBatch, examples: Sequence[Example], *, keep: int) -> TaskBatch:
    """The batch of some groups as one of which a model keeps the hardest negatives.

    Args:
        batch: what retrieval made of the groups, S samples.
        examples: the G groups.
        keep: images kept of a group's other images, and texts of its other texts; fewer where there are fewer.

    Returns:
        The batch with the targets `images` and `keep` (G, 2): other images of each group, and how many other images
        and texts of it are kept. It counts what is kept.

    Raises:
        ValueError: `keep` is not positive.

    """
    if keep < 1:
        raise ValueError(f"keep: expected at least 1, got {keep}")
    others = torch.tensor([[len(example.images) - 1, len(example.texts) - 1] for example in examples])
    kept = others.clamp(max=keep)
    return replace(batch, targets={"images": others[:, 0], "keep": kept}, count=int(kept.sum()))


def keep_hardest(batch: TaskBatch, scores: Tensor) -> TaskBatch:
    """The groups of a pool with their hardest negatives alone; what is kept stays in its order.

    Args:
        batch: as `pool_of` made it.
        scores: (S,) of its samples, on the CPU.
    """
    chosen: list[int] = []
    sizes: list[int] = []
    first = 0
    counts = zip(batch.pairs, batch.targets["images"].tolist(), batch.targets["keep"].tolist(), strict=True)
    for size, images, (keep_images, keep_texts) in counts:
        of_texts = first + 1 + images
        kept = _best(scores, first + 1, of_texts, keep_images) + _best(scores, of_texts, first + size, keep_texts)
        chosen += [first, *kept]
        sizes.append(1 + len(kept))
        first += size
    positives, negatives = (each.to(batch.packed.token_ids.device) for each in hinges(torch.tensor(sizes)))
    return replace(
        batch,
        packed=batch.packed.select(chosen),
        targets={"positives": positives, "negatives": negatives},
        pairs=tuple(sizes),
    )


def hinges(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Positives and negatives (M,) int64: the two samples of a batch that each hinge compares.

    Args:
        sizes: (G,) samples of each group, its positive first.

    >>> [each.tolist() for each in hinges(torch.tensor([3, 2]))]
    [[0, 0, 3], [1, 2, 4]]
    """
    first = sizes.cumsum(0) - sizes
    is_negative = torch.ones(int(sizes.sum()), dtype=torch.bool).index_fill(0, first, False)
    return first.repeat_interleave(sizes - 1), is_negative.nonzero().squeeze(1)


# ---------------------------------------------------------------------------------------------------------------------


def _best(scores: Tensor, start: int, stop: int, keep: int) -> list[int]:
    return sorted((start + scores[start:stop].topk(keep).indices).tolist())
