"""The solver as one operator: torch.compile sees through it, vmap folds into it, autograd holds its plan fixed.

Axes: B pairs, W words, R regions.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from uniter_ot.backends import solver
from uniter_ot.backends.solution import Solution, Steps
from uniter_ot.batching import register_folding
from uniter_ot.range_check import not_finite

__all__ = ["transport"]


def transport(cost: Tensor, word_weights: Tensor, region_weights: Tensor, steps: Steps, backend: str) -> Solution:
    """Solve with the named backend; the distance carries the envelope gradient to the cost, nothing else a gradient.

    Raises:
        ValueError: a real cost that is not finite, or one whose ratio to beta overflows.
        RuntimeError: a backend that cannot run here.
    """
    # Without a gradient to hold, the node is left out: it costs as much as solving a small batch.
    solve = _HeldPlan.apply if cost.requires_grad and torch.is_grad_enabled() else _transport
    solved = solve(cost, word_weights, region_weights, *steps.flat, backend)
    return Solution(*solved)


@torch.library.custom_op("uniter_ot::transport", mutates_args=())
def _transport(
    cost: Tensor,
    word_weights: Tensor,
    region_weights: Tensor,
    beta: float,
    counts: Sequence[int],
    powers: Sequence[int],
    inner: int,
    relaxation: float,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    steps = Steps.of_flat(beta, counts, powers, inner, relaxation)
    solution = solver(backend, cost)(cost, word_weights, region_weights, steps)
    # One look at the results, so that a GPU is waited for once.
    if not bool(solution.distance.isfinite().all()):
        raise _not_finite(cost, word_weights, region_weights, beta)
    return solution


@_transport.register_fake
def _(
    cost: Tensor, word_weights: Tensor, region_weights: Tensor, *settings: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    pairs, words, regions = cost.shape
    plan, value = cost.new_empty((pairs, words, regions)), [cost.new_empty((pairs,)) for _ in range(3)]
    return plan, value[0], value[1], value[2], cost.new_empty((pairs, words)), cost.new_empty((pairs, regions))


register_folding(_transport)


class _HeldPlan(torch.autograd.Function):
    """Danskin's theorem: at the optimum the derivative of min <T, C> by C is T. Only the distance has a gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(  # every argument by name: torch.compile counts them
        cost: Tensor,
        word_weights: Tensor,
        region_weights: Tensor,
        beta: float,
        counts: Sequence[int],
        powers: Sequence[int],
        inner: int,
        relaxation: float,
        backend: str,
    ) -> tuple[Tensor, ...]:
        solved: tuple[Tensor, ...] = _transport(
            cost, word_weights, region_weights, beta, counts, powers, inner, relaxation, backend
        )
        return solved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        plan, _, *measures = output
        ctx.mark_non_differentiable(plan, *measures)
        ctx.save_for_backward(plan)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (plan,) = ctx.saved_tensors
        return gradients[1][:, None, None] * plan, *(None,) * 8


def _not_finite(cost: Tensor, word_weights: Tensor, region_weights: Tensor, beta: float) -> ValueError:
    real = (word_weights > 0)[:, :, None] & (region_weights > 0)[:, None, :]
    return not_finite(cost.masked_fill(~real, 0)) or ValueError(
        f"beta: {beta} is too small for costs of this range; cost / beta overflows {cost.dtype}"
    )
