"""Entropic transport on potentials: the half-steps that Sinkhorn's algorithm and its relatives are made of.

All of them look for plans of the form, for one pair with masses a and b and potentials f and g in units of the cost::

    T_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon)

The kernel exp(-C / epsilon) is never formed: it underflows in float32 once range / epsilon passes about 100. Potentials
do not (Peyré and Cuturi 2019, "Computational Optimal Transport", section 4.4 and Remark 4.22; Schmitzer 2019,
"Stabilized sparse scaling algorithms for entropy regularized transport problems", section 3).

Axes: B pairs, W words, R regions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from uniter_ot.arguments import check_count, check_positive
from uniter_ot.problem import Problem

__all__ = ["LogDomain", "check_steps", "epsilon_schedule", "largest"]

SMALLEST = -80.0
"""Logarithms below the largest of a sum by this much are taken to be this: exp(-80) is 2e-35, and exponentials that
underflow are several times slower to compute."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LogDomain:
    """A problem as the half-steps see it. Nothing in it carries a gradient.

    Attributes:
        cost: (B, W, R) float32 or wider, 0 where a point is absent.
        log_words: (B, W) logarithm of each word's mass, -inf where absent.
        log_regions: (B, R) likewise.
    """

    cost: Tensor
    log_words: Tensor
    log_regions: Tensor

    @staticmethod
    def of(problem: Problem, cost: Tensor | None = None) -> "LogDomain":
        """The problem's masses and its costs, or these (B, W, R) that were checked already; detached."""
        return LogDomain(
            cost=problem.real_cost.detach() if cost is None else cost,
            log_words=problem.word_weights.detach().log(),
            log_regions=problem.region_weights.detach().log(),
        )

    @property
    def real(self) -> Tensor:
        """(B, W, R) bool, True where both points are present."""
        return self.log_words.isfinite()[:, :, None] & self.log_regions.isfinite()[:, None, :]

    @property
    def spread(self) -> Tensor:
        """(B, 1) each pair's largest real cost minus its smallest; 0 in empty pairs."""
        real = self.real
        highest = largest(self.cost.masked_fill(~real, float("-inf")).flatten(1))
        lowest = -largest((-self.cost).masked_fill(~real, float("-inf")).flatten(1))
        return (highest - lowest).clamp_min(0)

    def word_transform(self, region_potential: Tensor, epsilon: Tensor) -> Tensor:
        """The soft c-transform, f_i = -epsilon log sum_j b_j exp((g_j - C_ij) / epsilon): each word gets its mass.

        Args:
            region_potential: (B, R) g.
            epsilon: (B, 1).

        Returns:
            (B, W) f, 0 at absent words.
        """
        f = self._soft_minimum(region_potential / epsilon + self.log_regions, epsilon, dim=2)
        return f.masked_fill(self.log_words == float("-inf"), 0)

    def region_transform(self, word_potential: Tensor, epsilon: Tensor) -> Tensor:
        """The same from words (B, W) to regions (B, R)."""
        g = self._soft_minimum(word_potential / epsilon + self.log_words, epsilon, dim=1)
        return g.masked_fill(self.log_regions == float("-inf"), 0)

    def shares(self, region_potential: Tensor, epsilon: float) -> Tensor:
        """How each word spreads its mass over the regions: (B, W, R), rows adding up to 1, 0 where a point is absent.

        Row i of the plan is the word's mass times these shares, whatever f_i is; the sum is 1 to rounding even where
        large potentials have lost digits.
        """
        logits = torch.sub((region_potential / epsilon + self.log_regions)[:, None, :], self.cost, alpha=1 / epsilon)
        return logits.softmax(2).masked_fill(~self.real, 0)

    def plan(self, word_potential: Tensor, region_potential: Tensor, epsilon: float) -> Tensor:
        """(B, W, R) the plan of any two potentials, by its definition; 0 where a point is absent."""
        kernel = (word_potential[:, :, None] + region_potential[:, None, :] - self.cost) / epsilon
        return kernel.add_(self.log_words[:, :, None]).add_(self.log_regions[:, None, :]).exp_()

    def _soft_minimum(self, logits: Tensor, epsilon: Tensor, dim: int) -> Tensor:
        """-epsilon log sum exp(logits - C / epsilon) over axis `dim` of the cost."""
        terms = torch.addcmul(logits.unsqueeze(3 - dim), self.cost, -1 / epsilon[:, :, None])
        # In an empty pair all terms are -inf; the finite stand-in keeps the difference from being NaN.
        peak = largest(terms, dim).clamp_min(torch.finfo(terms.dtype).min)
        total = terms.sub_(peak).clamp_min_(SMALLEST).exp_().sum(dim)
        return -epsilon * (total.log_() + peak.squeeze(dim))


def epsilon_schedule(spread: Tensor, *, epsilon: float, iterations: int, annealing: float) -> Iterator[Tensor]:
    """Each iteration's epsilon (B, 1): geometrically from the pair's own spread down to `epsilon`, then constant.

    Potentials travel about epsilon an iteration, so they cover the range while epsilon is large and settle once it is
    small (Schmitzer 2019, section 3.2). Multiplying costs and epsilon by a factor multiplies the schedule by it.

    Args:
        spread: (B, 1) range of each pair's costs.
        epsilon: the last value.
        iterations: how many values.
        annealing: share of the iterations during which epsilon falls; the last one always has the last value.

    Example:
        >>> import torch
        >>> [e.item() for e in epsilon_schedule(torch.tensor([[8.0]]), epsilon=1.0, iterations=6, annealing=0.5)]
        [8.0, 4.0, 2.0, 1.0, 1.0, 1.0]
    """
    falling = int(annealing * iterations)
    ratio = (spread / epsilon).clamp_min(1)
    for t in range(falling):
        yield epsilon * ratio ** (1 - t / falling)
    for _ in range(falling, iterations):
        yield torch.full_like(ratio, epsilon)


def check_steps(epsilon: float, iterations: int, annealing: float) -> None:
    """Demand settings that an entropic solver can run with.

    Raises:
        TypeError: iterations not an int.
        ValueError: epsilon not above 0, iterations below 1, annealing outside [0, 1).
    """
    check_positive("epsilon", epsilon)
    check_count("iterations", iterations)
    if not 0 <= annealing < 1:
        raise ValueError(f"annealing: expected a share of the iterations in [0, 1), got {annealing}")


def largest(values: Tensor, dim: int = 1) -> Tensor:
    """Maximum along an axis, kept as size 1; -inf where the axis has no entries."""
    if values.shape[dim] == 0:
        return values.new_full([1 if axis == dim else size for axis, size in enumerate(values.shape)], float("-inf"))
    return values.amax(dim, keepdim=True)
