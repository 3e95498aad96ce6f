"""The encoder's padded twin: the same parameters, every sample filled up to the longest, a mask for the attention.

What a transformer costs that does not know packed batches; and, as it shares nothing with the packed path but the
parameters and the embeddings, an oracle for it.

B samples, L units of the longest, N units, H hidden.
"""

from typing import cast

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from uniter_core import PackedBatch, UniterEncoder
from uniter_core.blocks import TransformerLayer

__all__ = ["encode_padded"]


def encode_padded(encoder: UniterEncoder, batch: PackedBatch) -> Tensor:
    """(N, H), what `encoder(batch)` gives, by way of (B, L, H)."""
    real = torch.arange(batch.max_seqlen, device=batch.token_ids.device) < batch.unit_lengths[:, None]
    units = encoder.embed(batch)[batch.gather]
    padded = units.new_zeros(*real.shape, units.shape[1])
    padded[real] = units
    for layer in encoder.layers:
        padded = _layer(cast(TransformerLayer, layer), padded, real)
    return padded[real]


def _layer(layer: TransformerLayer, units: Tensor, real: Tensor) -> Tensor:
    attention = layer.attention
    query, key, value = (
        rearrange(part(units), "b l (heads d) -> b heads l d", heads=attention.num_heads)
        for part in (attention.query, attention.key, attention.value)
    )
    dropout = attention.dropout if layer.training else 0.0
    mask = real[:, None, None, :]
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    mixed = attention.output(rearrange(attended, "b heads l d -> b l (heads d)"))
    units = layer.attention_norm(units + layer.dropout(mixed))
    return cast(Tensor, layer.feed_forward_norm(units + layer.dropout(layer.feed_forward(units))))
