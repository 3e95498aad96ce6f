"""The problem as both loops see it, in units of beta with small exponents, and where an iteration stands.

Axes: B pairs, W words, R regions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Reduced", "State", "reduce", "start", "start_of_stage"]


class Reduced(NamedTuple):
    """A problem whose every region and every word has a kernel entry of 1. All float64."""

    exponents: Tensor  # (B, W, R) X = C / beta - region_shift - word_shift, at least 0, at absent entries 0
    word_shift: Tensor  # (B, W, 1)
    region_shift: Tensor  # (B, 1, R)
    real: Tensor  # (B, W, R) bool
    word_weights: Tensor  # (B, W, 1) a; at absent words 0
    region_weights: Tensor  # (B, 1, R) b; at absent regions 0

    def pairs(self, chosen: Tensor) -> "Reduced":
        """Some of the pairs; chosen is (B,) bool."""
        return Reduced(*(part[chosen] for part in self))


class State(NamedTuple):
    """log T = word_log + region_log - power X, with the logarithms of the last scalings. All float64."""

    word_log: Tensor  # (B, W, 1) F; 0 at absent words
    region_log: Tensor  # (B, 1, R) G; 0 at absent regions
    power: int  # how often the kernel exp(-X) is contained in T; 0 = before the first iteration
    log_sigma: Tensor  # (B, W, 1)
    log_delta: Tensor  # (B, 1, R); means nothing before the first iteration
    last_power: int  # that of the last stage


def reduce(cost: Tensor, word_weights: Tensor, region_weights: Tensor, beta: float) -> Reduced:
    """Take each region's and then each word's smallest cost away: plans do not change, exponents become small.

    Args:
        cost: (B, W, R).
        word_weights: (B, W).
        region_weights: (B, R).
        beta: inverse step size.
    """
    wide = cost.dtype if cost.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    a, b = word_weights.to(wide)[:, :, None], region_weights.to(wide)[:, None, :]
    real = (a > 0) & (b > 0)
    exponents = cost.to(wide, copy=True).div_(beta).masked_fill_(~real, float("inf"))
    region_shift = _smallest(exponents, b == 0, 1)
    exponents -= region_shift
    word_shift = _smallest(exponents, a == 0, 2)
    exponents = exponents.sub_(word_shift).masked_fill_(~real, 0)
    return Reduced(exponents, word_shift, region_shift, real, a, b)


def _smallest(exponents: Tensor, absent: Tensor, dim: int) -> Tensor:
    """Smallest entry along an axis, kept as size 1; 0 for absent points, all of whose entries are infinite."""
    return exponents.amin(dim, keepdim=True).masked_fill_(absent, 0)


def start(problem: Reduced) -> State:
    """T = 1 and sigma = 1 (Algorithm 1, lines 1 and 2; a common factor of sigma does not matter)."""
    zero_words, zero_regions = torch.zeros_like(problem.word_shift), torch.zeros_like(problem.region_shift)
    # The region's constant is absorbed in delta at once; the word's constant r Algorithm 1 meets as sigma = exp(-r), so
    # that is where sigma has to start for the iterates to stay the published ones.
    return State(zero_words, zero_regions, 0, -problem.word_shift, zero_regions, 1)


def start_of_stage(state: State, power: int) -> tuple[Tensor, Tensor]:
    """Log sigma and log delta that a stage begins with: as steps grow, so does the extrapolation they stand for."""
    ratio = power / state.last_power
    return state.log_sigma * ratio, state.log_delta * ratio
