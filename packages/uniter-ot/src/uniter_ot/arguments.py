"""Checks of what a caller hands in, shared by costs, solvers and losses: errors name the argument.

Axes: B pairs, W words, R regions, H width of the compared vectors.
"""

import math

import torch
from torch import Tensor

__all__ = ["check_count", "check_mask", "check_matched_points", "check_positive", "check_real", "working_dtype"]


def check_real(name: str, value: Tensor, axes: str) -> None:
    """Demand a floating-point tensor with the named axes, for instance ``"(B, W, R)"``.

    Raises:
        TypeError: not a tensor, or integer, boolean or complex.
        ValueError: another number of dimensions.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor of shape {axes}, got {type(value).__name__}")
    if not value.is_floating_point():
        raise TypeError(f"{name}: expected a floating-point dtype, got {value.dtype}")
    if value.dim() != axes.count(",") + 1:
        raise ValueError(f"{name}: expected shape {axes}, got {tuple(value.shape)}")


def check_matched_points(words: Tensor, regions: Tensor) -> None:
    """Demand two point clouds (B, W, H) and (B, R, H) of as many pairs and of one width, on one device.

    Raises:
        TypeError: integer input.
        ValueError: shapes that do not go together, or two devices.
    """
    check_real("words", words, "(B, W, H)")
    check_real("regions", regions, "(B, R, H)")
    if words.shape[0] != regions.shape[0]:
        raise ValueError(f"regions: expected {words.shape[0]} pairs as in words, got {regions.shape[0]}")
    if words.shape[2] != regions.shape[2]:
        raise ValueError(f"regions: expected features of width {words.shape[2]} as in words, got {regions.shape[2]}")
    if words.device != regions.device:
        raise ValueError(f"regions: expected device {words.device} as words, got {regions.device}")


def check_mask(name: str, mask: Tensor | None, pairs: int, length: int, device: torch.device) -> Tensor:
    """The mask (pairs, length), or all True in its place.

    Raises:
        TypeError: not a boolean tensor.
        ValueError: another shape or device.
    """
    if mask is None:
        return torch.ones(pairs, length, dtype=torch.bool, device=device)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"{name}: expected a boolean tensor (True = real entry), got {got}")
    if mask.shape != (pairs, length):
        raise ValueError(f"{name}: expected shape {(pairs, length)}, got {tuple(mask.shape)}")
    if mask.device != device:
        raise ValueError(f"{name}: expected device {device}, got {mask.device}")
    return mask


def check_positive(name: str, value: float) -> None:
    """Demand a finite number above zero.

    Raises:
        ValueError: zero, negative, infinite or NaN.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a finite number above 0, got {value}")


def check_count(name: str, value: int) -> None:
    """Demand a whole number of at least one.

    Raises:
        TypeError: not an int.
        ValueError: below one.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """The dtype to compute in: that of the widest tensor, and never narrower than float32.

    Sums of exponentials in float16 or bfloat16 are plainly wrong; half-precision *inputs* are fine.

    Example:
        >>> working_dtype(torch.zeros(1, dtype=torch.bfloat16))
        torch.float32
    """
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype
