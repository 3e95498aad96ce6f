"""What every backend takes and gives: one contract, so that they can be exchanged and compared.

A backend is a function ``solve(cost, word_weights, region_weights, steps) -> Solution``. All of them iterate, for one
pair with demanded marginals a (words) and b (regions)::

    log T = 0;  log sigma = 0
    for t = 1 .. iterations, p the power of its stage:
        log T  -= p C / beta
        (where a new stage begins: log sigma and log delta are multiplied by the ratio of the powers)
        inner times:
            log delta <- relaxed(log b - logsumexp over words   (log T + log sigma))
            log sigma <- relaxed(log a - logsumexp over regions (log T + log delta))
        log T  += log sigma + log delta

``relaxed(new) = old + relaxation (new - old)``, but plainly ``new`` for the very first update of either side, which has
no old value, and for the very last one of the words', which makes their marginal exact.

Axes: B pairs, W words, R regions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

__all__ = ["Solution", "Steps", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How the proximal point method walks.

    Attributes:
        beta: inverse step size, above 0.
        stages: (iterations, power) one after another; within a stage the step size is power / beta.
        inner: scaling updates an iteration (K in Algorithm 1).
        relaxation: over-relaxation of the scaling updates; 1 = none.
    """

    beta: float
    stages: tuple[tuple[int, int], ...]
    inner: int = 1
    relaxation: float = 1.0

    @property
    def flat(self) -> tuple[float, list[int], list[int], int, float]:
        """As operators take it, which know no dataclasses: beta, counts, powers, inner, relaxation."""
        counts, powers = [count for count, _ in self.stages], [power for _, power in self.stages]
        return self.beta, counts, powers, self.inner, self.relaxation

    @classmethod
    def of_flat(
        cls, beta: float, counts: Sequence[int], powers: Sequence[int], inner: int, relaxation: float
    ) -> "Steps":
        """The steps whose `flat` this is."""
        stages = tuple(zip(counts, powers, strict=True))
        return cls(beta=beta, stages=stages, inner=inner, relaxation=relaxation)

    @property
    def iterations(self) -> int:
        """Iterations of all stages together."""
        return sum(count for count, _ in self.stages)

    @property
    def total_power(self) -> int:
        """How often exp(-C / beta) is contained in the final plan: log T = F_i + G_j - total_power C_ij / beta."""
        return sum(count * power for count, power in self.stages)


class Solution(NamedTuple):
    """A plan and what was measured beside it, in the cost's dtype. Pairs without words or regions are 0 throughout.

    A pair with a real cost that is not finite, or whose cost / beta overflows, has a NaN distance.
    """

    plan: Tensor  # (B, W, R) at least 0; 0 where a weight is 0
    distance: Tensor  # (B,) sum of plan * cost over the real entries
    word_error: Tensor  # (B,) sum over words |row sum - a|
    region_error: Tensor  # (B,) sum over regions |column sum - b|
    word_potential: Tensor  # (B, W) f and
    region_potential: (
        Tensor  # (B, R) g in units of the cost: log T = (f_i + g_j - C_ij) total_power / beta; 0 at weight 0
    )


def nothing(cost: Tensor) -> Solution:
    """The solution of pairs that lack one side, to be filled where they do not: zeros for a cost (B, W, R)."""
    pairs, words, regions = cost.shape
    shapes = (pairs, words, regions), (pairs,), (pairs,), (pairs,), (pairs, words), (pairs, regions)
    return Solution(*(cost.new_zeros(shape) for shape in shapes))
