"""Explicit marginals: how much mass each point demands.

Axes: B pairs, L points of one side.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_real
from uniter_ot.batching import register_folding

__all__ = ["SUM_TOLERANCE", "check_weights"]

SUM_TOLERANCE = 1e-4
"""Weights whose sum is this close to 1 were meant to add up to 1; of half-precision weights, the rounding of 1 is."""


def check_weights(name: str, weights: Tensor, present: Tensor, *, normalised: bool) -> Tensor:
    """Weights (B, L) with 0 where absent; if `normalised`, scaled so that each row with a present entry adds up to 1.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: another shape or device, a present entry negative or not finite, a sum further from 1 than 1e-4
            or, in half precision, than the dtype's epsilon.
    """
    check_real(name, weights, "(B, L)")
    if weights.shape != present.shape:
        raise ValueError(f"{name}: expected shape {tuple(present.shape)}, got {tuple(weights.shape)}")
    if weights.device != present.device:
        raise ValueError(f"{name}: expected device {present.device}, got {weights.device}")
    checked: Tensor = _checked_weights(weights, present, name, normalised)
    return checked


# An operator of its own, because looking at values is what torch.compile and vmap cannot follow.
@torch.library.custom_op("uniter_ot::checked_weights", mutates_args=())
def _checked_weights(weights: Tensor, present: Tensor, name: str, normalised: bool) -> Tensor:
    wide = torch.float32 if weights.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    tolerance = max(SUM_TOLERANCE, torch.finfo(weights.dtype).eps)
    weights = weights.to(wide).masked_fill(~present, 0)
    bad = ~((weights >= 0) & weights.isfinite())
    if bad.any():
        pair, point = bad.nonzero()[0].tolist()
        value = weights[pair, point].item()
        raise ValueError(f"{name}: expected finite numbers of at least 0, got {value} for pair {pair}, point {point}")
    if not normalised:
        return weights
    total = weights.sum(1)
    off = ((total - 1).abs() > tolerance) & present.any(1)
    if off.any():
        pair = int(off.nonzero()[0])
        raise ValueError(
            f"{name}: expected weights that add up to 1, got a sum of {total[pair].item()} for pair {pair}"
        )
    return weights / torch.where(total > 0, total, 1)[:, None]


@_checked_weights.register_fake
def _(weights: Tensor, present: Tensor, name: str, normalised: bool) -> Tensor:
    return weights.new_empty(weights.shape, dtype=torch.float32 if weights.device.type == "mps" else torch.float64)


register_folding(_checked_weights)
