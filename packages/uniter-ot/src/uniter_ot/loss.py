"""The alignment loss: one optimal-transport distance a pair, straight from the vectors, with a fused gradient.

Axes: B pairs, W words, R regions, H width of the compared vectors.

With x_i a word, y_j a region, S their cosines and T the plan, the distance is sum T (1 - S). By the envelope theorem
its gradient holds T fixed, which leaves, for norms above the clamp::

    d distance / d x_i = x_i (sum_j T_ij S_ij) / |x_i|^2  -  sum_j T_ij y_j / (|x_i| |y_j|)

and likewise for y_j. That is linear in the vectors themselves, with coefficients of the plan's size: they are all that
the backward pass needs beside its inputs. Autograd through `cosine_cost` would keep both normalised sets of vectors.
"""

from typing import Any

import torch
from torch import Tensor, nn

from uniter_ot.arguments import check_count, check_mask, check_matched_points, check_positive, working_dtype
from uniter_ot.cost import SMALLEST_NORM
from uniter_ot.ipot import ipot

__all__ = ["AlignmentLoss", "alignment_loss"]


def alignment_loss(
    words: Tensor,
    regions: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    beta: float = 0.5,
    iterations: int = 50,
) -> Tensor:
    """The optimal-transport distance between each pair's words and regions (UNITER, section 3.2, WRA).

    Equals ``ipot(cosine_cost(words, regions), ...).distance`` in value and in gradient (the plan held fixed), in less
    time and memory. Deterministic.

    Args:
        words: (B, W, H) any floating dtype. Masked rows may hold anything.
        regions: (B, R, H) likewise.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        beta: inverse step size of `ipot`.
        iterations: proximal steps of `ipot`.

    Returns:
        (B,) distances in [0, 2], computed and returned in float32 or wider, also under autocast. A pair without words
        or without regions has distance 0 and gradient 0.

    Raises:
        TypeError: integer input, masks that are not boolean, iterations not an int.
        ValueError: shapes that do not go together, beta not above 0, iterations below 1, a real vector
            that is not finite.
        RuntimeError: on differentiating twice.

    Example:
        >>> import torch
        >>> words = torch.eye(3)[None].requires_grad_()
        >>> alignment_loss(words, torch.eye(3)[None, [2, 0, 1]]).item() < 1e-3
        True
    """
    check_matched_points(words, regions)
    check_positive("beta", beta)
    check_count("iterations", iterations)
    word_mask = check_mask("word_mask", word_mask, words.shape[0], words.shape[1], words.device)
    region_mask = check_mask("region_mask", region_mask, regions.shape[0], regions.shape[1], regions.device)
    distance: Tensor = _CosineTransport.apply(words, regions, word_mask, region_mask, beta, iterations)
    return distance


class AlignmentLoss(nn.Module):
    """`alignment_loss` as a module that remembers its settings.

    Example:
        >>> import torch
        >>> loss = AlignmentLoss(iterations=20)
        >>> loss
        AlignmentLoss(beta=0.5, iterations=20)
        >>> loss(torch.ones(2, 4, 8), torch.ones(2, 3, 8)).round(decimals=4).abs()
        tensor([0., 0.])
    """

    def __init__(self, *, beta: float = 0.5, iterations: int = 50) -> None:
        super().__init__()
        check_positive("beta", beta)
        check_count("iterations", iterations)
        self.beta = beta
        self.iterations = iterations

    def forward(
        self, words: Tensor, regions: Tensor, *, word_mask: Tensor | None = None, region_mask: Tensor | None = None
    ) -> Tensor:
        """Distances (B,) of words (B, W, H) and regions (B, R, H)."""
        return alignment_loss(
            words, regions, word_mask=word_mask, region_mask=region_mask, beta=self.beta, iterations=self.iterations
        )

    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed."""
        return f"beta={self.beta}, iterations={self.iterations}"


class _CosineTransport(torch.autograd.Function):
    """Cosine cost, plan and distance in one node of the graph."""

    @staticmethod
    def forward(
        ctx: Any,
        words: Tensor,
        regions: Tensor,
        word_mask: Tensor,
        region_mask: Tensor,
        beta: float,
        iterations: int,
    ) -> Tensor:
        dtype = working_dtype(words, regions)
        with torch.autocast(words.device.type, enabled=False):
            x, x_scale, x_free = _normalised("words", words.to(dtype), word_mask)
            y, y_scale, y_free = _normalised("regions", regions.to(dtype), region_mask)
            cosine = x @ y.mT
            solved = ipot(1 - cosine, word_mask=word_mask, region_mask=region_mask, beta=beta, iterations=iterations)
        # The coefficients of the gradient (module docstring): of the other side's vectors, and of a vector itself.
        carried = solved.plan * cosine
        coupling = x_scale * solved.plan * y_scale.mT
        own_words = carried.sum(2, keepdim=True) * x_scale.square() * x_free
        own_regions = carried.sum(1)[:, :, None] * y_scale.square() * y_free
        ctx.save_for_backward(words, regions, word_mask, region_mask, coupling, own_words, own_regions)
        return solved.distance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        grad_words, grad_regions = _HeldGradient.apply(gradient, *ctx.needs_input_grad[:2], *ctx.saved_tensors)
        return grad_words, grad_regions, None, None, None, None


class _HeldGradient(torch.autograd.Function):
    """The gradient of `_CosineTransport` as a node of its own, so that differentiating it again fails, and says why."""

    @staticmethod
    def forward(
        ctx: Any,
        gradient: Tensor,
        wants_words: bool,
        wants_regions: bool,
        words: Tensor,
        regions: Tensor,
        word_mask: Tensor,
        region_mask: Tensor,
        coupling: Tensor,
        own_words: Tensor,
        own_regions: Tensor,
    ) -> tuple[Tensor | None, Tensor | None]:
        gradient = gradient[:, None, None]
        with torch.autocast(words.device.type, enabled=False):
            coupling = coupling * gradient
            x = _real_rows(words.to(coupling.dtype), word_mask)
            y = _real_rows(regions.to(coupling.dtype), region_mask)
            grad_words = grad_regions = None
            if wants_words:
                grad_words = torch.baddbmm(x * (own_words * gradient), coupling, y, alpha=-1).to(words.dtype)
            if wants_regions:
                grad_regions = torch.baddbmm(y * (own_regions * gradient), coupling.mT, x, alpha=-1).to(regions.dtype)
        return grad_words, grad_regions

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise RuntimeError(
            "alignment_loss cannot be differentiated twice: its gradient holds the transport plan fixed, so a second "
            "derivative would leave out how the plan moves. Detach its gradient from what is differentiated again."
        )


def _real_rows(points: Tensor, mask: Tensor) -> Tensor:
    """Points (B, L, H) with masked rows 0: whatever stands there, NaN included, must not meet a product."""
    return points.masked_fill(~mask[:, :, None], 0)


def _normalised(name: str, points: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors (B, L, H); 1/norm (B, L, 1); (B, L, 1) 1 where the norm moves with its vector, 0 where clamped."""
    points = _real_rows(points, mask)
    norm = torch.linalg.vector_norm(points, dim=2, keepdim=True)
    if not norm.isfinite().all():
        pair, row, _ = (~norm.isfinite()).nonzero()[0].tolist()
        raise ValueError(
            f"{name}: expected finite vectors, got norm {norm[pair, row].item()} for pair {pair}, row {row}"
        )
    scale = norm.clamp_min(SMALLEST_NORM).reciprocal()
    return points * scale, scale, (norm >= SMALLEST_NORM).to(points.dtype)
