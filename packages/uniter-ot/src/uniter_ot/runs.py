"""Ragged sets of points: runs of rows of one matrix, and the two products that an alignment needs of them.

Pair b's words are the rows from ``starts[b]`` of a matrix (N, H), each present where its weight is above 0. Padded
tensors are such a matrix with equal strides; packed points one without gaps; an encoder's units one where words and
regions alternate. On the CPU each pair is multiplied on its own, over its own size and without a copy; elsewhere rows
are gathered into padded batches, without waiting for the device.

Axes: B pairs, W words, R regions, L points of one side, N rows of a matrix, H width of the compared vectors.
"""

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
        for pair, (mine, theirs) in enumerate(zip(self._slices(), other._slices(), strict=True)):
            if len(mine) and len(theirs):
                torch.mm(mine, theirs.T, out=products[pair, : len(mine), : len(theirs)])
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
        slices = zip(self.starts.tolist(), self._slices(), other._slices(), strict=True)
        for pair, (start, mine, theirs) in enumerate(slices):
            if len(mine) and len(theirs):
                out = mixed[start : start + len(mine)]
                out.addmm_(mixture[pair, : len(mine), : len(theirs)], theirs)
                out.addcmul_(mine, own[pair, : len(mine), None])
        return mixed

    def _slices(self) -> list[Tensor]:
        """Each pair's rows up to its last present point, those of absent points in between 0. On the CPU."""
        present = self.weights > 0
        extents = (present * torch.arange(1, present.shape[1] + 1)).amax(1) if present.numel() else self.starts * 0
        holes = ~present & (torch.arange(present.shape[1]) < extents[:, None])
        rows = self.rows
        if holes.any():
            rows = rows.index_fill(0, self.places[holes], 0)
        return [
            rows[start : start + extent] for start, extent in zip(self.starts.tolist(), extents.tolist(), strict=True)
        ]

    def _scattered(self, padded: Tensor) -> Tensor:
        """(B, L, H), 0 where absent, added up in the rows (N, H)."""
        return torch.zeros_like(self.rows).index_put_((self.places,), padded, accumulate=True)
