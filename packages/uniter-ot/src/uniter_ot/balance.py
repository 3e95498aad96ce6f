"""Both sides' demands in float64, each adding up to 1: what statements about the exact problem have to start from.

A weight of 1/3 in float32 is off by 1e-8, and so is a sum of such weights. A bound that shall hold to 1e-9 cannot be
computed from them as they stand.

Axes: B pairs, W words, R regions, L points of either side.
"""

import torch
from torch import Tensor

from uniter_ot.weights import SUM_TOLERANCE

__all__ = ["balanced_weights", "wide_dtype"]


def wide_dtype(device: torch.device) -> torch.dtype:
    """float64, or float32 on Apple's GPUs, which have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def balanced_weights(word_weights: Tensor, region_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weights (B, W) and (B, R) in float64, both adding up to 1, or both 0 in a pair that lacks one side.

    Raises:
        ValueError: a pair whose weights on one side add up to something further from 1 than 1e-4. There is no
            transport plan with such marginals, or not the one of this problem: it is unbalanced or partial.
    """
    present = (word_weights > 0).any(1) & (region_weights > 0).any(1)
    word_weights = _normalised("word_weights", word_weights, present)
    region_weights = _normalised("region_weights", region_weights, present)
    return word_weights, region_weights


def _normalised(name: str, weights: Tensor, present: Tensor) -> Tensor:
    weights = weights.detach().to(wide_dtype(weights.device)) * present[:, None]
    total = weights.sum(1)
    off = present & ~((total - 1).abs() <= SUM_TOLERANCE)
    if off.any():
        pair = int(off.nonzero()[0])
        raise ValueError(
            f"{name}: expected a balanced problem, whose weights add up to 1 on both sides, "
            f"got a sum of {total[pair].item():.6g} for pair {pair}"
        )
    return weights / torch.where(present, total, 1)[:, None]
