"""Image-text matching: does the sentence belong to the image? With word-region alignment. Paper, equation 2.

As released: a two-way softmax on the pooled [CLS], class 1 = the pair matches, and
loss = mean cross-entropy + weight · (Σ distances of matched pairs − Σ of mismatched pairs) / B.

B pairs, G gold nouns.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import Sample, UniterEncoder
from uniter_ot import wra_loss
from uniter_tasks.batch import TaskBatch, pack_pairs
from uniter_tasks.gold import gold_links
from uniter_tasks.loss import Loss, tally
from uniter_tasks.majority import Baseline, Chance, MostFrequent
from uniter_tasks.objective import Objective
from uniter_tasks.settings import ObjectiveSettings
from uniter_tasks.wra import nouns_on_gold, transport_distances, transport_plan

__all__ = ["ITM"]


def collate(samples: Sequence[Sample], settings: ObjectiveSettings) -> TaskBatch:
    """Targets: `matched` (B,) int64, `nouns` (G, 3) int64 [pair, word, region] where the samples have gold links.

    Raises:
        ValueError: a pair has no word or no region.
    """
    packed = pack_pairs(samples, settings.vocabulary)
    targets = {"matched": torch.tensor([int(sample.matched) for sample in samples])}
    links = gold_links(samples, packed)
    if links is not None:
        targets["nouns"] = links.nouns()
    return TaskBatch(packed=packed, targets=targets, ids=tuple(sample.id for sample in samples), count=len(samples))


def loss(encoder: UniterEncoder, heads: nn.ModuleDict, batch: TaskBatch, settings: ObjectiveSettings) -> Loss:
    """Cross-entropy and weighted distances, summed over the pairs.

    Transport is solved where its weight is not 0, and always in evaluation mode, to measure it.
    """
    matched = batch.targets["matched"]
    units = encoder(batch.packed)
    logits = heads["itm"](encoder.pool(units, batch.packed)).float()
    total = F.cross_entropy(logits, matched, reduction="sum")
    logged = {"accuracy": tally(logits.argmax(-1) == matched)}
    if settings.wra_weight or not encoder.training:
        distances = transport_distances(units, batch.packed)
        total = total + settings.wra_weight * batch.count * wra_loss(distances, matched.bool())
        logged["matched_distance"] = tally(distances, matched == 1)
        logged["mismatched_distance"] = tally(distances, matched == 0)
    if "nouns" in batch.targets and not encoder.training:
        plan = transport_plan(units, batch.packed).plan
        logged["alignment_accuracy"] = tally(nouns_on_gold(plan, batch.targets["nouns"]))
    logged["loss"] = torch.stack((total.detach(), torch.full_like(total.detach(), batch.count)))
    return Loss(sum=total, count=batch.count, logged=logged)


def _chance_of_gold(batch: TaskBatch) -> Tensor:
    nouns = batch.targets.get("nouns", torch.zeros((0, 3), dtype=torch.int64))
    return 1.0 / batch.packed.region_lengths[nouns[:, 0]]


ITM = Objective(
    name="itm",
    collate=collate,
    loss=loss,
    baselines={
        "accuracy": Baseline(statistic=MostFrequent, targets=lambda batch: batch.targets["matched"]),
        "alignment_accuracy": Baseline(statistic=Chance, targets=_chance_of_gold),
    },
    mismatched=True,
)
