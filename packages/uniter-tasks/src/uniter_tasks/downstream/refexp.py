"""Referring expressions: which region does the expression mean? RefCOCO, RefCOCO+, RefCOCOg; paper, appendix A.2.

Every region's vector gets a score, and a softmax over the regions of the image makes probabilities of them. Losses:

- `mean`: cross-entropy, averaged over the expressions (paper);
- `sum`: the same, summed over a batch (released). A batch counts as one then: what a step sums over is one batch, and
  several batches of a step are averaged; so accumulate nothing with it;
- `rank`: max(0, margin + σ(score of the hardest other region) − σ(score of the right one)), averaged.

E expressions, R regions of all of them, H hidden.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from uniter_core import Example, Sample, UniterConfig, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.downstream.heads import mlp
from uniter_tasks.downstream.layout import expect, lay_out, single_pair_units
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.downstream.task import Task, annotated, target
from uniter_tasks.loss import Loss, tally

__all__ = ["REFEXP", "log_softmax_by_sample", "max_by_sample", "region_scores"]


def samples(example: Example, settings: TaskSettings, training: bool) -> list[Sample]:
    """[CLS] expression [SEP] regions; at least one region."""
    expect(example, texts=1, images=1)
    if not example.images[0].num_regions:
        raise ValueError(f"example {example.id!r}: image {example.images[0].id!r} has no region to choose from")
    return [lay_out(example, example.texts, example.images, settings.vocabulary)]


def targets(examples: Sequence[Example], settings: TaskSettings, training: bool) -> tuple[dict[str, Tensor], int]:
    """`regions` (E,) int64, row of the region meant among all regions of the batch.

    A target of −1 says that no region is the one meant: to train on it is an error, to predict it is unlabelled.
    """
    count = 1 if settings.loss == "sum" else len(examples)
    rows = annotated(examples, "target", int, training=training)
    if rows is None or (not training and min(rows) < 0):
        return {}, count
    lengths = torch.tensor([example.images[0].num_regions for example in examples])
    for example, row, length in zip(examples, rows, lengths.tolist(), strict=True):
        if not 0 <= row < length:
            raise ValueError(f"example {example.id!r}: its target is region {row} of {length}")
    return {"regions": torch.tensor(rows) + lengths.cumsum(0) - lengths}, count


def head(config: UniterConfig, settings: TaskSettings, seed: int) -> nn.Module:
    """(R, H) → (R, 1)."""
    if settings.head_layers == 1:
        return nn.Linear(config.hidden_size, 1)
    return mlp(config, inner=config.hidden_size, outputs=1)


def region_scores(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch) -> Tensor:
    """(R,) float32, of all regions of the batch."""
    regions = encoder(batch.packed)[batch.packed.region_units]
    return cast(Tensor, head(regions)).float().squeeze(-1)


def loss(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> Loss:
    """The loss, summed over the expressions. Logged: `accuracy`, the right region's score is the largest, alone."""
    meant = target(batch, "regions")
    owners, expressions = batch.packed.region_samples, batch.packed.num_samples
    found = region_scores(encoder, head, batch)
    others = found.detach().index_fill(0, meant, -torch.inf)
    if settings.loss == "rank":
        # an image of one region has no other: σ(−∞) = 0, which the margin must not turn into a loss
        hardest = max_by_sample(found.index_fill(0, meant, -torch.inf), owners, expressions)
        gap = settings.margin + hardest.sigmoid() - found[meant].sigmoid()
        losses = gap.clamp(min=0).where(hardest > -torch.inf, 0.0)
    else:
        losses = -log_softmax_by_sample(found, owners, expressions)[meant]
    right = found[meant] > max_by_sample(others, owners, expressions)
    logged = {"loss": tally(losses), "accuracy": tally(right)}
    return Loss(sum=losses.sum(), count=batch.count, logged=logged)


def scores(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> list[Tensor]:
    """The probabilities of the image's regions, for each example as many as its image has."""
    packed = batch.packed
    found = log_softmax_by_sample(region_scores(encoder, head, batch), packed.region_samples, packed.num_samples).exp()
    return list(torch.split(found.cpu(), packed.region_lengths.tolist()))


def decode(scores: Tensor, settings: TaskSettings) -> int:
    """The likeliest region's row."""
    return int(scores.argmax())


def log_softmax_by_sample(scores: Tensor, owners: Tensor, samples: int) -> Tensor:
    """(R,): log softmax of scores (R,) among those of the same owner (R,), without padding.

    >>> log_softmax_by_sample(torch.zeros(5), torch.tensor([0, 0, 1, 1, 1]), 2).exp()
    tensor([0.5000, 0.5000, 0.3333, 0.3333, 0.3333])
    """
    shifted = scores - max_by_sample(scores.detach(), owners, samples)[owners]
    total = scores.new_zeros(samples).index_add(0, owners, shifted.exp())
    return shifted - total.log()[owners]


def max_by_sample(scores: Tensor, owners: Tensor, samples: int) -> Tensor:
    """(samples,): the largest score (R,) of each owner (R,); −∞ for one that owns none."""
    return scores.new_full((samples,), -torch.inf).scatter_reduce(0, owners, scores, "amax")


REFEXP = Task(
    name="refexp",
    head_name="refexp",
    losses=("mean", "sum", "rank"),
    samples=samples,
    units=single_pair_units,
    targets=targets,
    head=head,
    loss=loss,
    scores=scores,
    decode=decode,
)
