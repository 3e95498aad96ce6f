"""Attention by flash kernels that take the samples' boundaries (`torch.nn.attention.varlen`): CUDA, half precision.

Axes: N units, heads, d width of a head.
"""

from typing import cast

import torch
from torch import Tensor

from uniter_core.segments import Segments

__all__ = ["attend_varlen"]


def attend_varlen(query: Tensor, key: Tensor, value: Tensor, segments: Segments, dropout: float) -> Tensor:
    """softmax(Q Kᵀ / √d) V inside each sample; arguments and result as `attend_eager`.

    Raises:
        ValueError: there is dropout, which the kernels do not know; or the units are not on CUDA, or not in half
            precision.
    """
    if dropout:
        raise ValueError(
            f"attention='varlen' has no attention dropout, the configuration asks for {dropout}: "
            "set attention_dropout=0.0 (the fast way), or choose attention='sdpa' (keeps it) "
            "or 'auto' (sdpa in training, varlen in evaluation)"
        )
    if not query.is_cuda:
        raise ValueError(
            f"attention='varlen' needs CUDA, the units are on {query.device.type}: choose attention='sdpa' or 'auto'"
        )
    if query.dtype not in (torch.float16, torch.bfloat16):
        raise ValueError(
            f"attention='varlen' computes in float16 or bfloat16, got {query.dtype}: run under autocast, "
            "or choose attention='sdpa' or 'auto'"
        )
    from torch.nn.attention.varlen import varlen_attn  # only CUDA builds of torch need have its kernels

    # The first seven arguments have kept their meaning since 2.10; what follows them moves between releases.
    boundaries, longest = segments.cu_seqlens, segments.max_seqlen
    attended = varlen_attn(query, key, value, boundaries, boundaries, longest, longest)
    return cast(Tensor, attended)  # a pair only when log-sum-exps are asked for
