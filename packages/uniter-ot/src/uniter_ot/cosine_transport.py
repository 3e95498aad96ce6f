"""Cosine cost, plan and distance in one operator, with a fused gradient.

With x_i a word, y_j a region, S their cosines and T the plan, the distance is sum T (1 - S). By the envelope theorem
its gradient holds T fixed, which leaves, for norms above the clamp::

    d distance / d x_i = x_i (sum_j T_ij S_ij) / |x_i|^2  -  sum_j T_ij y_j / (|x_i| |y_j|)

and likewise for y_j. That is linear in the vectors themselves, with coefficients of the plan's size: they are all that
the backward pass needs beside its inputs. Autograd through `cosine_cost` would keep both normalised sets of vectors.

Axes: B pairs, W words, R regions, N rows, H width of the compared vectors.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from uniter_ot.arguments import working_dtype
from uniter_ot.backends import solver
from uniter_ot.backends.solution import Steps
from uniter_ot.batching import register_folding
from uniter_ot.cost import SMALLEST_NORM
from uniter_ot.runs import Runs

__all__ = ["cosine_transport"]

LARGEST_PRODUCT = 1e30
"""Vectors whose norms multiply to more are normalised before their products are taken, which might overflow."""


def cosine_transport(words: Runs, regions: Runs, steps: Steps, backend: str) -> Tensor:
    """(B,) distances of pairs whose points have any floating dtype; computed in float32 or wider.

    Raises:
        ValueError: a present vector that is not finite.
        RuntimeError: a backend that cannot run here; on differentiating twice.
    """
    # An encoder's units are both sides' rows at once; torch.compile wants two tensors.
    other_rows = regions.rows[:] if regions.rows is words.rows else regions.rows
    distance: Tensor = _CosineTransport.apply(
        words.rows, other_rows, words.starts, regions.starts, words.weights, regions.weights,
        *steps.flat, backend,
    )[0]  # fmt: skip
    return distance


@torch.library.custom_op("uniter_ot::cosine_transport", mutates_args=())
def _cosine_transport(
    words: Tensor,
    regions: Tensor,
    word_starts: Tensor,
    region_starts: Tensor,
    word_weights: Tensor,
    region_weights: Tensor,
    beta: float,
    counts: Sequence[int],
    powers: Sequence[int],
    inner: int,
    relaxation: float,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    steps = Steps.of_flat(beta, counts, powers, inner, relaxation)
    dtype = working_dtype(words, regions)
    x = Runs(words.to(dtype), word_starts, word_weights.to(dtype))
    y = Runs(regions.to(dtype), region_starts, region_weights.to(dtype))
    with torch.autocast(words.device.type, enabled=False):
        x_norm, y_norm = x.norms(), y.norms()
        x_scale, y_scale = x_norm.clamp_min(SMALLEST_NORM).reciprocal(), y_norm.clamp_min(SMALLEST_NORM).reciprocal()
        if _largest_product(x_norm, y_norm) < LARGEST_PRODUCT:
            cosine = x.products(y).mul_(x_scale[:, :, None]).mul_(y_scale[:, None, :])
        else:
            cosine = x.scaled(x_scale).products(y.scaled(y_scale))
        solution = solver(backend, cosine)(1 - cosine, x.weights, y.weights, steps)
    # The coefficients of the gradient (module docstring): of the other side's vectors, and of a vector itself.
    carried = cosine.mul_(solution.plan)
    own_words = carried.sum(2) * x_scale.square() * (x_norm >= SMALLEST_NORM)
    own_regions = carried.sum(1) * y_scale.square() * (y_norm >= SMALLEST_NORM)
    coupling = solution.plan.mul_(x_scale[:, :, None]).mul_(y_scale[:, None, :]).neg_()
    return solution.distance, coupling, own_words, own_regions


@_cosine_transport.register_fake
def _(
    words: Tensor, regions: Tensor, word_starts: Tensor, region_starts: Tensor, word_weights: Tensor,
    region_weights: Tensor, *settings: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    empty = torch.empty((), dtype=working_dtype(words, regions), device=words.device).new_empty
    pairs, length = word_weights.shape
    other = region_weights.shape[1]
    return empty((pairs,)), empty((pairs, length, other)), empty((pairs, length)), empty((pairs, other))


def _largest_product(x_norm: Tensor, y_norm: Tensor) -> float:
    """The largest product of two norms; looks at the values, so it is also where infinite and NaN vectors are found."""
    if not (x_norm.numel() and y_norm.numel()):
        return 0.0
    product = (x_norm.amax().double() * y_norm.amax().double()).item()
    if product < float("inf"):
        return product
    for name, norm in ("words", x_norm), ("regions", y_norm):
        bad = (~norm.isfinite()).nonzero()
        if len(bad):
            pair, row = bad[0].tolist()
            raise ValueError(
                f"{name}: expected finite vectors, got norm {norm[pair, row].item()} for pair {pair}, row {row}"
            )
    return product


@torch.library.custom_op("uniter_ot::cosine_transport_gradient", mutates_args=())
def _held_gradient(
    gradient: Tensor,
    words: Tensor,
    regions: Tensor,
    word_starts: Tensor,
    region_starts: Tensor,
    word_weights: Tensor,
    region_weights: Tensor,
    coupling: Tensor,
    own_words: Tensor,
    own_regions: Tensor,
    wants_words: bool,
    wants_regions: bool,
) -> tuple[Tensor, Tensor]:
    x = Runs(words.to(coupling.dtype), word_starts, word_weights)
    y = Runs(regions.to(coupling.dtype), region_starts, region_weights)
    with torch.autocast(words.device.type, enabled=False):
        gradient = gradient[:, None]
        coupling = coupling * gradient[:, :, None]
        grad_words, grad_regions = words.new_empty(0), regions.new_empty(0)
        if wants_words:
            grad_words = x.mixed(y, coupling, own_words * gradient).to(words.dtype)
        if wants_regions:
            grad_regions = y.mixed(x, coupling.mT, own_regions * gradient).to(regions.dtype)
    return grad_words, grad_regions


@_held_gradient.register_fake
def _(gradient: Tensor, words: Tensor, regions: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    wants_words, wants_regions = rest[-2:]
    return (
        torch.empty_like(words) if wants_words else words.new_empty(0),
        torch.empty_like(regions) if wants_regions else regions.new_empty(0),
    )


register_folding(_cosine_transport, starts={2: 0, 3: 1})
register_folding(_held_gradient, starts={3: 1, 4: 2})


class _CosineTransport(torch.autograd.Function):
    """The distances, with what the gradient needs kept."""

    generate_vmap_rule = True

    @staticmethod
    def forward(  # every argument by name: torch.compile counts them
        words: Tensor,
        regions: Tensor,
        word_starts: Tensor,
        region_starts: Tensor,
        word_weights: Tensor,
        region_weights: Tensor,
        beta: float,
        counts: Sequence[int],
        powers: Sequence[int],
        inner: int,
        relaxation: float,
        backend: str,
    ) -> tuple[Tensor, ...]:
        solved: tuple[Tensor, ...] = _cosine_transport(
            words, regions, word_starts, region_starts, word_weights, region_weights,
            beta, counts, powers, inner, relaxation, backend,
        )  # fmt: skip
        return solved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs[:6], *output[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[:2]
        grads = _HeldGradient.apply(gradients[0], *ctx.saved_tensors, *wanted)
        return *(grad if wants else None for grad, wants in zip(grads, wanted, strict=True)), *(None,) * 10


class _HeldGradient(torch.autograd.Function):
    """The gradient as a node of its own, so that differentiating it again fails, and says why."""

    generate_vmap_rule = True

    @staticmethod
    def forward(  # every argument by name: torch.compile counts them
        gradient: Tensor,
        words: Tensor,
        regions: Tensor,
        word_starts: Tensor,
        region_starts: Tensor,
        word_weights: Tensor,
        region_weights: Tensor,
        coupling: Tensor,
        own_words: Tensor,
        own_regions: Tensor,
        wants_words: bool,
        wants_regions: bool,
    ) -> tuple[Tensor, Tensor]:
        grads: tuple[Tensor, Tensor] = _held_gradient(
            gradient, words, regions, word_starts, region_starts, word_weights, region_weights,
            coupling, own_words, own_regions, wants_words, wants_regions,
        )  # fmt: skip
        return grads

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise RuntimeError(
            "alignment_loss cannot be differentiated twice: its gradient holds the transport plan fixed, so a second "
            "derivative would leave out how the plan moves. Detach its gradient from what is differentiated again, or "
            'differentiate through the iterations with grad="unrolled".'
        )
