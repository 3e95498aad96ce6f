"""What the exact optimal-transport distance lies between: proofs, whatever the solver was and however far it came.

Any plan with the demanded marginals costs at least as much as the best one; any pair of potentials with
``f_i + g_j <= C_ij`` is worth at most as much (Kantorovich's duality, Villani 2009, Theorem 5.10)::

    a.f + b.g  <=  exact distance  <=  <T, C>

Axes: B pairs, W words, R regions.
"""

import torch
from torch import Tensor

from uniter_ot.balance import balanced_weights, wide_dtype
from uniter_ot.problem import Problem
from uniter_ot.rounding import rounded_widely

__all__ = ["dual_lower_bound", "primal_upper_bound"]


@torch.no_grad()
def dual_lower_bound(problem: Problem, region_potential: Tensor) -> Tensor:
    """What any potential of the regions proves the exact distance to be at least.

    The potential need not be feasible or any good. It is carried to the words and back by the c-transform,
    ``f_i = min_j (C_ij - g_j)`` and ``g_j = min_i (C_ij - f_i)``, which makes the pair feasible and the bound as high
    as this potential allows. The bound is tight for the potentials of the exact solution.

    Args:
        problem: a balanced problem.
        region_potential: (B, R) any finite numbers in units of the cost; ignored at absent regions.

    Returns:
        (B,) in float64 whatever the problem's dtype, since rounding to float32 could lift the bound above what it
        bounds. It holds to about 1e-15 of the largest cost. Pairs that lack one side get 0. No gradient.
        (On Apple's GPUs, which have no float64: in float32, and to 1e-6 of the largest cost.)

    Raises:
        ValueError: a potential of another shape, or a problem that is not balanced.

    Example:
        >>> import torch
        >>> from uniter_ot.problem import pose
        >>> problem = pose(torch.tensor([[[0.0, 1.0], [1.0, 0.5]]]))
        >>> dual_lower_bound(problem, torch.zeros(1, 2))  # here even zeros prove all there is
        tensor([0.2500], dtype=torch.float64)
    """
    if region_potential.shape != problem.region_weights.shape:
        expected, got = tuple(problem.region_weights.shape), tuple(region_potential.shape)
        raise ValueError(f"region_potential: expected shape {expected}, got {got}")
    word_weights, region_weights = balanced_weights(problem.word_weights, problem.region_weights)
    wide = wide_dtype(problem.cost.device)
    if problem.cost.numel() == 0:
        return problem.cost.new_zeros(len(problem.cost), dtype=wide)
    no_word, no_region = word_weights == 0, region_weights == 0
    cost = problem.cost.to(wide, copy=True)
    cost.masked_fill_(no_word[:, :, None] | no_region[:, None, :], float("inf"))
    # A constant taken from g goes to f and changes nothing, but it could drown the costs in rounding.
    g = region_potential.to(wide).masked_fill(no_region, float("-inf"))
    g = (g - g.amax(1, keepdim=True)).masked_fill(no_region, 0)
    f = (cost - g[:, None, :]).amin(2).masked_fill(no_word, 0)
    g = cost.sub_(f[:, :, None]).amin(1).masked_fill(no_region, 0)
    return (word_weights * f).sum(1) + (region_weights * g).sum(1)


@torch.no_grad()
def primal_upper_bound(problem: Problem, plan: Tensor) -> Tensor:
    """What a plan proves the exact distance to be at most: the cost of the plan once rounded onto the polytope.

    Args:
        problem: a balanced problem.
        plan: (B, W, R) non-negative; its marginals may be off.

    Returns:
        (B,) in float64, as `dual_lower_bound`.

    Raises:
        ValueError: a problem that is not balanced.
    """
    word_weights, region_weights = balanced_weights(problem.word_weights, problem.region_weights)
    rounded = rounded_widely(plan, word_weights, region_weights)
    return rounded.mul_(problem.real_cost).sum((1, 2))
