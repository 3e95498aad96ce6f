"""The answer of a solver: the plan, its value, and what one needs to trust it.

Axes: B pairs, W words, R regions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["CONVERGED_ERROR", "TransportPlan", "measured_plan"]

CONVERGED_ERROR = 1e-3
"""A pair has converged when neither marginal is off by more than this share of the total mass (L1)."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TransportPlan:
    """How the mass of each pair's words is spread over its regions.

    Attributes:
        plan: (B, W, R) non-negative, 0 at masked entries, total mass 1 a pair (0 for a pair without words or regions);
            float32 or wider; never carries a gradient.
        distance: (B,) the plan's cost ``sum(plan * cost)``. Where the cost requires a gradient, so does the distance:
            by the envelope theorem, with the plan held fixed.
        word_error: (B,) L1 distance between the plan's word marginal and the demanded one.
        region_error: (B,) the same for regions.
        iterations: how many outer iterations were made.
        converged: (B,) bool, both errors at most `CONVERGED_ERROR`.
    """

    plan: Tensor
    distance: Tensor
    word_error: Tensor
    region_error: Tensor
    iterations: int
    converged: Tensor

    def __repr__(self) -> str:
        pairs, words, regions = self.plan.shape
        shape = f"{pairs} {'pair' if pairs == 1 else 'pairs'} of {words} x {regions}"
        head = f"{shape}, {str(self.plan.dtype).removeprefix('torch.')}, {self.iterations} iterations"
        if pairs == 0:
            return f"TransportPlan({head})"
        distance = self.distance.detach()
        return (
            f"TransportPlan({head}; distance {distance.min():.4g} to {distance.max():.4g}; "
            f"largest marginal error: words {self.word_error.max():.1e}, regions {self.region_error.max():.1e}; "
            f"{int(self.converged.sum())} of {pairs} converged)"
        )


def measured_plan(
    plan: Tensor, cost: Tensor, word_weights: Tensor, region_weights: Tensor, *, iterations: int
) -> TransportPlan:
    """Put a solver's plan (B, W, R) together with its value and errors.

    Args:
        plan: (B, W, R), 0 at masked entries.
        cost: (B, W, R), finite, 0 at masked entries; may require a gradient.
        word_weights: (B, W) the marginal demanded of the words.
        region_weights: (B, R) the marginal demanded of the regions.
        iterations: how many outer iterations were made.
    """
    word_error = (plan.sum(2) - word_weights).abs().sum(1)
    region_error = (plan.sum(1) - region_weights).abs().sum(1)
    return TransportPlan(
        plan=plan,
        distance=(plan * cost).sum((1, 2)),
        word_error=word_error,
        region_error=region_error,
        iterations=iterations,
        converged=torch.maximum(word_error, region_error) <= CONVERGED_ERROR,
    )
