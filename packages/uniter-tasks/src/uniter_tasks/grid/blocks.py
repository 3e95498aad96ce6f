"""A grid divided into blocks: what is scored, stored and, after a stop, not done again.

T texts, I images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Block", "grid_blocks", "share"]

B = TypeVar("B")


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some texts with some images.

    Attributes:
        row, column: place among the blocks.
        texts: rows of the grid.
        images: columns of the grid.
    """

    row: int
    column: int
    texts: slice
    images: slice

    @property
    def pairs(self) -> int:
        """Scores in the block."""
        return len(range(self.texts.start, self.texts.stop)) * len(range(self.images.start, self.images.stop))


def grid_blocks(texts: int, images: int, *, height: int, width: int) -> list[Block]:
    """The blocks of a (T, I) grid, those of the same images one after another.

    Args:
        texts, images: T and I.
        height: texts of a block.
        width: images of a block.

    Raises:
        ValueError: a number is not positive.

    >>> [(block.texts, block.images) for block in grid_blocks(3, 2, height=2, width=2)]
    [(slice(0, 2, None), slice(0, 2, None)), (slice(2, 3, None), slice(0, 2, None))]
    """
    for name, value in (("texts", texts), ("images", images), ("height", height), ("width", width)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    return [
        Block(
            row=row,
            column=column,
            texts=slice(top, min(top + height, texts)),
            images=slice(left, min(left + width, images)),
        )
        for column, left in enumerate(range(0, images, width))
        for row, top in enumerate(range(0, texts, height))
    ]


def share(blocks: Sequence[B], *, rank: int, world_size: int) -> list[B]:
    """One process's blocks: a run of neighbours, so that it reads each of its images once.

    >>> blocks = grid_blocks(5, 1, height=1, width=1)
    >>> [len(share(blocks, rank=rank, world_size=2)) for rank in (0, 1)]
    [2, 3]
    """
    start, stop = (len(blocks) * part // world_size for part in (rank, rank + 1))
    return list(blocks[start:stop])
