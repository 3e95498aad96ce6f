"""What a task's predictions look like: how answers are read off probabilities, written, read back and scored.

E examples.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike

from uniter_tasks.metrics.confidence import bootstrap_interval
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["PredictionFormat", "ScoreOptions", "labels"]


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """What a score may add to the numbers of the official scorer.

    Attributes:
        subsets: name → identifiers (nlvr2: balanced, unbalanced).
        phenomena: name → sentences (nlvr2).
        draws: resamples of the 95 % intervals; 0 = no intervals.
        seed: of the resamples.
    """

    subsets: Mapping[str, Collection[str]] = field(default_factory=dict)
    phenomena: Mapping[str, Collection[str]] = field(default_factory=dict)
    draws: int = 2000
    seed: int = 0

    def interval(self, name: str, values: ArrayLike) -> dict[str, list[float]]:
        """The interval of a mean under the name it gets; nothing where none is asked for."""
        if not self.draws:
            return {}
        numbers = np.asarray(values, dtype=np.float64)
        return {f"{name}_interval": list(bootstrap_interval(numbers, draws=self.draws, seed=self.seed))}


@dataclass(frozen=True, kw_only=True)
class PredictionFormat:
    """A value a task has.

    Attributes:
        task: its name.
        id_field: field of an annotation record whose text is the id of a prediction.
        suffix: of the official file.
        decode: what the official file says of each example.
        write: writes that to an open text file, given the ids.
        read: place, id and what is said of it, entry by entry.
        score: what the official scorer says, from what is said of each example and its record, in the same order.
    """

    task: str
    id_field: str
    suffix: str
    decode: Callable[[Predictions], list[Any]]
    write: Callable[[IO[str], Sequence[str], Sequence[Any]], None]
    read: Callable[[Path], Iterator[tuple[str, str, Any]]]
    score: Callable[[Sequence[Any], Sequence[Mapping[str, Any]], ScoreOptions], dict[str, Any]]


def labels(records: Sequence[Mapping[str, Any]], name: str, id_field: str) -> list[Any]:
    """A field of every record.

    Raises:
        ValueError: a record lacks it.
    """
    found = [record.get(name) for record in records]
    if any(value is None for value in found):
        record = records[next(row for row, value in enumerate(found) if value is None)]
        raise ValueError(
            f"record {record.get(id_field)!s} has no {name!r}: without labels only the task's server can score"
        )
    return found
