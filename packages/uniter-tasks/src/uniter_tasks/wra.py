"""Word-region alignment: the transport distance that `itm` adds to its loss. Paper, equation 3 and Algorithm 1.

As released, [CLS] and [SEP] are among the words, the plan is held fixed in the backward pass, and the distances of
mismatched pairs are subtracted.

N units, H hidden, B pairs, W words, R regions, G gold nouns.
"""

import torch
from torch import Tensor

from uniter_core import PackedBatch
from uniter_ot import TransportPlan, alignment_loss_packed, alignment_plan_packed
from uniter_tasks.gold import falls_on

__all__ = ["nouns_on_gold", "transport_distances", "transport_plan"]


def transport_distances(units: Tensor, packed: PackedBatch) -> Tensor:
    """(B,) float32 distance of each pair's words and regions; units (N, H) carry the gradient."""
    words = packed.cu_seqlens[:-1]
    return alignment_loss_packed(
        units,
        units,
        packed.text_lengths,
        packed.region_lengths,
        word_starts=words,
        region_starts=words + packed.text_lengths,
    )


@torch.no_grad()
def transport_plan(units: Tensor, packed: PackedBatch) -> TransportPlan:
    """The plans (B, W, R) themselves, of units (N, H); without gradient."""
    words = packed.cu_seqlens[:-1]
    return alignment_plan_packed(
        units,
        units,
        packed.text_lengths,
        packed.region_lengths,
        word_starts=words,
        region_starts=words + packed.text_lengths,
    )


def nouns_on_gold(plan: Tensor, nouns: Tensor) -> Tensor:
    """(G,) bool: the largest mass of a gold noun goes to its region.

    Args:
        plan: (B, W, R).
        nouns: (G, 3) int64 [pair, word, region], as `GoldLinks.nouns` gives them.
    """
    pairs, words, regions = nouns.unbind(1)
    return falls_on(plan[pairs, words], regions)
