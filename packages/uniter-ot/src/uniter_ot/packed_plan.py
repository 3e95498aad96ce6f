"""Plans without padding: the matrices of all pairs one after another, absent rows and columns left out.

Axes: B pairs, W words, R regions, P values of all pairs together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["PackedPlan", "pack_plan"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PackedPlan:
    """A sequence of B matrices, ``plan[b]`` being pair b's plan over its present words and regions.

    Attributes:
        values: (P,) the entries of pair 0 row by row, then those of pair 1, and so on.
        word_mask: (B, W) bool, where the rows stood in the padded plan, True = present.
        region_mask: (B, R) bool likewise for the columns.

    Example:
        >>> import torch
        >>> plan = torch.tensor([[[0.5, 0.0, 0.5]], [[0.0, 1.0, 0.0]]])
        >>> packed = pack_plan(plan, torch.ones(2, 1).bool(), torch.tensor([[True, False, True], [False, True, False]]))
        >>> packed.values, packed[0]
        (tensor([0.5000, 0.5000, 1.0000]), tensor([[0.5000, 0.5000]]))
        >>> torch.equal(packed.to_padded(), plan)
        True
    """

    values: Tensor
    word_mask: Tensor
    region_mask: Tensor

    @cached_property
    def word_lengths(self) -> Tensor:
        """(B,) int64, how many words each pair has."""
        return self.word_mask.sum(1)

    @cached_property
    def region_lengths(self) -> Tensor:
        """(B,) int64, how many regions each pair has."""
        return self.region_mask.sum(1)

    @cached_property
    def offsets(self) -> Tensor:
        """(B + 1,) int64, where each pair's values begin, and at last their number."""
        return torch.nn.functional.pad((self.word_lengths * self.region_lengths).cumsum(0), (1, 0))

    @cached_property
    def _matrices(self) -> tuple[Tensor, ...]:
        shapes = torch.stack([self.word_lengths, self.region_lengths], 1).tolist()
        parts = torch.split(self.values, [words * regions for words, regions in shapes])
        return tuple(part.view(words, regions) for part, (words, regions) in zip(parts, shapes, strict=True))

    def __len__(self) -> int:
        return len(self.word_mask)

    def __getitem__(self, pair: int) -> Tensor:
        """(words of the pair, regions of the pair), a view of the values."""
        return self._matrices[pair]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._matrices)

    def __repr__(self) -> str:
        words, regions = self.word_mask.shape[1], self.region_mask.shape[1]
        return f"PackedPlan({len(self)} pairs of at most {words} x {regions}, {self.values.numel()} values)"

    def to_padded(self) -> Tensor:
        """(B, W, R) every value where it came from, zeros elsewhere: the inverse of `TransportPlan.to_packed`."""
        real = _both(self.word_mask, self.region_mask)
        return self.values.new_zeros(real.shape).masked_scatter_(real, self.values)


def pack_plan(plan: Tensor, word_mask: Tensor, region_mask: Tensor) -> PackedPlan:
    """Pack a padded plan (B, W, R) by the masks (B, W) and (B, R), True = present."""
    return PackedPlan(values=plan[_both(word_mask, region_mask)], word_mask=word_mask, region_mask=region_mask)


def _both(word_mask: Tensor, region_mask: Tensor) -> Tensor:
    return word_mask[:, :, None] & region_mask[:, None, :]
