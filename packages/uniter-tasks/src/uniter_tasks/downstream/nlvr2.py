"""NLVR²: is a sentence true of two images? Three ways to show them both. Paper, appendix A.2, "NLVR²".

- `triplet`: text, left and right regions in one sample; one linear layer on the pooled [CLS].
- `pair`: the text with the left image and the text with the right one; a linear layer on both pooled [CLS].
- `pair-biattn`: the same two samples attend to each other before they are pooled (`biattention.py`).

Regions of the left image have type 1, of the right image type 2; row 2 of the type table starts as a copy of row 1.

E examples, N units, H hidden.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import Example, PackedBatch, Sample, UniterConfig, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.downstream.biattention import BiattentionHead
from uniter_tasks.downstream.layout import expect, lay_out
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.downstream.task import Task, annotated, target
from uniter_tasks.loss import Loss, tally

__all__ = ["NLVR2", "PooledHead"]

SETTINGS = ("pair-biattn", "pair", "triplet")
LEFT, RIGHT = 1, 2


class PooledHead(nn.Module):
    """W [pooled of the first sample; of the second …] + b."""

    def __init__(self, config: UniterConfig, *, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.output = nn.Linear(samples * config.hidden_size, 2)

    def forward(self, encoder: UniterEncoder, packed: PackedBatch) -> Tensor:
        """(E, 2), row 1 = the sentence is true."""
        pooled = encoder.pool(encoder(packed), packed)
        logits: Tensor = self.output(rearrange(pooled, "(e samples) h -> e (samples h)", samples=self.samples))
        return logits


def samples(example: Example, settings: TaskSettings, training: bool) -> list[Sample]:
    """One sample in `triplet`, otherwise one of the left and one of the right image."""
    expect(example, texts=1, images=2)
    left, right = example.images
    shown = (
        [((left, right), (LEFT, RIGHT))]
        if settings.setting == "triplet"
        else [((left,), (LEFT,)), ((right,), (RIGHT,))]
    )
    return [lay_out(example, example.texts, images, settings.vocabulary, region_types=types) for images, types in shown]


def units(text_lengths: Tensor, region_lengths: Tensor, settings: TaskSettings, training: bool) -> Tensor:
    """(E,): the text, [CLS] and [SEP] once or twice, and both images' regions."""
    texts = 1 if settings.setting == "triplet" else 2
    return texts * (text_lengths.sum(1) + 2) + region_lengths.sum(1)


def targets(examples: Sequence[Example], settings: TaskSettings, training: bool) -> tuple[dict[str, Tensor], int]:
    """`labels` (E,) int64, 1 = the sentence is true."""
    labels = annotated(examples, "label", bool, training=training)
    return ({} if labels is None else {"labels": torch.tensor(labels, dtype=torch.int64)}), len(examples)


def head(config: UniterConfig, settings: TaskSettings, seed: int) -> nn.Module:
    """The head of the setting: (encoder, packed batch) → (E, 2)."""
    if settings.setting == "pair-biattn":
        return BiattentionHead(config, seed=seed)
    return PooledHead(config, samples=1 if settings.setting == "triplet" else 2)


def loss(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> Loss:
    """Cross-entropy, summed over the examples."""
    labels = target(batch, "labels")
    logits = head(encoder, batch.packed).float()
    losses = F.cross_entropy(logits, labels, reduction="none")
    logged = {"loss": tally(losses), "accuracy": tally(logits.argmax(1) == labels)}
    return Loss(sum=losses.sum(), count=batch.count, logged=logged)


def scores(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> list[Tensor]:
    """(2,) for each example: the probabilities of false and true."""
    return list(head(encoder, batch.packed).float().softmax(1).cpu())


def decode(scores: Tensor, settings: TaskSettings) -> bool:
    """Whether the sentence is true."""
    return bool(scores.argmax() == 1)


NLVR2 = Task(
    name="nlvr2",
    head_name="nlvr2",
    settings=SETTINGS,
    type_sources=(0, 1, 1),
    samples=samples,
    units=units,
    targets=targets,
    head=head,
    loss=loss,
    scores=scores,
    decode=decode,
)
