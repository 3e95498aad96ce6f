"""Word-region alignment: how the distances of matched and mismatched pairs become one loss.

Axes: B pairs.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_real, working_dtype

__all__ = ["wra_loss"]


def wra_loss(distances: Tensor, matched: Tensor) -> Tensor:
    """Pull matched pairs together and push mismatched ones apart: (sum of matched - sum of mismatched) / B.

    This is the released combination; the paper (section 3.2) minimises the distance of matched pairs only, which is
    ``distances[matched].mean()``. The released recipes add 0.1 times it to the image-text matching loss.

    Args:
        distances: (B,) of any floating dtype.
        matched: (B,) bool, True where text and image belong together. Either side may be empty.

    Returns:
        A scalar in float32 or wider; 0 for no pairs at all.

    Raises:
        TypeError: distances not floating or matched not boolean.
        ValueError: shapes that differ.

    Example:
        >>> import torch
        >>> wra_loss(torch.tensor([0.2, 0.9, 0.4]), torch.tensor([True, False, True]))
        tensor(-0.1000)
    """
    check_real("distances", distances, "(B)")
    if not isinstance(matched, Tensor) or matched.dtype != torch.bool:
        got = matched.dtype if isinstance(matched, Tensor) else type(matched).__name__
        raise TypeError(f"matched: expected a boolean tensor, got {got}")
    if matched.shape != distances.shape:
        raise ValueError(f"matched: expected shape {tuple(distances.shape)} as distances, got {tuple(matched.shape)}")
    distances = distances.to(working_dtype(distances))
    return torch.where(matched, distances, -distances).sum() / max(len(distances), 1)
