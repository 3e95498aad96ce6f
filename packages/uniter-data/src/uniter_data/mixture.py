"""Which data set and which objective a training step is about: a pure function of seed and step."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from uniter_core import key_of

__all__ = ["Stage", "TaskMixture"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a stretch of the training is mixed from.

    Attributes:
        until: where it ends, as a share of all steps.
        weights: by data set and objective; only their proportions matter.

    Raises:
        ValueError: a weight is negative, or none is positive.
    """

    until: float
    weights: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        if not 0 < self.until <= 1:
            raise ValueError(f"until: expected a share of the steps, above 0 and at most 1, got {self.until}")
        every = [weight for objectives in self.weights.values() for weight in objectives.values()]
        if not all(0 <= weight < float("inf") for weight in every) or not any(every):
            raise ValueError(f"weights: expected none negative and one positive, got {dict(self.weights)}")

    @property
    def pairs(self) -> dict[tuple[str, str], float]:
        """The positive weights, by (data set, objective)."""
        return {
            (dataset, objective): weight
            for dataset, objectives in self.weights.items()
            for objective, weight in objectives.items()
            if weight
        }


class TaskMixture:
    """Chooses a (data set, objective) for each step; all processes choose the same without talking.

    Args:
        stages: in order; the last must end at 1.
        seed: of the choices.
        steps: of the whole training.

    Raises:
        ValueError: the stages do not follow one another up to 1.

    >>> mixture = TaskMixture([Stage(until=1.0, weights={"captions": {"mlm": 2, "itm": 1}})], seed=0, steps=100)
    >>> mixture.choose(7) == mixture.choose(7)
    True
    """

    def __init__(self, stages: Sequence[Stage], *, seed: int, steps: int) -> None:
        ends = [stage.until for stage in stages]
        if not ends or ends[-1] != 1 or any(a >= b for a, b in pairwise(ends)):
            raise ValueError(f"stages: expected ends that rise to 1, got {ends}")
        if steps < 1:
            raise ValueError(f"steps: expected at least 1, got {steps}")
        self.steps = steps
        self._seed = seed
        self._ends = [round(end * steps) for end in ends]
        self._stages = [stage.pairs for stage in stages]
        self._cumulated = [list(accumulate(stage.values())) for stage in self._stages]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every (data set, objective) that some step may choose."""
        return list(dict.fromkeys(pair for stage in self._stages for pair in stage))

    def choose(self, step: int) -> tuple[str, str]:
        """The data set and objective of a step, from 0.

        Raises:
            ValueError: there is no such step.
        """
        if not 0 <= step < self.steps:
            raise ValueError(f"step: expected 0 to {self.steps - 1}, got {step}")
        stage = bisect_right(self._ends, step)
        ends = self._cumulated[stage]
        drawn = (key_of(self._seed, "mixture", step) >> 10) * 2.0**-53  # in [0, 1): a key has 63 bits
        return list(self._stages[stage])[bisect_right(ends, drawn * ends[-1])]
