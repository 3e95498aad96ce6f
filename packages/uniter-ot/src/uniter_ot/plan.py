"""The answer of a solver: the plan, its value, and what one needs to trust it.

Axes: B pairs, W words, R regions.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from uniter_ot.bounds import dual_lower_bound, primal_upper_bound
from uniter_ot.packed_plan import PackedPlan, pack_plan
from uniter_ot.problem import Problem
from uniter_ot.pytrees import register_tree
from uniter_ot.rounding import round_to_marginals
from uniter_ot.summary import summary_line, summary_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from rich.table import Table

__all__ = ["CONVERGED_ERROR", "TransportPlan", "measured_plan"]

CONVERGED_ERROR = 1e-3
"""A pair has converged when neither marginal is off by more than this share of the total mass (L1)."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TransportPlan:
    """How the mass of each pair's words is spread over its regions.

    Beside the fields: `round` and `to_packed`, `best_regions`, the proofs `lower_bound`, `upper_bound` and `gap`, and
    pictures of it: `repr`, a table for `rich.print`, `plot`. It is a tree of tensors to `torch.utils._pytree`.

    Attributes:
        plan: (B, W, R) non-negative, 0 at absent entries, total mass 1 a pair (0 for a pair without words or regions);
            float32 or wider; never carries a gradient.
        distance: (B,) the plan's cost ``sum(plan * cost)``. Where the cost requires a gradient, so does the distance:
            by the envelope theorem, with the plan held fixed.
        word_error: (B,) L1 distance between the plan's word marginal and the demanded one.
        region_error: (B,) the same for regions.
        iterations: how many outer iterations were made.
        converged: (B,) bool: for balanced solvers, both errors at most `CONVERGED_ERROR`.
        problem: what was asked: the cost and the demanded marginals.
        word_potential: (B, W) the words' dual variable in units of the cost, 0 at absent words; None where the solver
            has no dual of the balanced problem.
        region_potential: (B, R) likewise.
    """

    plan: Tensor
    distance: Tensor
    word_error: Tensor
    region_error: Tensor
    iterations: int
    converged: Tensor
    problem: Problem
    word_potential: Tensor | None = None
    region_potential: Tensor | None = None

    @property
    def best_regions(self) -> Tensor:
        """(B, W) int64, the region that gets most of each word; -1 at words that are absent or have no region."""
        if not self.plan.shape[2]:
            return self.plan.new_full(self.plan.shape[:2], -1, dtype=torch.int64)
        return self.plan.argmax(2).masked_fill(~self.problem.real.any(2), -1)

    @property
    def has_dual(self) -> bool:
        """Whether the solver left potentials, and `lower_bound` and `gap` are to be had."""
        return self.region_potential is not None

    @cached_property
    def lower_bound(self) -> Tensor:
        """(B,) float64: the exact distance is proved to be at least this (`dual_lower_bound`).

        Raises:
            ValueError: the solver has no dual of the balanced problem.
        """
        if self.region_potential is None:
            raise ValueError(
                "this plan has no potentials: its solver has no dual of the balanced problem to bound the distance with"
            )
        return dual_lower_bound(self.problem, self.region_potential)

    @cached_property
    def upper_bound(self) -> Tensor:
        """(B,) float64: the exact distance is proved to be at most this, the cost of the rounded plan.

        Raises:
            ValueError: the problem is not balanced.
        """
        return primal_upper_bound(self.problem, self.plan)

    @cached_property
    def gap(self) -> Tensor:
        """(B,) float64 at least 0: how far the rounded plan's cost is above the optimum at most.

        Certified by duality, not estimated: ``upper_bound - lower_bound``. Computed once, when first asked for.

        Raises:
            ValueError: the solver has no dual of the balanced problem.
        """
        lower = self.lower_bound
        return (self.upper_bound - lower).clamp_min(0)

    def round(self) -> "TransportPlan":
        """The same answer with a plan whose marginals are exact (`round_to_marginals`); its distance is no less than
        the exact one. The distance carries the gradient of the rounded plan's cost, that plan held fixed.

        Raises:
            ValueError: the problem is not balanced.
        """
        return measured_plan(
            round_to_marginals(self.plan, self.problem.word_weights, self.problem.region_weights),
            self.problem,
            iterations=self.iterations,
            word_potential=self.word_potential,
            region_potential=self.region_potential,
        )

    def to_packed(self) -> PackedPlan:
        """The plans of all pairs one after another, rows and columns of absent points left out."""
        return pack_plan(self.plan, self.problem.word_weights > 0, self.problem.region_weights > 0)

    def plot(
        self,
        pair: int = 0,
        *,
        words: "Sequence[str] | None" = None,
        regions: "Sequence[str] | None" = None,
        axes: "Axes | None" = None,
    ) -> "Axes":
        """Draw one pair's plan as a heat map: each word's row says how it is shared out over the regions.

        Args:
            pair: which pair.
            words: names of the pair's words: of all W, or of the present ones only; None = their indices.
            regions: names of its regions likewise.
            axes: matplotlib axes to draw into; None = a new figure of fitting size.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib is not installed (``pip install 'uniter-ot[plot]'``).
            ValueError: names that are neither as many as the points nor as the present ones; an empty pair.
            IndexError: no such pair.
        """
        from uniter_ot.heatmap import draw_plan

        return draw_plan(self, pair, words=words, regions=regions, axes=axes)

    def __repr__(self) -> str:
        return f"TransportPlan({summary_line(self)})"

    def __rich__(self) -> "Table":
        return summary_table(self)


register_tree(TransportPlan, constants=frozenset({"iterations"}))
register_tree(Problem)


def measured_plan(
    plan: Tensor,
    problem: Problem,
    *,
    iterations: int,
    converged: Tensor | None = None,
    word_potential: Tensor | None = None,
    region_potential: Tensor | None = None,
) -> TransportPlan:
    """Put a solver's plan together with its value and errors.

    Args:
        plan: (B, W, R), 0 at absent entries.
        problem: what was asked.
        iterations: how many outer iterations were made.
        converged: (B,) bool; None = by the marginal errors.
        word_potential: (B, W) in units of the cost, or None.
        region_potential: (B, R) likewise.
    """
    plan = plan.detach()
    word_error = (plan.sum(2) - problem.word_weights).abs().sum(1)
    region_error = (plan.sum(1) - problem.region_weights).abs().sum(1)
    if converged is None:
        converged = torch.maximum(word_error, region_error) <= CONVERGED_ERROR
    return TransportPlan(
        plan=plan,
        distance=(plan * problem.real_cost).sum((1, 2)),
        word_error=word_error,
        region_error=region_error,
        iterations=iterations,
        converged=converged,
        problem=problem,
        word_potential=word_potential,
        region_potential=region_potential,
    )
