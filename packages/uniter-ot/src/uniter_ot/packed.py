"""The same losses for packed points: all points of all pairs in one matrix, no padding, with a length a pair.

Axes: B pairs, W words, R regions, L points of one side padded, N points of one side packed, H width.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_matched_points, check_real
from uniter_ot.batching import register_folding
from uniter_ot.cosine_transport import cosine_transport
from uniter_ot.cost import cosine_cost
from uniter_ot.ipot import ipot
from uniter_ot.loss import alignment_steps
from uniter_ot.plan import TransportPlan
from uniter_ot.problem import demands
from uniter_ot.runs import Runs

__all__ = ["alignment_loss_packed", "alignment_plan_packed", "pad_packed"]


def pad_packed(
    points: Tensor, lengths: Tensor, *, starts: Tensor | None = None, longest: int | None = None
) -> tuple[Tensor, Tensor]:
    """Lay packed points out with one row a pair, zeros behind the shorter ones. Differentiable.

    Args:
        points: (N, H) the points of pair 0, then of pair 1, and so on.
        lengths: (B,) integer, how many points each pair has. Zeros are allowed.
        starts: (B,) integer, where each pair's points begin; None = one pair directly after another, filling all N.
        longest: the largest length, if it is known: saves waiting for the device that holds the lengths.

    Returns:
        The padded points (B, L, H), L the largest length, and the mask (B, L) bool, True = real.

    Raises:
        TypeError: points not floating, lengths or starts not integer.
        ValueError: wrong shapes, a negative length, runs that lie outside the points or do not fill them.

    Example:
        >>> import torch
        >>> padded, mask = pad_packed(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 2]))
        >>> padded[:, :, 0], mask
        (tensor([[1., 0.],
                [2., 3.]]), tensor([[ True, False],
                [ True,  True]]))
    """
    runs = _runs("points", points, lengths, starts, longest)
    return runs.padded(), runs.weights > 0


def alignment_loss_packed(
    words: Tensor,
    regions: Tensor,
    word_lengths: Tensor,
    region_lengths: Tensor,
    *,
    word_starts: Tensor | None = None,
    region_starts: Tensor | None = None,
    max_words: int | None = None,
    max_regions: int | None = None,
    beta: float = 0.5,
    iterations: int = 50,
    schedule: str = "constant",
    backend: str = "auto",
) -> Tensor:
    """`alignment_loss` of packed points.

    An encoder that keeps the units of all samples in one matrix, words and regions in turn, passes that matrix as both
    words and regions and says where they start: nothing is copied out of it.

    Args:
        words: (Nw, H) words of all pairs, one pair after another.
        regions: (Nr, H) regions likewise.
        word_lengths: (B,) integer, words of each pair.
        region_lengths: (B,) integer, regions of each pair.
        word_starts: (B,) integer, the row where each pair's words begin; None = one pair directly after another.
        region_starts: (B,) likewise.
        max_words: the largest of word_lengths, if it is known: saves waiting for a GPU, and lets torch.compile follow.
        max_regions: likewise.
        beta: inverse step size of `ipot`.
        iterations: proximal steps of `ipot`.
        schedule: as in `ipot`.
        backend: as in `ipot`.

    Returns:
        (B,) distances, float32 or wider.

    Raises:
        TypeError, ValueError, RuntimeError: as `pad_packed` and `alignment_loss`.

    Example:
        >>> import torch
        >>> words, regions = torch.eye(3)[[0, 1, 2]], torch.eye(3)[[1, 0, 0]]
        >>> alignment_loss_packed(words, regions, torch.tensor([2, 1]), torch.tensor([2, 1])).round(decimals=2)
        tensor([0., 1.])
    """
    steps = alignment_steps(beta=beta, iterations=iterations, schedule=schedule, backend=backend)
    x = _runs("words", words, word_lengths, word_starts, max_words)
    y = _runs("regions", regions, region_lengths, region_starts, max_regions)
    _check_matched(x, y)
    a, b = demands(x.weights > 0, y.weights > 0)
    return cosine_transport(Runs(x.rows, x.starts, a), Runs(y.rows, y.starts, b), steps, backend)


@torch.no_grad()
def alignment_plan_packed(
    words: Tensor,
    regions: Tensor,
    word_lengths: Tensor,
    region_lengths: Tensor,
    *,
    word_starts: Tensor | None = None,
    region_starts: Tensor | None = None,
    beta: float = 0.5,
    iterations: int = 50,
    schedule: str = "constant",
    backend: str = "auto",
) -> TransportPlan:
    """The plan behind `alignment_loss_packed`, for looking at alignments; carries no gradient.

    Arguments and errors are those of `alignment_loss_packed`; the plan is padded, (B, W, R), zeros at padding.

    Example:
        >>> import torch
        >>> words, regions = torch.eye(2), torch.eye(2)[[1, 0]]
        >>> alignment_plan_packed(words, regions, torch.tensor([2]), torch.tensor([2])).plan.argmax(2)
        tensor([[1, 0]])
    """
    x = _runs("words", words, word_lengths, word_starts, None)
    y = _runs("regions", regions, region_lengths, region_starts, None)
    _check_matched(x, y)
    return ipot(
        cosine_cost(x.padded(), y.padded()),
        word_mask=x.weights > 0,
        region_mask=y.weights > 0,
        beta=beta,
        iterations=iterations,
        schedule=schedule,
        backend=backend,
    )


def _runs(name: str, points: Tensor, lengths: Tensor, starts: Tensor | None, longest: int | None) -> Runs:
    """Packed points as runs whose weights are 1 where there is a point."""
    check_real(name, points, "(N, H)")
    side = "" if name == "points" else f"{name.removesuffix('s')}_"
    _check_integers(f"{side}lengths", lengths)
    lengths = lengths.to(points.device, torch.int64)
    if longest is None:
        longest = int(lengths.max()) if len(lengths) else 0
    if starts is None:
        starts, rows = lengths.cumsum(0) - lengths, f"the {len(points)} rows of {name}"
        filled = lengths.sum().expand_as(lengths)
        whole = f"lengths that add up to {rows}"
        present = _present(lengths, starts, filled, len(points), longest, f"{side}lengths", whole)
    else:
        _check_integers(f"{side}starts", starts)
        if starts.shape != lengths.shape:
            raise ValueError(f"{side}starts: expected {len(lengths)} as in {side}lengths, got {len(starts)}")
        starts = starts.to(points.device, torch.int64)
        present = _present(lengths, starts, lengths, len(points), longest, f"{side}starts", "")
    return Runs(points, starts, present.to(points.dtype))


def _check_integers(name: str, values: Tensor) -> None:
    if not isinstance(values, Tensor) or values.is_floating_point() or values.dtype == torch.bool:
        got = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"{name}: expected an integer tensor of shape (B,), got {got}")
    if values.dim() != 1:
        raise ValueError(f"{name}: expected shape (B,), got {tuple(values.shape)}")


# An operator of its own, because looking at values is what torch.compile and vmap cannot follow.
@torch.library.custom_op("uniter_ot::present", mutates_args=())
def _present(lengths: Tensor, starts: Tensor, filled: Tensor, rows: int, longest: int, name: str, whole: str) -> Tensor:
    """(B, longest) bool, True where a pair has a point.

    Args:
        lengths: (B,) int64.
        starts: (B,) int64.
        filled: (B,) int64, the rows that all pairs together fill, said once a pair as vmap makes one batch of many.
        rows: how many there are.
        longest: the largest length allowed.
        name: what the caller knows as wrong if runs do not fit the rows.
        whole: what a caller expected if not all rows are filled; empty if they need not be.
    """
    lengths_name = name.replace("starts", "lengths")
    if (lengths < 0).any():
        raise ValueError(f"{lengths_name}: expected no negative length, got {int(lengths.min())}")
    if (lengths > longest).any():
        raise ValueError(f"{lengths_name}: expected at most {longest}, the longest as said, got {int(lengths.max())}")
    off = filled[filled != rows]
    if whole and (len(off) or (rows and not len(filled))):
        raise ValueError(f"{name}: expected {whole}, got {int(off[:1].sum())}")
    outside = (lengths > 0) & ((starts < 0) | (starts + lengths > rows))
    if outside.any():
        pair = int(outside.nonzero()[0])
        begin, end = int(starts[pair]), int(starts[pair] + lengths[pair])
        raise ValueError(f"{name}: expected runs within {rows} rows, got rows {begin} to {end} for pair {pair}")
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


@_present.register_fake
def _(lengths: Tensor, starts: Tensor, filled: Tensor, rows: int, longest: int, name: str, whole: str) -> Tensor:
    return lengths.new_empty((lengths.shape[0], longest), dtype=torch.bool)


register_folding(_present)


def _check_matched(words: Runs, regions: Runs) -> None:
    pairs = len(words.starts), len(regions.starts)
    if pairs[0] != pairs[1]:
        raise ValueError(f"region_lengths: expected {pairs[0]} pairs as in word_lengths, got {pairs[1]}")
    check_matched_points(words.rows[None], regions.rows[None])
