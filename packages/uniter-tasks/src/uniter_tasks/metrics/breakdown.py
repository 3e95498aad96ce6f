"""Means over the groups of a split: question types, answer types, classes, subsets.

E examples.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["mean_by", "mean_over"]


def mean_by(values: ArrayLike, groups: Sequence[str]) -> dict[str, float]:
    """The mean of each group's values, groups in alphabetical order.

    Args:
        values: (E,) a number or truth value an example.
        groups: E names.

    Raises:
        ValueError: not one group a value.

    >>> mean_by([1.0, 0.0, 1.0], ["number", "number", "yes/no"])
    {'number': 0.5, 'yes/no': 1.0}
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (len(groups),):
        raise ValueError(f"groups: expected one for each of the values {numbers.shape}, got {len(groups)}")
    names, rows = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    means = np.bincount(rows, weights=numbers, minlength=len(names)) / np.bincount(rows, minlength=len(names))
    return dict(zip(names.tolist(), means.tolist(), strict=True))


def mean_over(values: ArrayLike, ids: Sequence[str], subset: Collection[str]) -> float:
    """The mean of the values whose id is in the subset.

    Raises:
        ValueError: the subset is empty, or names an id that has no value.

    >>> mean_over([1.0, 0.0, 0.0], ["a", "b", "c"], {"a", "c"})
    0.5
    """
    wanted = frozenset(subset)
    if not wanted:
        raise ValueError("subset: expected at least one id, got none")
    unknown = wanted.difference(ids)
    if unknown:
        raise ValueError(f"subset: {min(unknown)!r} (of {len(unknown)} such ids) is none of the {len(ids)} ids scored")
    chosen = np.fromiter((name in wanted for name in ids), dtype=bool, count=len(ids))
    return float(np.asarray(values, dtype=np.float64)[chosen].mean())
