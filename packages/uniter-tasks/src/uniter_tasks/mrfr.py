"""Masked region feature regression: the features of hidden regions. Paper, section 3.2, "MRFR".

The paper sums the squared errors of a region; as released, the loss is the mean over all elements, M·D of them.

M masked regions, D feature width.
"""

from collections.abc import Sequence

from torch import nn
from torch.nn import functional as F

from uniter_core import Sample, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.loss import Loss, tally
from uniter_tasks.majority import Baseline, MeanVector
from uniter_tasks.masking import corrupt
from uniter_tasks.objective import Objective
from uniter_tasks.settings import ObjectiveSettings

__all__ = ["MRFR"]


def collate(samples: Sequence[Sample], settings: ObjectiveSettings) -> TaskBatch:
    """Targets: `units` (M,) rows of the masked regions in unit order, `features` (M, D) what they were.

    Raises:
        ValueError: a pair has no word or no region.
    """
    hidden = corrupt(samples, settings, words=settings.joint, regions=True)
    return TaskBatch(
        packed=hidden.packed,
        targets={"units": hidden.packed.region_units[hidden.regions], "features": hidden.features},
        ids=tuple(sample.id for sample in samples),
        count=hidden.features.numel(),
    )


def loss(encoder: UniterEncoder, heads: nn.ModuleDict, batch: TaskBatch, settings: ObjectiveSettings) -> Loss:
    """Squared error, summed over the elements of the masked regions' features."""
    units = encoder(batch.packed)[batch.targets["units"]]
    predicted = heads["mrfr"](units, encoder.region_projection).float()
    losses = F.mse_loss(predicted, batch.targets["features"].float(), reduction="none")
    return Loss(sum=losses.sum(), count=batch.count, logged={"loss": tally(losses)})


MRFR = Objective(
    name="mrfr",
    collate=collate,
    loss=loss,
    baselines={"loss": Baseline(statistic=MeanVector, targets=lambda batch: batch.targets["features"])},
)
