"""Image-text retrieval: a pair scores higher than the same text with other images, the same image with other texts.

An example is a group: texts[0] and images[0] belong together, the other images are negatives of that text, the other
texts negatives of that image. The score is logit 1 of image-text matching, from which fine-tuning starts; the loss
max(0, margin + σ(negative) − σ(positive)), averaged over the negatives. Paper, appendix A.2, "Image-Text Retrieval".

S samples, M negatives, H hidden.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from uniter_core import Example, ImageRegions, PackedBatch, Sample, UniterConfig, UniterEncoder, Vocabulary
from uniter_tasks.batch import TaskBatch
from uniter_tasks.downstream.hard_negatives import HARD, hinges, keep_hardest
from uniter_tasks.downstream.layout import lay_out
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.downstream.task import Task, target
from uniter_tasks.inference import unit_groups
from uniter_tasks.loss import Loss, tally

__all__ = ["RETRIEVAL", "group", "match_scores"]


def group(
    positive: Sample, *, images: Sequence[Sample] = (), texts: Sequence[Sample] = (), vocabulary: Vocabulary
) -> Example:
    """A group of a data set's pairs.

    Args:
        positive: a text with its image.
        images: samples whose regions are negatives of the text.
        texts: samples whose words are negatives of the image.
        vocabulary: whose [CLS] and [SEP] the samples have.

    Raises:
        ValueError: a text does not stand between [CLS] and [SEP].
    """
    return Example(
        id=positive.id,
        texts=tuple(_words(sample, vocabulary) for sample in (positive, *texts)),
        images=tuple(
            ImageRegions(features=sample.region_features, boxes=sample.region_boxes, id=sample.id)
            for sample in (positive, *images)
        ),
        key=positive.key,
    )


def samples(example: Example, settings: TaskSettings, training: bool) -> list[Sample]:
    """The positive, its text with the other images, its image with the other texts."""
    if not example.texts or not example.images or (training and len(example.texts) + len(example.images) < 3):
        raise ValueError(
            f"example {example.id!r}: expected a text, an image and at least one other text or image, "
            f"got {len(example.texts)} and {len(example.images)}"
        )
    pairs = [(example.texts[0], image) for image in example.images]
    pairs += [(text, example.images[0]) for text in example.texts[1:]]
    return [lay_out(example, [text], [image], settings.vocabulary) for text, image in pairs]


def units(text_lengths: Tensor, region_lengths: Tensor, settings: TaskSettings, training: bool) -> Tensor:
    """(E,), from the lengths of every group's texts (E, T) and images (E, I)."""
    of_images = (text_lengths[:, :1] + 2 + region_lengths).sum(1)
    return of_images + (text_lengths[:, 1:] + 2 + region_lengths[:, :1]).sum(1)


def targets(examples: Sequence[Example], settings: TaskSettings, training: bool) -> tuple[dict[str, Tensor], int]:
    """`positives` and `negatives` (M,) int64: the two samples of the batch that each hinge compares."""
    sizes = torch.tensor([len(example.texts) + len(example.images) - 1 for example in examples])
    positives, negatives = hinges(sizes)
    if not len(negatives):
        return {}, 1
    return {"positives": positives, "negatives": negatives}, len(negatives)


def head(config: UniterConfig, settings: TaskSettings, seed: int) -> nn.Module:
    """(S, H) → (S, 1)."""
    return nn.Linear(config.hidden_size, 1)


def match_scores(encoder: UniterEncoder, head: nn.Module, packed: PackedBatch) -> Tensor:
    """(S,) float32: how well text and image of each sample fit, before the sigmoid."""
    found: Tensor = head(encoder.pool(encoder(packed), packed))
    return found.float().squeeze(-1)


def loss(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> Loss:
    """Hinges, summed over the negatives. Logged: `accuracy`, the share of negatives that score below their positive."""
    positives, negatives = target(batch, "positives"), target(batch, "negatives")
    found = match_scores(encoder, head, batch.packed).sigmoid()
    losses = (settings.margin + found[negatives] - found[positives]).clamp(min=0)
    logged = {"loss": tally(losses), "accuracy": tally(found[negatives] < found[positives])}
    return Loss(sum=losses.sum(), count=batch.count, logged=logged)


def narrow(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> TaskBatch:
    """The hardest of a pool, scored in batches of as many units as will be trained on."""
    packed = batch.packed
    at_once = packed.num_units * (batch.count + len(batch.ids)) // packed.num_samples + 1
    found = torch.empty(packed.num_samples, device=packed.token_ids.device)
    for rows in unit_groups(packed.segments.lengths, at_once):  # pairs of like size together
        samples = list(packed.segments.samples[rows])
        found[samples] = match_scores(encoder, head, packed.select(samples))
    return keep_hardest(batch, found.cpu())


def scores(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> list[Tensor]:
    """The probability of a match for every pair of each group, the positive first."""
    return list(torch.split(match_scores(encoder, head, batch.packed).sigmoid().cpu(), list(batch.pairs)))


def decode(scores: Tensor, settings: TaskSettings) -> int:
    """The place of the best pair in its group; 0 is the positive."""
    return int(scores.argmax())


def adopt(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Row 1 of the matching head of pre-training, or a retrieval model's own head."""
    if "heads.rank.weight" in tensors:
        return {name: tensors[f"heads.rank.{name}"] for name in ("weight", "bias")}
    if "heads.itm.weight" in tensors:
        return {name: tensors[f"heads.itm.{name}"][1:] for name in ("weight", "bias")}
    return {}


RETRIEVAL = Task(
    name="retrieval",
    head_name="rank",
    samples=samples,
    units=units,
    targets=targets,
    head=head,
    loss=loss,
    scores=scores,
    decode=decode,
    adopt=adopt,
    narrowings={HARD: narrow},
)

# ---------------------------------------------------------------------------------------------------------------------


def _words(sample: Sample, vocabulary: Vocabulary) -> Tensor:
    ids = sample.token_ids
    if len(ids) < 2 or int(ids[0]) != vocabulary.cls_id or int(ids[-1]) != vocabulary.sep_id:
        raise ValueError(f"text {sample.id!r} does not stand between [CLS] and [SEP]")
    return ids[1:-1]
