"""Packed units as equal rows, for the one head that lets two samples look at each other.

B samples, N units, L units of the longest sample, H hidden.
"""

import torch
from torch import Tensor

from uniter_core import PackedBatch

__all__ = ["pad_samples"]


def pad_samples(units: Tensor, packed: PackedBatch) -> tuple[Tensor, Tensor]:
    """Units (N, H) → (B, L, H) with zeros behind each sample, and (B, L) bool, where a unit stands.

    Nothing waits for a GPU: sizes are known from the batch.
    """
    samples, longest = packed.num_samples, packed.max_seqlen
    lengths = packed.unit_lengths
    row = torch.arange(samples, device=units.device).repeat_interleave(lengths, output_size=len(units))
    place = torch.arange(len(units), device=units.device) - packed.cls_units[row]
    padded = units.new_zeros(samples, longest, units.shape[-1]).index_put((row, place), units)
    return padded, torch.arange(longest, device=units.device) < lengths[:, None]
