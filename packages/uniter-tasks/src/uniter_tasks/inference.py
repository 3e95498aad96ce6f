"""Running a model over many samples: evaluation mode, no gradient, batches of a bounded number of units."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["evaluating", "unit_groups"]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[torch.device]:
    """Evaluation mode without gradient; gives the module's device, and its mode back at the end."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield next(module.parameters()).device
    finally:
        module.train(training)


def unit_groups(lengths: Sequence[int], units: int) -> list[slice]:
    """Consecutive runs of items whose lengths add up to at most `units`; an item longer than that stands alone.

    Raises:
        ValueError: `units` is not positive.

    >>> unit_groups([3, 3, 3, 9, 2], 6)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    if units < 1:
        raise ValueError(f"units: expected a positive number, got {units}")
    groups: list[slice] = []
    start, filled = 0, 0
    for row, length in enumerate(lengths):
        if row > start and filled + length > units:
            groups.append(slice(start, row))
            start, filled = row, 0
        filled += length
    if start < len(lengths):
        groups.append(slice(start, len(lengths)))
    return groups
