"""Where the samples of a packed batch lie inside the encoder: equal lengths side by side.

Attention is the only layer that needs the samples' boundaries. With equal lengths side by side, all samples of one
length are one plain tensor, without padding and without copying: measured 2 to 3 times as fast as sample by sample for
short samples, and no slower for long ones.

Axes: B samples, N units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

__all__ = ["Segments", "segment"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """An order of a packed batch's samples in which equal lengths stand side by side.

    Attributes:
        samples: (B,) which sample of the batch stands at each place.
        lengths: (B,) units of the sample at each place, ascending.
        groups: (samples, units of each) of every run of equal lengths.
        arrange: (N,) int64, which unit of the batch stands at each place.
        restore: (N,) int64, the place of each unit of the batch: the inverse of `arrange`.
        cu_seqlens: (B + 1,) int32, where each sample begins, and N.
        max_seqlen: units of the longest sample.
    """

    samples: tuple[int, ...]
    lengths: tuple[int, ...]
    groups: tuple[tuple[int, int], ...]
    arrange: Tensor
    restore: Tensor
    cu_seqlens: Tensor
    max_seqlen: int

    @property
    def first(self) -> Tensor:
        """(B,) int64, the place of each sample's first unit."""
        return self.cu_seqlens[:-1].long()

    def each(self, change: Callable[[Tensor], Tensor]) -> "Segments":
        """The same order with its tensors changed: moved to another device."""
        return replace(
            self,
            arrange=change(self.arrange),
            restore=change(self.restore),
            cu_seqlens=change(self.cu_seqlens),
        )


def segment(lengths: Sequence[int]) -> Segments:
    """The segments of samples of these lengths.

    >>> segments = segment([3, 2, 3])
    >>> segments.samples, segments.groups
    ((1, 0, 2), ((1, 2), (2, 3)))
    >>> segments.arrange.tolist()
    [3, 4, 0, 1, 2, 5, 6, 7]
    """
    samples = sorted(range(len(lengths)), key=lengths.__getitem__)
    ordered = [lengths[sample] for sample in samples]
    given = torch.tensor(lengths, dtype=torch.int64)
    placed = torch.tensor(ordered, dtype=torch.int64)
    start = given.cumsum(0) - given
    place = placed.cumsum(0) - placed
    shift = start[torch.tensor(samples, dtype=torch.int64)] - place
    arrange = torch.arange(sum(ordered)) + shift.repeat_interleave(placed)
    restore = torch.empty_like(arrange)
    restore[arrange] = torch.arange(len(arrange))
    return Segments(
        samples=tuple(samples),
        lengths=tuple(ordered),
        groups=tuple((len(list(run)), length) for length, run in groupby(ordered)),
        arrange=arrange,
        restore=restore,
        cu_seqlens=torch.cat([placed.new_zeros(1), placed.cumsum(0)]).int(),
        max_seqlen=max(ordered, default=0),
    )
