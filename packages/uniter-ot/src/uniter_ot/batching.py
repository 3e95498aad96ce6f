"""`torch.vmap` of a custom operator whose tensors all begin with the batch axis: fold the new axis into that one.

Axes: V the axis that vmap adds, B pairs, N rows.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

__all__ = ["register_folding"]


def register_folding(operator: Any, *, starts: Mapping[int, int] = MappingProxyType({})) -> None:
    """Let `operator`, whose tensor arguments and results are all (B, ...), run under `torch.func.vmap`.

    Its pairs do not know each other, so V batches of B pairs are one batch of V B pairs.

    Args:
        operator: a custom operator.
        starts: arguments, by position, that number the rows of another argument: they are counted on.
    """

    def folded(info: Any, in_dims: Sequence[int | None], *arguments: Any) -> tuple[Any, Any]:
        size = info.batch_size
        values = [_fold(value, dim, size) for value, dim in zip(arguments, in_dims, strict=True)]
        for position, rows in starts.items():
            per_batch, pairs = len(values[rows]) // size, len(values[position]) // size
            shift = torch.arange(size, device=values[position].device).repeat_interleave(pairs) * per_batch
            values[position] = values[position] + shift
        results = operator(*values)
        if isinstance(results, Tensor):
            return _unfold(results, size), 0
        return tuple(_unfold(result, size) for result in results), (0,) * len(results)

    operator.register_vmap(folded)


def _fold(value: Any, dim: int | None, size: int) -> Any:
    """(V, B, ...) -> (V B, ...), an argument that vmap does not split repeated; anything but a tensor as it is."""
    if not isinstance(value, Tensor):
        return value
    value = value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)
    return value.reshape(-1, *value.shape[2:])


def _unfold(value: Tensor, size: int) -> Tensor:
    return value.reshape(size, value.shape[0] // size, *value.shape[1:])
