"""Masked region classification: the likeliest object class of hidden regions. Paper, section 3.2, "MRC".

As released, the background (class 0) is never the target, though it stays in the softmax.

M masked regions, C classes.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import Sample, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.gold import gold_links
from uniter_tasks.loss import Loss, tally
from uniter_tasks.majority import Baseline, MostFrequent
from uniter_tasks.masking import Corruption, corrupt
from uniter_tasks.objective import Objective
from uniter_tasks.settings import ObjectiveSettings

__all__ = ["CLASS_BASELINES", "MRC", "class_accuracies", "collate_labels", "likeliest_object"]


def collate_labels(samples: Sequence[Sample], settings: ObjectiveSettings) -> TaskBatch:
    """Targets: `units` (M,) rows of the masked regions in unit order, `labels` (M, C) their soft labels, `classes` (M,)
    the likeliest object class, `mentioned` (M,) bool (named by a word) where the samples have gold links.

    Raises:
        ValueError: a pair has no word, no region or no soft labels.
    """
    hidden = corrupt(samples, settings, words=settings.joint, regions=True)
    labels = _labels(samples, hidden)
    targets = {
        "units": hidden.packed.region_units[hidden.regions],
        "labels": labels,
        "classes": likeliest_object(labels),
    }
    links = gold_links(samples, hidden.packed)
    if links is not None:
        targets["mentioned"] = links.mentioned(hidden.packed)[hidden.regions]
    return TaskBatch(
        packed=hidden.packed,
        targets=targets,
        ids=tuple(sample.id for sample in samples),
        count=len(labels),
    )


def likeliest_object(labels: Tensor) -> Tensor:
    """(M,) int64 class of the largest probability, the background (class 0) left out; of soft labels (M, C).

    >>> likeliest_object(torch.tensor([[0.8, 0.05, 0.15], [0.1, 0.6, 0.3]]))
    tensor([2, 1])
    """
    return 1 + labels[:, 1:].float().argmax(-1)  # half precision searches six times slower


def class_accuracies(logits: Tensor, batch: TaskBatch) -> dict[str, Tensor]:
    """Sums for the log: how often the class of the largest logit (M, C) is the likeliest object."""
    right = logits.argmax(-1) == batch.targets["classes"]
    logged = {"accuracy": tally(right)}
    if "mentioned" in batch.targets:
        logged["mentioned_accuracy"] = tally(right, batch.targets["mentioned"])
    return logged


def loss(encoder: UniterEncoder, heads: nn.ModuleDict, batch: TaskBatch, settings: ObjectiveSettings) -> Loss:
    """Cross-entropy, summed over the masked regions."""
    units = encoder(batch.packed)[batch.targets["units"]]
    logits = heads["mrc"](units).float()
    losses = F.cross_entropy(logits, batch.targets["classes"], reduction="none")
    return Loss(
        sum=losses.sum(),
        count=batch.count,
        logged={"loss": tally(losses), **class_accuracies(logits, batch)},
    )


# ---------------------------------------------------------------------------------------------------------------------


def _labels(samples: Sequence[Sample], hidden: Corruption) -> Tensor:
    """(M, C) soft labels of the masked regions; taken pair by pair, for the labels of all regions are large."""
    for sample in samples:
        if sample.region_labels is None:
            raise ValueError(f"pair {sample.id!r} has no region_labels: mrc and mrc-kl need soft labels")
    masked = torch.split(hidden.packed.region_masked, hidden.packed.region_lengths.tolist())
    return torch.cat([cast(Tensor, sample.region_labels)[rows] for sample, rows in zip(samples, masked, strict=True)])


def _mentioned_classes(batch: TaskBatch) -> Tensor:
    classes = batch.targets["classes"]
    return classes[batch.targets.get("mentioned", torch.zeros_like(classes, dtype=torch.bool))]


CLASS_BASELINES = {
    "accuracy": Baseline(statistic=MostFrequent, targets=lambda batch: batch.targets["classes"]),
    "mentioned_accuracy": Baseline(statistic=MostFrequent, targets=_mentioned_classes),
}

MRC = Objective(name="mrc", collate=collate_labels, loss=loss, baselines=CLASS_BASELINES, needs_labels=True)
