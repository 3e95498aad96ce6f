"""Chooses what to ask so that neither the type of a question nor its words tell the answer.

The candidates of a picture are ordered by how often their answer was given before: first within their type, then to
the very same question. What is left of a prior is what no picture could even out.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from uniter_data.scenes.annotations.pictures import Picture
from uniter_data.scenes.world import pick

__all__ = ["Candidate", "balanced", "shared_out"]

FEW = 1 / 100  # of what is wanted: after a round through all pictures that yields less, there is no other

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Candidate(Generic[T]):
    """Something that could be asked of a picture.

    Attributes:
        topic: what is asked, however it may be put into words.
        answer: what the picture answers.
        content: whatever is needed to write it down.
        setting: what else of the picture could give the answer away; answers are evened out within it, too.
    """

    topic: Hashable
    answer: str
    content: T
    setting: Hashable = None


def balanced(
    pictures: Sequence[Picture],
    candidates: Callable[[Picture, np.random.Generator], Sequence[Candidate[T]]],
    number: int,
    rng: np.random.Generator,
    *,
    lead: int | None = None,
) -> Iterator[tuple[Picture, T]]:
    """What is asked of pictures in a random order, no topic twice of a picture.

    Args:
        pictures: to ask about, each as often as it stands here if it has enough candidates.
        candidates: of a picture.
        number: how many to yield; fewer come when the pictures have no more.
        rng: draws the order, and among equals.
        lead: pass a picture over where every answer was given so many times more than the rarest that was given.
    """
    balance: _Balance[T] = _Balance(rng)
    asked: set[tuple[Picture, Hashable]] = set()
    before = -1
    while len(asked) > before + FEW * number or before < 0:
        before = len(asked)
        for place in rng.permutation(len(pictures)).tolist():
            if len(asked) >= number:
                return
            picture = pictures[place]
            options = [one for one in candidates(picture, rng) if (picture, one.topic) not in asked]
            if options and not balance.leads(options, by=lead):
                chosen = balance.choose(options)
                asked.add((picture, chosen.topic))
                yield picture, chosen.content


def shared_out(number: int, shares: Mapping[str, int]) -> dict[str, int]:
    """So many in all, in proportion to the shares.

    >>> shared_out(10, {"colour": 2, "count": 1})
    {'colour': 7, 'count': 3}
    """
    total = sum(shares.values())
    bounds = np.round(np.cumsum([0, *shares.values()]) * number / total).astype(int)
    return {name: int(size) for name, size in zip(shares, np.diff(bounds), strict=True)}


class _Balance(Generic[T]):
    """Remembers answers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._given: Counter[str] = Counter()
        self._in_setting: Counter[tuple[Hashable, str]] = Counter()
        self._to_topic: Counter[tuple[Hashable, str]] = Counter()
        self._topics: Counter[Hashable] = Counter()

    def leads(self, options: Sequence[Candidate[T]], *, by: int | None) -> bool:
        """Whether all these answers were given so much more often than another one."""
        if by is None or not self._given:
            return False
        return min(self._given[one.answer] for one in options) > min(self._given.values()) + by

    def choose(self, options: Sequence[Candidate[T]]) -> Candidate[T]:
        """The answer least given; of the questions that have it, the one that most lacks it."""
        often = {one.answer: self._given[one.answer] + self._in_setting[one.setting, one.answer] for one in options}
        answer = pick(self._rng, sorted(name for name, times in often.items() if times == min(often.values())))
        self._given[answer] += 1
        fitting = [one for one in options if one.answer == answer]
        share = 1 / len(self._given)
        lead = [self._to_topic[one.topic, answer] - share * self._topics[one.topic] for one in fitting]
        chosen = pick(self._rng, [one for one, by in zip(fitting, lead, strict=True) if by == min(lead)])
        self._in_setting[chosen.setting, answer] += 1
        self._to_topic[chosen.topic, answer] += 1
        self._topics[chosen.topic] += 1
        return chosen
