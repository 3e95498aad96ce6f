"""Attention by torch's `scaled_dot_product_attention`, one call for all samples of a length: no padding, no copies.

Axes: N units, S samples of one length L, heads, d width of a head.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from uniter_core.segments import Segments

__all__ = ["attend_first", "attend_sdpa"]


def attend_sdpa(query: Tensor, key: Tensor, value: Tensor, segments: Segments, dropout: float) -> Tensor:
    """softmax(Q Kᵀ / √d) V inside each sample; arguments and result as `attend_eager`."""
    kernel = _kernel(query)
    sizes = [samples * length for samples, length in segments.groups]
    parts = []
    for group, *qkv in zip(
        segments.groups, *(torch.split(tensor, sizes) for tensor in (query, key, value)), strict=True
    ):
        # (S L) heads d -> S heads L d; written without einops, whose overhead would be a third of a short group's time
        q, k, v = (tensor.unflatten(0, group).transpose(1, 2) for tensor in qkv)
        parts.append(kernel(q, k, v, dropout_p=dropout).transpose(1, 2).flatten(0, 1))
    return torch.cat(parts)


def attend_first(query: Tensor, key: Tensor, value: Tensor, segments: Segments, dropout: float) -> Tensor:
    """What the first unit of each sample sees: query and result (B, heads, d) in the order of the segments."""
    kernel = _kernel(query)
    samples = [count for count, _ in segments.groups]
    sizes = [count * length for count, length in segments.groups]
    parts = []
    for group, q, k, v in zip(
        segments.groups, torch.split(query, samples), torch.split(key, sizes), torch.split(value, sizes), strict=True
    ):
        k, v = (tensor.view(*group, *tensor.shape[1:]).transpose(1, 2) for tensor in (k, v))
        parts.append(kernel(q.unsqueeze(2), k, v, dropout_p=dropout).squeeze(2))
    return torch.cat(parts)


def _kernel(query: Tensor) -> Callable[..., Tensor]:
    # In half precision torch's CPU kernel takes 2.5 times as long, forward and backward, as the formula written out.
    plain = query.device.type == "cpu" and query.dtype != torch.float32
    return _attend_plain if plain else functional.scaled_dot_product_attention


def _attend_plain(query: Tensor, key: Tensor, value: Tensor, *, dropout_p: float) -> Tensor:
    weights = (query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)).softmax(-1)
    if dropout_p:
        weights = functional.dropout(weights, dropout_p)
    attended: Tensor = weights @ value
    return attended
