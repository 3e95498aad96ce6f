"""Scores of texts with images, every one with every one or some; each is embedded once, whatever it meets.

T texts, I images, P pairs to score, B pairs of a batch, W words, R regions, N units, H hidden.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uniter_core import Sample, UniterEncoder, pack
from uniter_core.segments import segment
from uniter_tasks.downstream.model import DownstreamModel
from uniter_tasks.inference import evaluating, unit_groups
from uniter_tasks.pretraining import PretrainingModel

__all__ = ["Embedded", "MatchScorer", "match_scorer", "score_block", "score_grid", "score_pairs"]

# What a head's logits (B, …) say of a match. The matching head's log-odds rank as its probability, without saturating.
HEADS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "rank": lambda logits: logits[:, 0],
    "itm": lambda logits: logits[:, 1] - logits[:, 0],
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """Texts without images, or images without texts, as they enter the first layer.

    Attributes:
        units: (N, H) on the model's device, one after another.
        lengths: (T,) or (I,) units of each.
    """

    units: Tensor
    lengths: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchScorer:
    """A model as far as it tells how well a text fits an image.

    Attributes:
        model: evaluation mode is set and taken back around each call.
        encoder: its encoder.
        head: pooled vectors (B, H) → scores (B,).
    """

    model: nn.Module
    encoder: UniterEncoder
    head: Callable[[Tensor], Tensor]

    def embed(self, samples: Sequence[Sample]) -> Embedded:
        """Samples that have only words, or only regions."""
        packed = pack(samples)
        with evaluating(self.model) as device:
            return Embedded(units=self.encoder.embed(packed.to(device)), lengths=packed.unit_lengths.numpy())


def match_scorer(model: PretrainingModel | DownstreamModel) -> MatchScorer:
    """The scorer of a model: a retrieval model by its ranking logit, a pre-trained one by the log-odds of matching.

    Raises:
        ValueError: the model has no head that says whether text and image match.
    """
    for name, score in HEADS.items():
        if name in model.heads:
            return MatchScorer(model=model, encoder=model.encoder, head=partial(_scored, model.heads[name], score))
    raise ValueError(
        f"retrieval needs one of the heads {' or '.join(HEADS)}, the model has {', '.join(model.heads)}: "
        "fine-tune it for retrieval, or take its pre-trained model"
    )


def score_block(
    scorer: MatchScorer,
    texts: Embedded,
    images: Embedded,
    *,
    units: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """Every text with every image.

    Args:
        scorer: the model.
        texts: T texts.
        images: I images.
        units: words and regions of a batch at most, or one pair where it has more.
        progress: called with batches done and their number.

    Returns:
        (T, I) float32: row = text, column = image.
    """
    shape = len(texts.lengths), len(images.lengths)
    rows, columns = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return score_pairs(scorer, texts, images, rows, columns, units=units, progress=progress).reshape(shape)


def score_pairs(
    scorer: MatchScorer,
    texts: Embedded,
    images: Embedded,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    *,
    units: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """Some texts with some images, in batches of near-constant units, pairs of like length together.

    Args:
        scorer: the model.
        texts: T texts.
        images: I images.
        rows, columns: (P,) the text and the image of each pair.
        units: words and regions of a batch at most, or one pair where it has more.
        progress: called with batches done and their number.

    Returns:
        (P,) float32.
    """
    lengths = texts.lengths[rows] + images.lengths[columns]
    order = np.argsort(lengths, kind="stable")
    groups = unit_groups(lengths[order].tolist(), units)
    with evaluating(scorer.model) as device:
        table = torch.cat([texts.units, images.units])
        scores = torch.empty(len(lengths), dtype=torch.float32, device=device)
        for done, group in enumerate(groups, start=1):
            pairs = order[group]
            places = _unit_rows(rows[pairs], columns[pairs], texts.lengths, images.lengths)
            segments = segment(lengths[pairs].tolist()).each(lambda tensor: tensor.to(device))
            first = scorer.encoder.transform_first(table.index_select(0, places.to(device)), segments)
            scores[torch.from_numpy(pairs).to(device)] = scorer.head(scorer.encoder.pool_first(first)).float()
            progress(done, len(groups))
    return cast(NDArray[np.float32], scores.cpu().numpy())


def score_grid(
    model: PretrainingModel | DownstreamModel,
    images: Sequence[Sample],
    texts: Sequence[Sample],
    *,
    units: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """How well every text fits every image, for as many as fit in memory.

    Args:
        model: see `match_scorer`; evaluation mode is set and taken back.
        images: I samples of which only the regions are used.
        texts: T samples of which only the words are used.
        units: words and regions of a batch at most.
        progress: called with batches done and their number.

    Returns:
        (T, I) float32: row = text, column = image. Rows rank images for a text (image retrieval), the transpose ranks
        texts for an image (text retrieval).
    """
    scorer = match_scorer(model)
    words, regions = scorer.embed([_words(text) for text in texts]), scorer.embed([_regions(image) for image in images])
    return score_block(scorer, words, regions, units=units, progress=progress)


# ---------------------------------------------------------------------------------------------------------------------


def _scored(head: nn.Module, score: Callable[[Tensor], Tensor], pooled: Tensor) -> Tensor:
    return score(head(pooled))


def _unit_rows(
    texts: NDArray[np.int64], images: NDArray[np.int64], words: NDArray[np.int64], regions: NDArray[np.int64]
) -> Tensor:
    """(N,) rows in [words of all texts; regions of all images] of some pairs' units, pair after pair.

    Args:
        texts, images: (B,) of each pair.
        words: (T,) of each text.
        regions: (I,) of each image.
    """
    first_words = words.cumsum() - words
    first_regions = words.sum() + regions.cumsum() - regions
    own = np.stack([words[texts], regions[images]], axis=1).ravel()  # a run of words, then one of regions
    starts = np.stack([first_words[texts], first_regions[images]], axis=1).ravel()
    shift = starts - (own.cumsum() - own)
    return torch.from_numpy(np.arange(own.sum()) + np.repeat(shift, own))


def _words(sample: Sample) -> Sample:
    return replace(
        sample,
        region_features=sample.region_features[:0],
        region_boxes=sample.region_boxes[:0],
        region_types=None,
        region_labels=None,
        gold_regions=None,
    )


def _regions(sample: Sample) -> Sample:
    return replace(sample, token_ids=sample.token_ids[:0], token_types=None, token_kinds=None, gold_regions=None)
