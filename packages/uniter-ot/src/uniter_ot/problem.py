"""What a solver is asked: costs between two ragged sets of points and the mass that each point demands.

For one pair with costs C, demands a of the words and b of the regions (Kantorovich's problem)::

    min <T, C>   over T >= 0 with   T 1 = a,   T' 1 = b

A weight of 0 means that the point is absent: masks, padding and holes are nothing else to a solver.

Axes: B pairs, W words, R regions, L points of either side.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from uniter_ot.arguments import check_mask, check_real, working_dtype
from uniter_ot.weights import check_weights

__all__ = ["Problem", "demands", "pose"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Costs and demands, checked, in the dtype to compute in.

    Attributes:
        cost: (B, W, R) float32 or wider; carries the caller's gradient; anything where a weight is 0.
        word_weights: (B, W) at least 0, 0 = absent.
        region_weights: (B, R) likewise. A pair that lacks one side demands nothing of the other.
    """

    cost: Tensor
    word_weights: Tensor
    region_weights: Tensor

    @property
    def real(self) -> Tensor:
        """(B, W, R) bool, True where both points are present."""
        return (self.word_weights > 0)[:, :, None] & (self.region_weights > 0)[:, None, :]

    @property
    def real_cost(self) -> Tensor:
        """(B, W, R) the costs, 0 where a point is absent."""
        return self.cost.masked_fill(~self.real, 0)


def pose(
    cost: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    normalised: bool = True,
) -> Problem:
    """The problem that a caller's arguments describe.

    Args:
        cost: (B, W, R) any floating dtype.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        word_weights: (B, W) at least 0, adding up to 1 over each pair's real words; None = equal over them. A word of
            weight 0 counts as absent; what stands under the mask is ignored.
        region_weights: (B, R) likewise.
        normalised: demand that explicit weights add up to 1 (to 1e-4, and make it exact). Unbalanced problems do not.

    Raises:
        TypeError: integer costs or weights, masks that are not boolean.
        ValueError: wrong shapes or devices, weights that are negative, not finite or do not add up to 1.
    """
    check_real("cost", cost, "(B, W, R)")
    pairs, words, regions = cost.shape
    a, b = demands(
        check_mask("word_mask", word_mask, pairs, words, cost.device),
        check_mask("region_mask", region_mask, pairs, regions, cost.device),
        word_weights,
        region_weights,
        normalised=normalised,
    )
    dtype = working_dtype(cost)
    return Problem(cost=cost.to(dtype), word_weights=a.to(dtype), region_weights=b.to(dtype))


def demands(
    word_present: Tensor,
    region_present: Tensor,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    *,
    normalised: bool = True,
) -> tuple[Tensor, Tensor]:
    """What the points demand, (B, W) and (B, R) float64, 0 where absent: explicit weights or equal ones.

    A pair that lacks one side demands nothing of the other either, as there is nowhere to carry its mass.

    Args:
        word_present: (B, W) bool.
        region_present: (B, R) bool.
        word_weights: as `pose` takes them.
        region_weights: likewise.
        normalised: likewise.

    Raises:
        TypeError, ValueError: as `pose`.
    """
    a = _demand("word_weights", word_weights, word_present, normalised)
    b = _demand("region_weights", region_weights, region_present, normalised)
    return a * (b > 0).any(1, keepdim=True), b * (a > 0).any(1, keepdim=True)


def _demand(name: str, weights: Tensor | None, present: Tensor, normalised: bool) -> Tensor:
    """Checked weights (B, L), equal ones by default, 0 where absent; float64 while they are not yet cast."""
    if weights is not None:
        return check_weights(name, weights, present, normalised=normalised)
    wide = torch.float32 if present.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    return present.to(wide) / present.sum(1, keepdim=True).clamp_min(1)
