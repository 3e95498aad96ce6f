"""Masked language modelling: the hidden words from the other words and the regions. Paper, equation 1.

K masked words, H hidden, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import Sample, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.gold import word_kinds
from uniter_tasks.loss import Loss, tally
from uniter_tasks.majority import Baseline, MostFrequent
from uniter_tasks.masking import corrupt
from uniter_tasks.objective import Objective
from uniter_tasks.settings import ObjectiveSettings

__all__ = ["MLM"]


def collate(samples: Sequence[Sample], settings: ObjectiveSettings) -> TaskBatch:
    """Targets: `units` (K,) rows of the masked words in unit order, `words` (K,) what they were, `content` (K,) bool
    where the samples tell the kinds of their words.

    Raises:
        ValueError: a pair has no word or no region.
    """
    hidden = corrupt(samples, settings, words=True, regions=settings.joint)
    targets = {
        "units": hidden.packed.word_units[hidden.words],
        "words": hidden.token_ids,
    }
    kinds = word_kinds(samples, hidden.packed)
    if kinds is not None:
        targets["content"] = kinds[hidden.words] > 0
    return TaskBatch(
        packed=hidden.packed,
        targets=targets,
        ids=tuple(sample.id for sample in samples),
        count=len(hidden.words),
    )


def loss(encoder: UniterEncoder, heads: nn.ModuleDict, batch: TaskBatch, settings: ObjectiveSettings) -> Loss:
    """Cross-entropy, summed over the masked words; vocabulary logits are computed for them alone."""
    words = batch.targets["words"]
    units = encoder(batch.packed)[batch.targets["units"]]
    logits = heads["mlm"](units, encoder.word_table).float()
    losses = F.cross_entropy(logits, words, reduction="none")
    right = logits.argmax(-1) == words
    logged = {"loss": tally(losses), "accuracy": tally(right)}
    if "content" in batch.targets:
        logged["content_accuracy"] = tally(right, batch.targets["content"])
    return Loss(sum=losses.sum(), count=batch.count, logged=logged)


def _content_words(batch: TaskBatch) -> Tensor:
    words = batch.targets["words"]
    return words[batch.targets.get("content", torch.zeros_like(words, dtype=torch.bool))]


MLM = Objective(
    name="mlm",
    collate=collate,
    loss=loss,
    baselines={
        "accuracy": Baseline(statistic=MostFrequent, targets=lambda batch: batch.targets["words"]),
        "content_accuracy": Baseline(statistic=MostFrequent, targets=_content_words),
    },
)
