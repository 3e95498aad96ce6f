"""The same losses for packed points: all words of all pairs one after another, no padding, with a length a pair.

Axes: B pairs, W words, R regions, L points of one side padded, N points of one side packed, H width.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_real
from uniter_ot.cost import cosine_cost
from uniter_ot.ipot import ipot
from uniter_ot.loss import alignment_loss
from uniter_ot.plan import TransportPlan

__all__ = ["alignment_loss_packed", "alignment_plan_packed", "pad_packed"]


def pad_packed(points: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Lay packed points out with one row a pair, zeros behind the shorter ones. Differentiable.

    Args:
        points: (N, H) the points of pair 0, then of pair 1, and so on.
        lengths: (B,) integer, how many points each pair has; they add up to N. Zeros are allowed.

    Returns:
        The padded points (B, L, H), L the largest length, and the mask (B, L) bool, True = real.

    Raises:
        TypeError: points not floating or lengths not integer.
        ValueError: wrong shapes, a negative length, lengths that do not add up to N.

    Example:
        >>> import torch
        >>> padded, mask = pad_packed(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 2]))
        >>> padded[:, :, 0], mask
        (tensor([[1., 0.],
                [2., 3.]]), tensor([[ True, False],
                [ True,  True]]))
    """
    return _pad("points", points, lengths)


def alignment_loss_packed(
    words: Tensor,
    regions: Tensor,
    word_lengths: Tensor,
    region_lengths: Tensor,
    *,
    beta: float = 0.5,
    iterations: int = 50,
) -> Tensor:
    """`alignment_loss` of packed points.

    Args:
        words: (Nw, H) words of all pairs, one pair after another.
        regions: (Nr, H) regions likewise.
        word_lengths: (B,) integer, words of each pair.
        region_lengths: (B,) integer, regions of each pair.
        beta: inverse step size of `ipot`.
        iterations: proximal steps of `ipot`.

    Returns:
        (B,) distances, float32 or wider.

    Raises:
        TypeError, ValueError: as `pad_packed` and `alignment_loss`.

    Example:
        >>> import torch
        >>> words, regions = torch.eye(3)[[0, 1, 2]], torch.eye(3)[[1, 0, 0]]
        >>> alignment_loss_packed(words, regions, torch.tensor([2, 1]), torch.tensor([2, 1])).round(decimals=2)
        tensor([0., 1.])
    """
    (padded_words, word_mask), (padded_regions, region_mask) = _pad_pairs(words, regions, word_lengths, region_lengths)
    return alignment_loss(
        padded_words,
        padded_regions,
        word_mask=word_mask,
        region_mask=region_mask,
        beta=beta,
        iterations=iterations,
    )


@torch.no_grad()
def alignment_plan_packed(
    words: Tensor,
    regions: Tensor,
    word_lengths: Tensor,
    region_lengths: Tensor,
    *,
    beta: float = 0.5,
    iterations: int = 50,
) -> TransportPlan:
    """The plan behind `alignment_loss_packed`, for looking at alignments; carries no gradient.

    Arguments and errors are those of `alignment_loss_packed`; the plan is padded, (B, W, R), zeros at padding.

    Example:
        >>> import torch
        >>> words, regions = torch.eye(2), torch.eye(2)[[1, 0]]
        >>> alignment_plan_packed(words, regions, torch.tensor([2]), torch.tensor([2])).plan.argmax(2)
        tensor([[1, 0]])
    """
    (padded_words, word_mask), (padded_regions, region_mask) = _pad_pairs(words, regions, word_lengths, region_lengths)
    cost = cosine_cost(padded_words, padded_regions)
    return ipot(cost, word_mask=word_mask, region_mask=region_mask, beta=beta, iterations=iterations)


def _pad(name: str, points: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    check_real(name, points, "(N, H)")
    counts = _checked_lengths(name, lengths, len(points))
    longest = max(counts, default=0)
    mask = torch.arange(longest, device=points.device) < lengths.to(points.device)[:, None]
    # index_copy, because its gradient is a plain gather; indexing by the mask would scatter one row at a time.
    rows = points.new_zeros(len(counts) * longest, points.shape[1])
    padded = rows.index_copy(0, mask.flatten().nonzero()[:, 0], points)
    return padded.view(len(counts), longest, points.shape[1]), mask


def _checked_lengths(name: str, lengths: Tensor, total: int) -> list[int]:
    label = "lengths" if name == "points" else f"{name.removesuffix('s')}_lengths"
    if not isinstance(lengths, Tensor) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        got = lengths.dtype if isinstance(lengths, Tensor) else type(lengths).__name__
        raise TypeError(f"{label}: expected an integer tensor of shape (B,), got {got}")
    if lengths.dim() != 1:
        raise ValueError(f"{label}: expected shape (B,), got {tuple(lengths.shape)}")
    counts: list[int] = lengths.tolist()
    if min(counts, default=0) < 0:
        raise ValueError(f"{label}: expected no negative length, got {min(counts)}")
    if sum(counts) != total:
        raise ValueError(f"{label}: expected lengths that add up to the {total} rows of {name}, got {sum(counts)}")
    return counts


def _pad_pairs(
    words: Tensor, regions: Tensor, word_lengths: Tensor, region_lengths: Tensor
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Both sides padded, each with its mask, of as many pairs."""
    padded = _pad("words", words, word_lengths), _pad("regions", regions, region_lengths)
    _check_as_many(word_lengths, region_lengths)
    return padded


def _check_as_many(word_lengths: Tensor, region_lengths: Tensor) -> None:
    if len(word_lengths) != len(region_lengths):
        raise ValueError(
            f"region_lengths: expected {len(word_lengths)} pairs as in word_lengths, got {len(region_lengths)}"
        )
