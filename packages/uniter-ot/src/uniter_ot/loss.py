"""The alignment loss: one optimal-transport distance a pair, straight from the vectors, with a fused gradient.

Axes: B pairs, W words, R regions, H width of the compared vectors.
"""

import torch
from torch import Tensor, nn

from uniter_ot.arguments import check_mask, check_matched_points
from uniter_ot.backends import check_backend
from uniter_ot.backends.solution import Steps
from uniter_ot.cosine_transport import cosine_transport
from uniter_ot.cost import cosine_cost
from uniter_ot.ipot import proximal_steps
from uniter_ot.problem import Problem, demands
from uniter_ot.runs import Runs
from uniter_ot.unrolled import unrolled_plan

__all__ = ["GRADIENTS", "AlignmentLoss", "alignment_loss"]

GRADIENTS = ("envelope", "unrolled")
"""What the argument `grad` may be."""


def alignment_loss(
    words: Tensor,
    regions: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    beta: float = 0.5,
    iterations: int = 50,
    schedule: str = "constant",
    backend: str = "auto",
    grad: str = "envelope",
) -> Tensor:
    """The optimal-transport distance between each pair's words and regions (UNITER, section 3.2, WRA).

    Equals ``ipot(cosine_cost(words, regions), ...).distance`` in value and in gradient (the plan held fixed), in less
    time and memory. Deterministic.

    Args:
        words: (B, W, H) any floating dtype. Masked rows may hold anything.
        regions: (B, R, H) likewise.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        word_weights: (B, W) mass of each word, adding up to 1 over a pair's real words; None = equal. No gradient.
        region_weights: (B, R) likewise.
        beta: inverse step size of `ipot`.
        iterations: proximal steps of `ipot`.
        schedule: "constant" or "staged", as in `ipot`.
        backend: "auto", "torch", "cpp" or "triton", as in `ipot`.
        grad: "envelope" holds the plan fixed, as the released code does; "unrolled" differentiates through every
            iteration (slow, much memory, no more accurate: for study), and can be differentiated again.

    Returns:
        (B,) distances in [0, 2], computed and returned in float32 or wider, also under autocast. A pair without words
        or without regions has distance 0 and gradient 0.

    Raises:
        TypeError: integer input, masks that are not boolean, iterations not an int.
        ValueError: shapes that do not go together, beta not above 0, iterations below 1, an unknown schedule, backend
            or gradient, weights that are negative or do not add up to 1, a real vector that is not finite.
        RuntimeError: on differentiating the envelope gradient; a backend asked for by name that cannot run here.

    Example:
        >>> import torch
        >>> words = torch.eye(3)[None].requires_grad_()
        >>> alignment_loss(words, torch.eye(3)[None, [2, 0, 1]]).item() < 1e-3
        True
    """
    check_matched_points(words, regions)
    steps = alignment_steps(beta=beta, iterations=iterations, schedule=schedule, backend=backend, grad=grad)
    a, b = demands(
        check_mask("word_mask", word_mask, words.shape[0], words.shape[1], words.device),
        check_mask("region_mask", region_mask, regions.shape[0], regions.shape[1], regions.device),
        word_weights,
        region_weights,
    )
    if grad == "unrolled":
        return unrolled_distance(words, regions, a, b, steps)
    return cosine_transport(_runs(words, a), _runs(regions, b), steps, backend)


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

    def __init__(
        self,
        *,
        beta: float = 0.5,
        iterations: int = 50,
        schedule: str = "constant",
        backend: str = "auto",
        grad: str = "envelope",
    ) -> None:
        super().__init__()
        alignment_steps(beta=beta, iterations=iterations, schedule=schedule, backend=backend, grad=grad)
        self.beta = beta
        self.iterations = iterations
        self.schedule = schedule
        self.backend = backend
        self.grad = grad

    def forward(
        self,
        words: Tensor,
        regions: Tensor,
        *,
        word_mask: Tensor | None = None,
        region_mask: Tensor | None = None,
        word_weights: Tensor | None = None,
        region_weights: Tensor | None = None,
    ) -> Tensor:
        """Distances (B,) of words (B, W, H) and regions (B, R, H)."""
        return alignment_loss(
            words,
            regions,
            word_mask=word_mask,
            region_mask=region_mask,
            word_weights=word_weights,
            region_weights=region_weights,
            beta=self.beta,
            iterations=self.iterations,
            schedule=self.schedule,
            backend=self.backend,
            grad=self.grad,
        )

    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed: what is not the default, and the steps."""
        said = [f"beta={self.beta}, iterations={self.iterations}"]
        usual = {"schedule": "constant", "backend": "auto", "grad": "envelope"}
        said += [f"{name}={getattr(self, name)!r}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join(said)


def alignment_steps(*, beta: float, iterations: int, schedule: str, backend: str, grad: str = "envelope") -> Steps:
    """The steps of an alignment loss, all of its settings checked.

    Raises:
        TypeError, ValueError: as `alignment_loss` says.
    """
    check_backend(backend)
    if grad not in GRADIENTS:
        raise ValueError(f"grad: expected one of {', '.join(GRADIENTS)}, got {grad!r}")
    return proximal_steps(beta=beta, iterations=iterations, schedule=schedule)


def unrolled_distance(words: Tensor, regions: Tensor, a: Tensor, b: Tensor, steps: Steps) -> Tensor:
    """(B,) distances whose gradient goes through the iterations; padded points (B, L, H), weights (B, L)."""
    # Zeros under the masks, so that nothing that stands there reaches the gradient.
    words, regions = (
        points.masked_fill((weights == 0)[:, :, None], 0) for points, weights in ((words, a), (regions, b))
    )
    cost = cosine_cost(words, regions)
    problem = Problem(cost=cost, word_weights=a.to(cost.dtype), region_weights=b.to(cost.dtype))
    return (unrolled_plan(problem, steps) * cost).sum((1, 2))


def _runs(points: Tensor, weights: Tensor) -> Runs:
    """Padded points (B, L, H) as runs of equal strides."""
    pairs, length, width = points.shape
    starts = torch.arange(pairs, device=points.device) * length
    return Runs(points.reshape(pairs * length, width), starts, weights)
