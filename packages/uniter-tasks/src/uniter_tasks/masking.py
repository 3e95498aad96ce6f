"""Hiding words and regions: which ones, and what stands in their place. Paper, section 3.2.

The draws are hashes of (key of the sample, position in the sample): a sample is masked alike whatever it is batched
with and whichever process does it.

B pairs, W words, R regions, D feature width; K masked words, M masked regions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from uniter_core import PackedBatch, Sample, uniforms, unit_keys
from uniter_tasks.batch import is_word, pack_pairs
from uniter_tasks.settings import ObjectiveSettings

__all__ = ["Corruption", "corrupt", "mask_regions", "mask_words"]

# Of the masked words 80 % become [MASK], 10 % a random word, 10 % stay (paper, footnote 7).
MASK_SHARE, RANDOM_SHARE = 0.8, 0.1


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """Pairs with hidden units.

    Attributes:
        packed: what the model sees.
        words: (K,) int64 rows of the masked words among the batch's words; ascending.
        token_ids: (K,) int64, what they were.
        regions: (M,) int64 rows of the masked regions among the batch's regions; ascending.
        features: (M, D), what they had.
    """

    packed: PackedBatch
    words: Tensor
    token_ids: Tensor
    regions: Tensor
    features: Tensor


def corrupt(samples: Sequence[Sample], settings: ObjectiveSettings, *, words: bool, regions: bool) -> Corruption:
    """Pack pairs and hide some of their words, regions, or both.

    A masked region's features are zeroed and it is marked, so that the embedder adds the mask vector; its box stays.

    Args:
        samples: B pairs; their `key` decides what is hidden.
        settings: probabilities and vocabulary.
        words, regions: which modality to hide units of; at least one unit of each pair.

    Raises:
        ValueError: a pair has no word or no region.
    """
    packed = pack_pairs(samples, settings.vocabulary)
    keys = torch.tensor([sample.key for sample in samples], dtype=torch.int64)
    word_rows = region_rows = torch.empty(0, dtype=torch.int64)
    original_ids, all_features = packed.token_ids, packed.region_features
    if words:
        masked, token_ids = mask_words(packed, keys, settings)
        word_rows = masked.nonzero().squeeze(1)
        packed = replace(packed, token_ids=token_ids)
    if regions:
        masked = mask_regions(packed, keys, settings)
        region_rows = masked.nonzero().squeeze(1)
        packed = replace(packed, region_masked=masked)
    features = all_features[region_rows]
    if len(region_rows):
        # `pack` copies only regions that do not lie together in memory already; those that do are the samples' own
        if all_features.data_ptr() == samples[0].region_features.data_ptr():
            all_features = all_features.clone()
            packed = replace(packed, region_features=all_features)
        all_features[region_rows] = 0.0
    return Corruption(
        packed=packed,
        words=word_rows,
        token_ids=original_ids[word_rows],
        regions=region_rows,
        features=features,
    )


def mask_words(packed: PackedBatch, keys: Tensor, settings: ObjectiveSettings) -> tuple[Tensor, Tensor]:
    """Choose words to mask and what replaces them; [CLS] and [SEP] are never chosen.

    Args:
        packed: B pairs, each with at least one word.
        keys: (B,) int64.
        settings: `word_probability` and the vocabulary.

    Returns:
        (W,) bool masked words, and (W,) int64 token ids with their replacements.
    """
    vocabulary, probability = settings.vocabulary, settings.word_probability
    each = unit_keys(keys, packed.text_lengths)
    draws = uniforms(each, "masked word").masked_fill(~is_word(packed.token_ids, vocabulary), math.inf)
    masked = _chosen(draws, packed.word_samples, len(keys), probability)
    # As released: a word masked only because its sentence had none always becomes [MASK].
    fate = uniforms(each, "fate of a masked word").masked_fill(draws >= probability, 0.0)
    first, end = vocabulary.random_range
    random_words = first + (uniforms(each, "random word") * (end - first)).long()
    replaced = torch.where(fate < MASK_SHARE + RANDOM_SHARE, random_words, packed.token_ids)
    replaced = replaced.masked_fill(fate < MASK_SHARE, vocabulary.mask_id)
    return masked, torch.where(masked, replaced, packed.token_ids)


def mask_regions(packed: PackedBatch, keys: Tensor, settings: ObjectiveSettings) -> Tensor:
    """Choose regions to mask.

    Args:
        packed: B pairs, each with at least one region.
        keys: (B,) int64.
        settings: `region_probability`.

    Returns:
        (R,) bool masked regions.
    """
    draws = uniforms(unit_keys(keys, packed.region_lengths), "masked region")
    return _chosen(draws, packed.region_samples, len(keys), settings.region_probability)


# ---------------------------------------------------------------------------------------------------------------------


def _chosen(draws: Tensor, samples: Tensor, num_samples: int, probability: float) -> Tensor:
    """Units whose draw is below `probability`; in a sample that has none, the one with the smallest draw.

    The smallest draw is below the probability wherever any is, so adding it changes nothing else.
    """
    smallest = draws.new_full((num_samples,), math.inf).scatter_reduce(0, samples, draws, "amin")
    return (draws < probability) | (draws == smallest[samples])
