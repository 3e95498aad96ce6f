"""What it costs to carry mass from a word to a region.

Axes: B pairs, W words, R regions, H width of the compared vectors.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_matched_points, check_positive, working_dtype

__all__ = ["SMALLEST_NORM", "cosine_cost", "squared_euclidean_cost"]

SMALLEST_NORM = 1e-5
"""Norms are clamped here, as in the released code."""


def cosine_cost(words: Tensor, regions: Tensor, *, eps: float = SMALLEST_NORM) -> Tensor:
    """One minus the cosine similarity (UNITER, section 3.2: the cost of word-region alignment).

    Differentiable by ordinary autograd; `alignment_loss` has the faster fused gradient.

    Args:
        words: (B, W, H) vectors of any floating dtype.
        regions: (B, R, H) vectors.
        eps: norms below this are taken to be this, so that a zero vector costs 1 against everything.

    Returns:
        (B, W, R) costs in [0, 2], float32 or wider, also under autocast.

    Raises:
        TypeError: integer input.
        ValueError: shapes that do not go together, or eps not above 0.

    Example:
        >>> import torch
        >>> cosine_cost(torch.eye(2)[None], torch.tensor([[[3.0, 0.0], [0.0, -1.0]]]))
        tensor([[[0., 1.],
                 [1., 2.]]])
    """
    check_matched_points(words, regions)
    check_positive("eps", eps)
    dtype = working_dtype(words, regions)
    with torch.autocast(words.device.type, enabled=False):
        unit_words = torch.nn.functional.normalize(words.to(dtype), dim=-1, eps=eps)
        unit_regions = torch.nn.functional.normalize(regions.to(dtype), dim=-1, eps=eps)
        return 1 - unit_words @ unit_regions.mT


def squared_euclidean_cost(words: Tensor, regions: Tensor) -> Tensor:
    """The squared Euclidean distance, ``|x|^2 + |y|^2 - 2 x.y``, clamped at zero against rounding.

    Args:
        words: (B, W, H) vectors of any floating dtype.
        regions: (B, R, H) vectors.

    Returns:
        (B, W, R) costs, float32 or wider, also under autocast.

    Raises:
        TypeError: integer input.
        ValueError: shapes that do not go together.

    Example:
        >>> import torch
        >>> squared_euclidean_cost(torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[3.0, 4.0], [1.0, 0.0]]]))
        tensor([[[25.,  1.]]])
    """
    check_matched_points(words, regions)
    dtype = working_dtype(words, regions)
    with torch.autocast(words.device.type, enabled=False):
        x, y = words.to(dtype), regions.to(dtype)
        squares = x.square().sum(-1)[:, :, None] + y.square().sum(-1)[:, None, :]
        return (squares - 2 * x @ y.mT).clamp_min(0)
