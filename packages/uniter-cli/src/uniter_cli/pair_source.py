"""What pre-training needs of a split of a data set, whether it holds pairs or a task's examples."""

from typing import Protocol

from numpy.typing import ArrayLike

from uniter_core import Sample, Vocabulary
from uniter_data.batches import Pairs

__all__ = ["PairSource"]


class Located(Protocol):
    """A store, or several."""

    @property
    def location(self) -> str:
        """Where it lies."""


class PairSource(Pairs, Protocol):
    """One split to pre-train on: `PairDataset`, whose attributes these are, or `ExamplePairs`."""

    @property
    def split(self) -> str:
        """Of the data set."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the texts."""

    @property
    def region_dim(self) -> int:
        """Feature width."""

    @property
    def num_classes(self) -> int:
        """Classes of the soft labels; 0 if there are none."""

    @property
    def hard_labels(self) -> bool:
        """Whether one class is all that is known of a region."""

    @property
    def has_gold(self) -> bool:
        """Whether words are linked to the regions they name."""

    @property
    def regions(self) -> Located:
        """Where the regions are read from."""

    def __len__(self) -> int: ...

    def samples(
        self,
        indices: ArrayLike,
        *,
        image_rows: ArrayLike | None = None,
        matched: ArrayLike | None = None,
        keys: ArrayLike | None = None,
    ) -> list[Sample]:
        """Pairs, their texts and regions fetched together."""
