"""Hard negatives of retrieval: of many candidates, those that the model itself finds most alike to the true pair.

All candidates are scored in evaluation mode without gradient, and the best of them make a smaller group, on which one
ordinary training step is taken. Paper, appendix A.2, "Image-Text Retrieval"; how often, and from how many, the recipe
says.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from uniter_core import Example, pack
from uniter_tasks.downstream.model import DownstreamModel
from uniter_tasks.downstream.retrieval import RETRIEVAL, match_scores
from uniter_tasks.inference import evaluating, unit_groups

__all__ = ["hard_negatives"]


def hard_negatives(model: DownstreamModel, examples: Sequence[Example], *, keep: int, units: int) -> list[Example]:
    """The groups with only their hardest negatives.

    Args:
        model: for retrieval; evaluation mode is set and taken back.
        examples: groups, as retrieval takes them, with many candidates each.
        keep: images kept of a group's other images, and texts of its other texts; fewer where there are fewer.
        units: words and regions of a batch at most.

    Returns:
        the same groups; what is kept stays in its order.

    Raises:
        ValueError: `keep` or `units` is not positive, or the model is for another task.
    """
    if model.task is not RETRIEVAL:
        raise ValueError(f"hard negatives are mined by a model for retrieval, not for {model.task.name}")
    if keep < 1:
        raise ValueError(f"keep: expected at least 1, got {keep}")
    groups = [RETRIEVAL.samples(example, model.settings, False) for example in examples]
    pairs = [sample for group in groups for sample in group]
    sizes = torch.tensor([sample.num_words + sample.num_regions for sample in pairs])
    order = sizes.argsort(stable=True)  # pairs of like size together
    scores = torch.empty(len(pairs))
    with evaluating(model) as device:
        for rows in unit_groups(sizes[order].tolist(), units):
            packed = pack([pairs[pair] for pair in order[rows].tolist()]).to(device)
            scores[order[rows]] = match_scores(model.encoder, model.head, packed).cpu()
    by_group = torch.split(scores, [len(group) for group in groups])
    return [_hardest(example, own, keep) for example, own in zip(examples, by_group, strict=True)]


def _hardest(example: Example, scores: torch.Tensor, keep: int) -> Example:
    """The example with the `keep` best of its other images and of its other texts; scores as its samples stand."""
    images, texts = len(example.images), len(example.texts)
    of_images, of_texts = scores[1:images], scores[images:]
    return replace(
        example,
        images=(example.images[0], *(example.images[1 + row] for row in _best(of_images, min(keep, images - 1)))),
        texts=(example.texts[0], *(example.texts[1 + row] for row in _best(of_texts, min(keep, texts - 1)))),
    )


def _best(scores: torch.Tensor, keep: int) -> list[int]:
    return sorted(scores.topk(keep).indices.tolist())
