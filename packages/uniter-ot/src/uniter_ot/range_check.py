"""A look at the values before a solver divides them: costs that are finite, and stay so.

Axes: B pairs, W words, R regions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from uniter_ot.batching import register_folding
from uniter_ot.problem import Problem

__all__ = ["checked_cost", "not_finite"]


def checked_cost(problem: Problem, **divisors: float) -> Tensor:
    """The costs (B, W, R) to solve for: finite, 0 where a point is absent, without gradient.

    Args:
        problem: what was asked; absent entries may hold anything.
        **divisors: what a solver divides costs by, under the argument's name: ``epsilon=0.05``. Neither costs nor sums
            of a few of them may overflow once divided.

    Raises:
        ValueError: a real cost that is not finite, or a divisor that is too small for costs of this size.
    """
    cost: Tensor = _checked_cost(problem.real_cost.detach(), " ".join(divisors), list(divisors.values()))
    return cost


def not_finite(cost: Tensor) -> ValueError | None:
    """What to say of the first cost that is not finite, all real ones (B, W, R) given; None if all are."""
    bad = (~cost.isfinite()).nonzero()
    if not len(bad):
        return None
    pair, word, region = bad[0].tolist()
    value = cost[pair, word, region].item()
    return ValueError(f"cost: expected finite numbers, got {value} for pair {pair}, word {word}, region {region}")


# An operator of its own, because looking at values is what torch.compile and vmap cannot follow.
@torch.library.custom_op("uniter_ot::checked_cost", mutates_args=())
def _checked_cost(cost: Tensor, names: str, divisors: Sequence[float]) -> Tensor:
    if cost.numel() == 0:
        return cost.clone()
    largest = cost.abs().amax().item()  # the one time that a solver waits for the device
    if not largest < float("inf"):
        raise not_finite(cost) or ValueError(f"cost: expected finite numbers, got {largest}")
    for name, divisor in zip(names.split(), divisors, strict=True):
        # Not less than 1: the reciprocal of the divisor must not overflow either.
        if max(largest, 1.0) / divisor > torch.finfo(cost.dtype).max / 8:
            raise ValueError(
                f"{name}: {divisor} is too small for costs of this range; cost / {name} overflows {cost.dtype}"
            )
    return cost.clone()


@_checked_cost.register_fake
def _(cost: Tensor, names: str, divisors: Sequence[float]) -> Tensor:
    return torch.empty_like(cost)


register_folding(_checked_cost)
