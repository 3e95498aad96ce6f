"""A grid larger than memory: texts and images are read as their block comes up.

T texts, I images.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uniter_core import Sample
from uniter_tasks.grid.blocks import Block
from uniter_tasks.grid.scoring import MatchScorer, score_block

__all__ = ["Gallery", "score_blocks"]


class Gallery(Protocol):
    """The texts and images of a grid."""

    def texts(self, rows: slice) -> Sequence[Sample]:
        """Samples that have only words."""

    def images(self, columns: slice) -> Sequence[Sample]:
        """Samples that have only regions."""


def score_blocks(
    scorer: MatchScorer, gallery: Gallery, blocks: Iterable[Block], *, units: int
) -> Iterator[tuple[Block, NDArray[np.float32]]]:
    """Each block with its scores, (texts, images) of the block.

    Memory holds one block; neighbours that share their images share what was read and embedded of them.

    Args:
        scorer: the model.
        gallery: texts and images.
        blocks: in the order they are scored.
        units: words and regions of a batch at most.
    """
    shown, images = None, None
    for block in blocks:
        if images is None or block.images != shown:
            shown, images = block.images, scorer.embed(gallery.images(block.images))
        yield block, score_block(scorer, scorer.embed(gallery.texts(block.texts)), images, units=units)
