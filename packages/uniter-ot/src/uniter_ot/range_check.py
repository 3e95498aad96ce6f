"""A look at the values before a solver divides them: costs that are finite, and stay so.

Axes: B pairs, W words, R regions.
"""

import torch

from uniter_ot.problem import Problem

__all__ = ["check_range"]


def check_range(problem: Problem, **divisors: float) -> None:
    """Demand real costs that are finite, and that neither they nor sums of a few of them overflow once divided.

    Args:
        problem: what was asked; absent entries may hold anything.
        **divisors: what a solver divides costs by, under the argument's name: ``epsilon=0.05``.

    Raises:
        ValueError: a real cost that is not finite, or a divisor that is too small for costs of this size.
    """
    if problem.cost.numel() == 0:
        return
    cost = problem.real_cost.detach()
    largest = cost.abs().amax().item()  # the one time that a solver waits for the device
    if not largest < float("inf"):
        pair, word, region = (~cost.isfinite()).nonzero()[0].tolist()
        value = cost[pair, word, region].item()
        raise ValueError(f"cost: expected finite numbers, got {value} for pair {pair}, word {word}, region {region}")
    for name, divisor in divisors.items():
        # Not less than 1: the reciprocal of the divisor must not overflow either.
        if max(largest, 1.0) / divisor > torch.finfo(cost.dtype).max / 8:
            raise ValueError(
                f"{name}: {divisor} is too small for costs of this range; cost / {name} overflows {cost.dtype}"
            )
