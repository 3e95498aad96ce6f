"""Groups for ranking with hard negatives: random ones, and behind them some that were mined over the whole data set."""

# T texts, B pairs, I other images, K other texts, M mined candidates

import numpy as np
import torch
from numpy.typing import NDArray

from uniter_core import uniforms, unit_keys
from uniter_data.batches import Pairs
from uniter_data.mining import HardTable
from uniter_data.negatives import Negatives, RandomNegatives, drawn_in_parts, group_units

__all__ = ["MinedNegatives"]


class MinedNegatives:
    """Draws the negatives of a data set's pairs, of both kinds.

    The hard ones are drawn among the pair's mined candidates that the random draw does not show already, each as
    likely as the others, by the pair's key. Where too few are left, random ones stand in: a group has always the same
    number of images and texts, and none twice.

    Args:
        dataset: the pairs.
        images: random other images for each text.
        texts: random other texts for each image.
        hard: mined images for each text, and mined texts for each image.

    Attributes:
        table: what was mined last; None = nothing yet, all are random. What is drawn changes with it, so that batches
            in units are to be drawn anew.

    Raises:
        ValueError: as `RandomNegatives`; `hard` is not positive.
    """

    def __init__(self, dataset: Pairs, *, images: int, texts: int, hard: int) -> None:
        if hard < 1:
            raise ValueError(f"hard: expected at least 1, got {hard}")
        self.table: HardTable | None = None
        self._dataset = dataset
        self._random = RandomNegatives(dataset, images=images + hard, texts=texts + hard)
        self._hard = hard

    @property
    def largest(self) -> int:
        """Units that the largest group may have, whatever is mined."""
        return self._random.largest

    def draw(self, indices: NDArray[np.int64], keys: NDArray[np.int64]) -> Negatives:
        """The negatives of some texts (B,) with their images, by the keys (B,) of the pairs; the hard ones last."""
        drawn = self._random.draw(indices, keys)
        if self.table is None:
            return drawn
        images, texts = self.table.images[indices], self.table.texts[self._dataset.image_rows[indices]]
        return Negatives(
            image_rows=_with_hard(drawn.image_rows, images, keys, hard=self._hard, stream="image"),
            texts=_with_hard(drawn.texts, texts, keys, hard=self._hard, stream="text"),
        )

    def units(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """(T,) words and regions of every pair's group, by the keys (T,) of the pairs."""
        mined = 0 if self.table is None else self.table.images.shape[1]
        parts = drawn_in_parts(self.draw, keys, width=self._random.width * (1 + mined))
        return group_units(self._dataset, parts)


# ---------------------------------------------------------------------------------------------------------------------


def _with_hard(
    drawn: NDArray[np.int64], mined: NDArray[np.int32], keys: NDArray[np.int64], *, hard: int, stream: str
) -> NDArray[np.int64]:
    """(B, I) random negatives whose last `hard` give way to mined ones (B, M), as far as there are any."""
    taken = (mined < 0) | (mined[:, :, None] == drawn[:, None, :]).any(axis=2)
    own = unit_keys(torch.from_numpy(keys), torch.full((len(keys),), mined.shape[1]))
    order = np.where(taken, 1.0, uniforms(own, f"mined {stream}").numpy().reshape(mined.shape))
    chosen = np.argsort(order, axis=1, kind="stable")[:, :hard]
    free = ~np.take_along_axis(taken, chosen, axis=1)
    found = drawn.copy()
    found[:, -hard:][free] = np.take_along_axis(mined, chosen, axis=1)[free]
    return found
