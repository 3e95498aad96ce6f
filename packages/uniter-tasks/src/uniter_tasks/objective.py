"""What a pre-training objective is: how a batch is made for it, and the loss of a batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from uniter_core import Sample, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.loss import Loss
from uniter_tasks.majority import Baseline
from uniter_tasks.settings import ObjectiveSettings

__all__ = ["Objective"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A value, not a script: the loop calls it without knowing which one it is.

    Attributes:
        name: as in `--tasks`.
        collate: makes a batch of samples: corrupts, sets the targets, packs. Runs on the CPU, in the loader's workers.
        loss: the encoder, the heads, a batch of `collate` and the settings → the loss.
        baselines: by metric, what a constant answer would reach.
        mismatched: some of its pairs are shown with another image (`ObjectiveSettings.mismatch_probability`).
        needs_labels: its samples must have `region_labels`.
        needs_distributions: these must say how likely every class is, not only which is the likeliest.
    """

    name: str
    collate: Callable[[Sequence[Sample], ObjectiveSettings], TaskBatch]
    loss: Callable[[UniterEncoder, nn.ModuleDict, TaskBatch, ObjectiveSettings], Loss]
    baselines: Mapping[str, Baseline]
    mismatched: bool = False
    needs_labels: bool = False
    needs_distributions: bool = False
