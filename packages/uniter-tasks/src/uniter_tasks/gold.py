"""Gold links between words and regions, where the data have them: what alignment is measured against.

B pairs, W words, R regions, L links.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uniter_core import PackedBatch, Sample

__all__ = ["NOUN", "GoldLinks", "falls_on", "gold_links", "word_kinds"]

NOUN = 1  # Sample.token_kinds: 0 function word, 1 noun, 2 other content word


@dataclass(frozen=True, kw_only=True)
class GoldLinks:
    """Words that name a region of the image they are shown with; all (L,) int64.

    Attributes:
        samples: number of the pair in the batch.
        words: position of the word (its first piece) in the pair.
        regions: position of the region in the pair.
        kinds: kind of the word, as in `Sample.token_kinds`.
    """

    samples: Tensor
    words: Tensor
    regions: Tensor
    kinds: Tensor

    def nouns(self) -> Tensor:
        """(G, 3) int64 [pair, word, region] of the links of nouns."""
        return torch.stack((self.samples, self.words, self.regions), dim=1)[self.kinds == NOUN]

    def mentioned(self, packed: PackedBatch) -> Tensor:
        """(R,) bool: the regions of the batch that a word of their sentence names."""
        flags = torch.zeros(len(packed.region_features), dtype=torch.bool)
        flags[_starts(packed.region_lengths)[self.samples] + self.regions] = True
        return flags


def gold_links(samples: Sequence[Sample], packed: PackedBatch) -> GoldLinks | None:
    """The links of matched pairs; None where no pair of the batch has any annotation.

    Args:
        samples: B pairs.
        packed: the same pairs, packed, on the CPU.
    """
    annotated = [sample.gold_regions if sample.matched else None for sample in samples]
    gold = _flat(annotated, packed.text_lengths, missing=-1)
    if gold is None:
        return None
    kinds = word_kinds(samples, packed)
    rows = (gold >= 0).nonzero().squeeze(1)
    of = packed.word_samples[rows]
    return GoldLinks(
        samples=of,
        words=rows - _starts(packed.text_lengths)[of],
        regions=gold[rows],
        kinds=torch.zeros_like(rows) if kinds is None else kinds[rows],
    )


def word_kinds(samples: Sequence[Sample], packed: PackedBatch) -> Tensor | None:
    """(W,) int64 kinds of the batch's words (0 where a pair has none); None where no pair has any."""
    return _flat([sample.token_kinds for sample in samples], packed.text_lengths, missing=0)


def falls_on(mass: Tensor, regions: Tensor) -> Tensor:
    """Whether the largest mass falls on the given region; a tie is not a hit.

    Args:
        mass: (..., R) attention or transported mass.
        regions: (...,) int64.

    Returns:
        (...,) bool.

    >>> falls_on(torch.tensor([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]), torch.tensor([1, 0]))
    tensor([ True, False])
    """
    own = mass.gather(-1, regions.unsqueeze(-1))
    return (mass >= own).sum(-1) == 1


# ---------------------------------------------------------------------------------------------------------------------


def _flat(parts: Sequence[Tensor | None], lengths: Tensor, *, missing: int) -> Tensor | None:
    if all(part is None for part in parts):
        return None
    pairs = zip(parts, lengths.tolist(), strict=True)
    return torch.cat([torch.full((length,), missing) if part is None else part for part, length in pairs])


def _starts(lengths: Tensor) -> Tensor:
    """Row at which each pair begins."""
    return lengths.cumsum(0) - lengths
