"""Ragged sets of points: runs of rows of one matrix, and the two products that an alignment needs of them.

Pair b's words are the rows from ``starts[b]`` of a matrix (N, H), each present where its weight is above 0. Padded
tensors are such a matrix with equal strides; packed points one without gaps; an encoder's units one where words and
regions alternate. On the CPU each pair is multiplied on its own, over its own size and without a copy; elsewhere rows
are gathered into padded batches, without waiting for the device.

Axes: B pairs, W words, R regions, L points of one side, N rows of a matrix, H width of the compared vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Runs"]


@dataclass(frozen=True)
class Runs:
    """One side's points.

    Attributes:
        rows: (N, H) float32 or wider.
        starts: (B,) int64, the first row of each pair.
        weights: (B, L), 0 = absent.
    """

    rows: Tensor
    starts: Tensor
    weights: Tensor

    @property
    def places(self) -> Tensor:
        """(B, L) int64 row of each point; absent points may share one with anything."""
        places: Tensor = self.starts[:, None] + torch.arange(self.weights.shape[1], device=self.starts.device)
        return places.clamp(0, max(len(self.rows) - 1, 0))

    def norms(self) -> Tensor:
        """(B, L) Euclidean norm of each point, 1 where absent."""
        if not len(self.rows):
            return torch.ones_like(self.weights)
        norms: Tensor = torch.linalg.vector_norm(self.rows, dim=1)[self.places]
        return norms.masked_fill(self.weights == 0, 1)

    def scaled(self, scale: Tensor) -> "Runs":
        """Points times their scale (B, L), as runs of a matrix of their own."""
        pairs, length = self.weights.shape
        starts = torch.arange(pairs, device=self.starts.device) * length
        return Runs((self.padded() * scale[:, :, None]).flatten(0, 1), starts, self.weights)

    def padded(self) -> Tensor:
        """(B, L, H) with absent points 0: whatever stands there, NaN included, must not meet a product."""
        if not len(self.rows):
            return self.rows.sum(0).expand(*self.weights.shape, -1)  # zeros that hang on the rows' graph
        return self.rows[self.places].masked_fill_((self.weights == 0)[:, :, None], 0)

    def products(self, other: "Runs") -> Tensor:
        """(B, W, R) inner products of these points with the other side's; 0 or meaningless where one is absent."""
        if self.rows.device.type != "cpu":
            return self.padded() @ other.padded().mT
        products = self.rows.new_zeros(*self.weights.shape, other.weights.shape[1])
        for mine, theirs, product in zip(*self._cut_with(other, products), strict=True):
            torch.mm(mine, theirs.T, out=product)
        return products

    def mixed(self, other: "Runs", mixture: Tensor, own: Tensor) -> Tensor:
        """(N, H): for each of these points ``own_i x_i + sum_j mixture_ij y_j``, added up where runs share a row.

        Args:
            other: the y.
            mixture: (B, W, R), 0 where a point is absent.
            own: (B, W) likewise.
        """
        if self.rows.device.type != "cpu":
            return self._scattered(torch.baddbmm(self.padded() * own[:, :, None], mixture, other.padded()))
        mixed = torch.zeros_like(self.rows)
        mine, theirs, mixtures = self._cut_with(other, mixture)
        extents = [len(points) for points in mine]
        outs = _cut(mixed, self.starts.tolist(), extents)
        owns = _cut(own.reshape(-1, 1), [pair * own.shape[1] for pair in range(len(own))], extents)
        for out, points, others, shares, factor in zip(outs, mine, theirs, mixtures, owns, strict=True):
            out.addmm_(shares, others).addcmul_(points, factor)
        return mixed

    def _cut_with(self, other: "Runs", matrices: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """For each pair its points (m, H), the other side's (n, H), and its matrix (m, n) of (B, W, R). On the CPU.

        The points reach to each pair's last present one, absent ones in between are 0.
        """
        mine, theirs = self._extents(), other._extents()
        pair, across, along = matrices.stride()
        views = [
            matrices.as_strided((m, n), (across, along), matrices.storage_offset() + number * pair)
            for number, (m, n) in enumerate(zip(mine, theirs, strict=True))
        ]
        return (
            _cut(self._filled(mine), self.starts.tolist(), mine),
            _cut(other._filled(theirs), other.starts.tolist(), theirs),
            views,
        )

    def _extents(self) -> list[int]:
        """One more than the place of each pair's last present point."""
        if not self.weights.numel():
            return [0] * len(self.starts)
        extents: list[int] = ((self.weights > 0) * torch.arange(1, self.weights.shape[1] + 1)).amax(1).tolist()
        return extents

    def _filled(self, extents: list[int]) -> Tensor:
        """The rows with absent points within the extents 0."""
        within = torch.arange(self.weights.shape[1]) < torch.tensor(extents)[:, None]
        holes = (self.weights == 0) & within
        return self.rows.index_fill(0, self.places[holes], 0) if holes.any() else self.rows

    def _scattered(self, padded: Tensor) -> Tensor:
        """(B, L, H), 0 where absent, added up in the rows (N, H)."""
        rows = torch.zeros_like(self.rows)
        return rows.index_put_((self.places,), padded, accumulate=True) if len(rows) else rows


def _cut(rows: Tensor, starts: Sequence[int], extents: list[int]) -> list[Tensor]:
    """Views of so many rows (N, H) from each start; in one call where no run begins before the last has ended."""
    sizes, end = [], 0
    for start, extent in zip(starts, extents, strict=True):
        if start < end:
            return [rows[first : first + size] for first, size in zip(starts, extents, strict=True)]
        sizes += [start - end, extent]
        end = start + extent
    return list(torch.split(rows, [*sizes, len(rows) - end])[1::2])
