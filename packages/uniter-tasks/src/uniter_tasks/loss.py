"""What an objective returns: a sum over targets, their number, and sums for the log."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Loss", "tally"]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss as a sum and a count, so that accumulation and data parallelism never change a number.

    The loop back-propagates `sum` divided by the count of the *global* batch.

    Attributes:
        sum: scalar float32, summed over the targets of the batch; carries the gradient.
        count: number of targets; `sum / count` is the released loss.
        logged: metric name → (2,) float32 [sum, count], detached.
    """

    sum: Tensor
    count: int | Tensor
    logged: dict[str, Tensor] = field(default_factory=dict)

    @property
    def mean(self) -> Tensor:
        """The released loss of this batch alone."""
        return self.sum / self.count


def tally(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """[sum, count] of a quantity: of all values, or of those whose weight is 1. No device synchronisation.

    Args:
        values: any shape, any dtype.
        weights: the same shape, bool or 0/1.

    Returns:
        (2,) float32, detached.

    >>> tally(torch.tensor([True, False, True]), torch.tensor([True, True, False]))
    tensor([1., 2.])
    """
    values = values.detach().float()
    if weights is None:
        return torch.stack((values.sum(), torch.full_like(values.sum(), values.numel())))
    weights = weights.float()
    return torch.stack(((values * weights).sum(), weights.sum()))
