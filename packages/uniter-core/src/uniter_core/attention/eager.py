"""Attention as the formula has it, sample by sample: the reference, and the source of attention maps.

Axes: N units, L units of one sample, heads, d width of a head.
"""

import torch
from torch import Tensor
from torch.nn import functional

from uniter_core.segments import Segments

__all__ = ["attend_eager", "attention_weights"]


def attention_weights(query: Tensor, key: Tensor, segments: Segments) -> list[Tensor]:
    """softmax(Q Kᵀ / √d) of each sample, in the order of `segments`: a list of (heads, L, L), rows add up to 1.

    Vaswani et al. (2017), equation 1.
    """
    scale = query.shape[-1] ** -0.5
    lengths = list(segments.lengths)
    pairs = zip(torch.split(query, lengths), torch.split(key, lengths), strict=True)
    return [torch.einsum("qhd,khd->hqk", q * scale, k).softmax(-1) for q, k in pairs]


def attend_eager(query: Tensor, key: Tensor, value: Tensor, segments: Segments, dropout: float) -> Tensor:
    """softmax(Q Kᵀ / √d) V inside each sample.

    Args:
        query, key, value: (N, heads, d).
        segments: where the samples lie.
        dropout: share of the weights set to zero, the others scaled up.

    Returns:
        (N, heads, d).
    """
    weights = attention_weights(query, key, segments)
    if dropout:
        weights = [functional.dropout(weight, dropout) for weight in weights]
    values = torch.split(value, list(segments.lengths))
    return torch.cat([torch.einsum("hqk,khd->qhd", w, v) for w, v in zip(weights, values, strict=True)])
