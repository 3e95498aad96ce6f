"""Visual entailment: does the image entail the sentence, contradict it, or neither? SNLI-VE; paper, appendix A.2.

As released, each class has a sigmoid of its own, and the loss is the binary cross-entropy summed over the classes; the
paper's cross-entropy is the loss `softmax`.

E examples, H hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import Example, UniterConfig, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.downstream.heads import mlp
from uniter_tasks.downstream.layout import single_pair_units
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.downstream.task import Task, annotated, target
from uniter_tasks.downstream.vqa import logits, samples
from uniter_tasks.loss import Loss, tally

__all__ = ["CLASSES", "SNLI_VE"]

CLASSES = ("contradiction", "entailment", "neutral")  # rows of the released classifier


def targets(examples: Sequence[Example], settings: TaskSettings, training: bool) -> tuple[dict[str, Tensor], int]:
    """`labels` (E,) int64, rows of CLASSES."""
    labels = annotated(examples, "label", str, training=training)
    if labels is None:
        return {}, len(examples)
    for example, label in zip(examples, labels, strict=True):
        if label not in CLASSES:
            raise ValueError(f"example {example.id!r}: label {label!r} is none of {', '.join(CLASSES)}")
    return {"labels": torch.tensor([CLASSES.index(label) for label in labels])}, len(examples)


def head(config: UniterConfig, settings: TaskSettings, seed: int) -> nn.Module:
    """(E, H) → (E, 3)."""
    return mlp(config, inner=2 * config.hidden_size, outputs=len(CLASSES))


def loss(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> Loss:
    """Cross-entropy, binary and summed over the classes or of their softmax, summed over the examples."""
    labels = target(batch, "labels")
    scores = logits(encoder, head, batch)
    if settings.loss == "softmax":
        losses = F.cross_entropy(scores, labels, reduction="none")
    else:
        one_hot = F.one_hot(labels, len(CLASSES)).float()
        losses = F.binary_cross_entropy_with_logits(scores, one_hot, reduction="none").sum(1)
    logged = {"loss": tally(losses), "accuracy": tally(scores.argmax(1) == labels)}
    return Loss(sum=losses.sum(), count=batch.count, logged=logged)


def scores(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> list[Tensor]:
    """(3,) for each example, in the order of CLASSES: the softmax, or the sigmoids divided by their sum."""
    found = logits(encoder, head, batch)
    if settings.loss == "softmax":
        return list(found.softmax(1).cpu())
    # σ(z) = exp(log σ(z)): dividing by the sum is the softmax of log σ, which survives three tiny sigmoids
    return list(F.logsigmoid(found).softmax(1).cpu())


def decode(scores: Tensor, settings: TaskSettings) -> str:
    """The likeliest class."""
    return CLASSES[int(scores.argmax())]


SNLI_VE = Task(
    name="snli-ve",
    head_name="vqa",
    losses=("sigmoid", "softmax"),
    samples=samples,
    units=single_pair_units,
    targets=targets,
    head=head,
    loss=loss,
    scores=scores,
    decode=decode,
)
