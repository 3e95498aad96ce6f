"""Masked region classification with soft labels: KL divergence. Paper, section 3.2, "MRC-kl".

The paper sums over classes; as released, the loss is the mean over all elements, M·C of them: 1/C of a region's KL.
The background (class 0) is a class like any other here.

M masked regions, C classes.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn
from torch.nn import functional as F

from uniter_core import Sample, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.loss import Loss, tally
from uniter_tasks.mrc import CLASS_BASELINES, class_accuracies, collate_labels
from uniter_tasks.objective import Objective
from uniter_tasks.settings import ObjectiveSettings

__all__ = ["MRC_KL"]


def collate(samples: Sequence[Sample], settings: ObjectiveSettings) -> TaskBatch:
    """The targets of `mrc`; every class of a region counts.

    Raises:
        ValueError: a pair has no word, no region or no soft labels.
    """
    batch = collate_labels(samples, settings)
    return replace(batch, count=batch.targets["labels"].numel())


def loss(encoder: UniterEncoder, heads: nn.ModuleDict, batch: TaskBatch, settings: ObjectiveSettings) -> Loss:
    """p (log p - log q), 0 where p = 0, summed over classes and masked regions."""
    units = encoder(batch.packed)[batch.targets["units"]]
    logits = heads["mrc"](units).float()
    losses = F.kl_div(F.log_softmax(logits, dim=-1), batch.targets["labels"].float(), reduction="none")
    return Loss(
        sum=losses.sum(),
        count=batch.count,
        logged={"loss": tally(losses), **class_accuracies(logits, batch)},
    )


MRC_KL = Objective(
    name="mrc-kl",
    collate=collate,
    loss=loss,
    baselines=CLASS_BASELINES,
    needs_labels=True,
    needs_distributions=True,
)
