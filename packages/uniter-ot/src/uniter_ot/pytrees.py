"""Results as trees of tensors, so that they pass through `torch.func.vmap`, `torch.compile` and `torch.export`."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from torch.utils import _pytree as pytree

__all__ = ["register_tree"]


def register_tree(cls: type[Any], *, constants: frozenset[str] = frozenset()) -> None:
    """Make the fields of a dataclass its leaves, except those in `constants` and those that are None: they stay.

    `torch.export.register_dataclass` would make leaves of numbers too, and vmap refuses a result that is a number.
    """
    names = tuple(field.name for field in dataclasses.fields(cls))

    def flatten(value: Any) -> tuple[list[Any], dict[str, Any]]:
        fields = {name: getattr(value, name) for name in names}
        fixed = {name: field for name, field in fields.items() if name in constants or field is None}
        return [field for name, field in fields.items() if name not in fixed], fixed

    def unflatten(leaves: Iterable[Any], fixed: dict[str, Any]) -> Any:
        varying = (name for name in names if name not in fixed)
        return cls(**dict(zip(varying, leaves, strict=True)), **fixed)

    def flatten_with_keys(value: Any) -> tuple[list[tuple[Any, Any]], Any]:
        leaves, fixed = flatten(value)
        varying = (name for name in names if name not in fixed)
        return [(pytree.GetAttrKey(name), leaf) for name, leaf in zip(varying, leaves, strict=True)], fixed

    pytree.register_pytree_node(cls, flatten, unflatten, flatten_with_keys_fn=flatten_with_keys)
