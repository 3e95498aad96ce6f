"""What always giving the same answer would reach: the bar below which an objective has learned nothing.

K targets of a batch, D feature width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from uniter_tasks.batch import TaskBatch

__all__ = ["Baseline", "Chance", "MajorityBaseline", "MeanVector", "MostFrequent", "Statistic"]


class Statistic(ABC):
    """Something gathered over batches and told at the end."""

    count: int = 0

    @abstractmethod
    def update(self, targets: Tensor) -> None:
        """Take in the targets of a batch."""

    @abstractmethod
    def result(self) -> float:
        """The metric that the constant answer reaches over all targets taken in (at least one)."""


class MostFrequent(Statistic):
    """Accuracy of always answering the most frequent class. Targets: (K,) integers of at least 0."""

    def __init__(self) -> None:
        self._counts = torch.zeros(0, dtype=torch.int64)

    def update(self, targets: Tensor) -> None:
        """Count the classes."""
        counts = torch.bincount(targets.long().cpu(), minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        self.count += len(targets)

    def result(self) -> float:
        """Share of the most frequent one."""
        return int(self._counts.max()) / self.count


class MeanVector(Statistic):
    """Mean squared error, over all elements, of always answering the mean. Targets: (K, D)."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0

    def update(self, targets: Tensor) -> None:
        """Add up the vectors and their squares."""
        targets = targets.double().cpu()
        self._sum = self._sum + targets.sum(0)
        self._squares = self._squares + targets.square().sum(0)
        self.count += len(targets)

    def result(self) -> float:
        """Variance, averaged over the elements of the vector."""
        mean = torch.as_tensor(self._sum) / self.count
        return float((torch.as_tensor(self._squares) / self.count - mean.square()).mean())


class Chance(Statistic):
    """Accuracy of a blind guess. Targets: (K,) probability of being right by chance."""

    def __init__(self) -> None:
        self._sum = 0.0

    def update(self, targets: Tensor) -> None:
        """Add up the probabilities."""
        self._sum += float(targets.double().sum())
        self.count += len(targets)

    def result(self) -> float:
        """Their mean."""
        return self._sum / self.count


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """How a metric's constant answer is found.

    Attributes:
        statistic: what to gather.
        targets: picks what is gathered out of a batch; empty where a batch has none of it.
    """

    statistic: Callable[[], Statistic]
    targets: Callable[[TaskBatch], Tensor]


class MajorityBaseline:
    """Gathers the baselines of one objective's metrics over its validation batches.

    Args:
        baselines: by metric, as in `Objective.baselines`.

    >>> from uniter_tasks import objective
    >>> baseline = MajorityBaseline(objective("mlm").baselines)
    >>> baseline.result()
    {}
    """

    def __init__(self, baselines: Mapping[str, Baseline]) -> None:
        self._gathered = {metric: (baseline.statistic(), baseline.targets) for metric, baseline in baselines.items()}

    def update(self, batch: TaskBatch) -> None:
        """Take in a batch's targets."""
        for statistic, targets in self._gathered.values():
            statistic.update(targets(batch))

    def result(self) -> dict[str, float]:
        """Metric → what the constant answer reaches; metrics without any target are left out."""
        return {metric: statistic.result() for metric, (statistic, _) in self._gathered.items() if statistic.count}
