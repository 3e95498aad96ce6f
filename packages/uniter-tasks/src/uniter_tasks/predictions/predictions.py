"""What a model said of every example of a split: probabilities, of which the answers are read off.

E examples, P probabilities of all examples one after another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniter_tasks.predictions.ids import refuse_doubled

__all__ = ["Predictions"]

SLACK = 1e-5  # rounding of a softmax
PART = 1 << 24


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Probabilities of a run. `gather` makes one from what a model gives, example by example.

    Attributes:
        task: `vqa`, `nlvr2`, …
        setting: of the task, such as `pair`; empty where it has none.
        ids: E ids, those of the annotation records.
        flat: (P,) float32 probabilities, example after example. Of an example: one an answer (vqa), one a class
            (snli-ve), of false and true (nlvr2), one a region (refexp), of the four answers and then of the four
            rationales given each of them (vcr, 20).
        lengths: (E,) int64, probabilities of each example.
        answers: what the probabilities of vqa and snli-ve stand for.
        boxes: (P, 4) float64 x, y, width, height in pixels of the regions of refexp; None elsewhere.

    Raises:
        ValueError: an id stands twice, sizes do not fit, or a number is no probability.
    """

    task: str
    ids: tuple[str, ...]
    flat: NDArray[np.float32]
    lengths: NDArray[np.int64]
    setting: str = ""
    answers: tuple[str, ...] = ()
    boxes: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        refuse_doubled(self.ids, "ids")
        if self.lengths.shape != (len(self.ids),) or (self.lengths < 1).any():
            raise ValueError(f"lengths: expected {len(self.ids)} of at least 1, got shape {self.lengths.shape}")
        if self.flat.shape != (int(self.lengths.sum()),):
            raise ValueError(f"flat: expected {int(self.lengths.sum())} probabilities, got shape {self.flat.shape}")
        if self.boxes is not None and self.boxes.shape != (len(self.flat), 4):
            raise ValueError(f"boxes: expected ({len(self.flat)}, 4), one a probability, got {self.boxes.shape}")
        wrong = self._improbable()
        if wrong is not None:
            name = self.ids[int(np.searchsorted(self.lengths.cumsum(), wrong, "right"))]
            raise ValueError(f"example {name!r}: expected probabilities from 0 to 1, got {self.flat[wrong]}")

    @classmethod
    def gather(
        cls,
        task: str,
        ids: Sequence[str],
        probabilities: Iterable[ArrayLike],
        *,
        setting: str = "",
        answers: Sequence[str] = (),
        boxes: Iterable[ArrayLike] | None = None,
    ) -> "Predictions":
        """Predictions from the probabilities of each example, of any shape, and the boxes of its regions.

        >>> found = Predictions.gather("nlvr2", ["dev-1-0-0", "dev-1-1-0"], [[0.2, 0.8], [0.6, 0.4]])
        >>> found.rows(2).argmax(axis=1).tolist()
        [1, 0]
        """
        parts = [np.asarray(each, dtype=np.float32).ravel() for each in probabilities]
        return cls(
            task=task,
            setting=setting,
            ids=tuple(ids),
            flat=np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32),
            lengths=np.array([len(part) for part in parts], dtype=np.int64),
            answers=tuple(answers),
            boxes=None if boxes is None else np.concatenate([np.asarray(each, dtype=np.float64) for each in boxes]),
        )

    @property
    def starts(self) -> NDArray[np.int64]:
        """(E,) where the probabilities of each example begin."""
        begin: NDArray[np.int64] = self.lengths.cumsum() - self.lengths
        return begin

    @property
    def probabilities(self) -> list[NDArray[np.float32]]:
        """The probabilities of each example; views."""
        return np.split(self.flat, self.starts[1:]) if self.ids else []

    def rows(self, width: int) -> NDArray[np.float32]:
        """(E, width) probabilities, where all examples have as many; a view.

        Raises:
            ValueError: an example has another number of probabilities.
        """
        if (self.lengths != width).any():
            row = int(np.argmax(self.lengths != width))
            raise ValueError(f"example {self.ids[row]!r}: expected {width} probabilities, got {self.lengths[row]}")
        return self.flat.reshape(-1, width)

    def ordered(self, ids: Sequence[str]) -> "Predictions":
        """The same predictions in another order; `ids` are the same ones."""
        if tuple(ids) == self.ids:
            return self
        place = {name: row for row, name in enumerate(self.ids)}
        rows = np.array([place[name] for name in ids], dtype=np.int64)
        lengths = self.lengths[rows]
        steps = np.arange(int(lengths.sum())) - np.repeat(lengths.cumsum() - lengths, lengths)
        chosen = np.repeat(self.starts[rows], lengths) + steps
        boxes = None if self.boxes is None else self.boxes[chosen]
        return replace(self, ids=tuple(ids), flat=self.flat[chosen], lengths=lengths, boxes=boxes)

    def _improbable(self) -> int | None:
        """The first number outside [0, 1], part by part: there may be billions."""
        for start in range(0, len(self.flat), PART):
            part = self.flat[start : start + PART]
            right = (part >= -SLACK) & (part <= 1 + SLACK)  # false for what is no number
            if not right.all():
                return start + int(np.argmin(right))
        return None
