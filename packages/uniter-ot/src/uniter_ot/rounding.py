"""Rounding a plan onto the polytope: the nearest-at-hand plan whose marginals are exactly the demanded ones.

Altschuler, Weed and Rigollet 2017, "Near-linear time approximation algorithms for optimal transport via Sinkhorn
iteration", Algorithm 2. Their Lemma 7: it moves at most twice as much mass (L1) as the marginals were off by.

Axes: B pairs, W words, R regions.
"""

import torch
from torch import Tensor

from uniter_ot.arguments import check_real
from uniter_ot.balance import balanced_weights

__all__ = ["round_to_marginals", "rounded_widely"]


def round_to_marginals(plan: Tensor, word_weights: Tensor, region_weights: Tensor) -> Tensor:
    """A plan close to `plan` that gives every word and every region exactly what it demands.

    Computed in float64 (float32 on Apple's GPUs) and then rounded once to the plan's dtype, so that in float32 the
    marginals are off by no more than 6e-8 (L1), the rounding of the entries themselves.

    Args:
        plan: (B, W, R) non-negative, any floating dtype; what stands at absent points is ignored. No gradient flows.
        word_weights: (B, W) at least 0, adding up to 1 in each pair (to 1e-4, and made exact); 0 = absent.
        region_weights: (B, R) likewise. A pair that lacks one side is left empty.

    Returns:
        (B, W, R) non-negative, in the plan's dtype. A plan that has the marginals already comes back unchanged to
        rounding; a plan of nothing but zeros becomes the independent one, ``a b'``.

    Raises:
        TypeError: not floating-point tensors.
        ValueError: shapes that do not go together, or weights that do not add up to 1.

    Example:
        >>> import torch
        >>> half = torch.tensor([[0.5, 0.5]])
        >>> round_to_marginals(torch.tensor([[[0.4, 0.1], [0.2, 0.3]]]), half, half)
        tensor([[[0.3333, 0.1667],
                 [0.1667, 0.3333]]])
    """
    check_real("plan", plan, "(B, W, R)")
    pairs, words, regions = plan.shape
    for name, weights, axes, shape in (
        ("word_weights", word_weights, "(B, W)", (pairs, words)),
        ("region_weights", region_weights, "(B, R)", (pairs, regions)),
    ):
        check_real(name, weights, axes)
        if weights.shape != shape:
            raise ValueError(f"{name}: expected shape {shape} to go with the plan, got {tuple(weights.shape)}")
    return rounded_widely(plan, *balanced_weights(word_weights, region_weights)).to(plan.dtype)


@torch.no_grad()
def rounded_widely(plan: Tensor, word_weights: Tensor, region_weights: Tensor) -> Tensor:
    """Algorithm 2 on a plan (B, W, R) in the dtype of the weights, which are taken as they are."""
    absent = (word_weights == 0)[:, :, None] | (region_weights == 0)[:, None, :]
    plan = plan.to(word_weights.dtype, copy=True).masked_fill_(absent, 0)  # in place from here on: it is memory-bound
    plan *= _shrinking(plan.sum(2), word_weights)[:, :, None]  # lines 1-2: no word gives too much
    region_mass = plan.sum(1)
    region_shrinking = _shrinking(region_mass, region_weights)
    plan *= region_shrinking[:, None, :]  # lines 3-4: no region gets too much
    # Line 5. Both residuals are non-negative but for rounding, which must not leave negative entries in the plan.
    word_rest = (word_weights - plan.sum(2)).clamp_min_(0)
    region_rest = (region_weights - region_mass * region_shrinking).clamp_min_(0)
    rest = torch.maximum(word_rest.sum(1), region_rest.sum(1))  # equal but for rounding
    region_share = region_rest / torch.where(rest > 0, rest, 1)[:, None]
    return plan.addcmul_(word_rest[:, :, None], region_share[:, None, :])  # line 6


def _shrinking(mass: Tensor, demanded: Tensor) -> Tensor:
    """min(demanded / mass, 1), also where there is no mass."""
    return torch.where(mass > demanded, demanded / mass, 1)
