"""Attention inside each sample of a packed batch: three interchangeable backends, chosen by name.

`varlen` runs flash kernels on CUDA, `sdpa` is torch's plain attention (on CPU, and wherever dropout is wanted), `eager`
is the formula written out, which also gives the attention maps. They agree in values and gradients.

Axes: N units, heads, d width of a head.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from uniter_core.attention.eager import attend_eager, attention_weights
from uniter_core.attention.sdpa import attend_first, attend_sdpa
from uniter_core.attention.varlen import attend_varlen
from uniter_core.segments import Segments

__all__ = ["BACKENDS", "Attend", "attend_auto", "attend_first", "attention_backend", "attention_weights"]

Attend = Callable[[Tensor, Tensor, Tensor, Segments, float], Tensor]
"""(query, key, value (N, heads, d), segments, dropout share) -> (N, heads, d)."""


def attend_auto(query: Tensor, key: Tensor, value: Tensor, segments: Segments, dropout: float) -> Tensor:
    """`varlen` where it can run: on CUDA, in half precision, without dropout. `sdpa` elsewhere."""
    fits = query.is_cuda and query.dtype in (torch.float16, torch.bfloat16) and not dropout
    return (attend_varlen if fits else attend_sdpa)(query, key, value, segments, dropout)


BACKENDS: dict[str, Attend] = {
    "auto": attend_auto,
    "varlen": attend_varlen,
    "sdpa": attend_sdpa,
    "eager": attend_eager,
}


def attention_backend(name: str) -> Attend:
    """The backend of this name.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in BACKENDS:
        raise ValueError(f"attention must be one of {', '.join(BACKENDS)}, got {name!r}")
    return BACKENDS[name]
