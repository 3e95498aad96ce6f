"""A local order for an epoch: blocks of neighbouring images in random order, shuffled within a buffer of several."""

# T pairs of the data set, C images that they name, K blocks of images

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from uniter_core import permutation, uniforms
from uniter_data.stores.locations import is_remote

__all__ = ["BUFFER_BLOCKS", "BlockShuffle", "default_block"]

BUFFER_BLOCKS = 16  # under way at any time
REMOTE_BLOCK = 256  # images: some 38 MB of features, so that a buffer takes some 600 MB of the cache
TRIES = 8  # draws of a partner before one from anywhere is taken


def default_block(location: str) -> int:
    """Images of a block where nobody says how many: a local store is shuffled as a whole.

    >>> default_block("/data/regions.zarr"), default_block("s3://bucket/regions.zarr")
    (0, 256)
    """
    return REMOTE_BLOCK if is_remote(location) else 0


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockShuffle:
    """The images of a split in blocks of neighbours, as the store holds them.

    In an epoch the blocks come in random order, the k-th at place k of a circle of K. Each pair of a block is put at a
    random point of the `BUFFER_BLOCKS` places from there on, and the circle is read once around: at every point the
    pairs of as many blocks are mixed. With no more blocks than that, all is shuffled with all.

    Attributes:
        images: (C,) rows of the images, ascending.
        groups: (C,) of each image.
        image: (T,) which of the images each pair names.
        block: images of a block.
    """

    images: NDArray[np.int64]
    groups: NDArray[np.int64]
    image: NDArray[np.int64]
    block: int

    @classmethod
    def of(cls, image_rows: NDArray[np.int64], groups: NDArray[np.int64], block: int) -> "BlockShuffle":
        """The blocks of pairs with these images (T,), of these groups (T,)."""
        images, first, image = np.unique(image_rows, return_index=True, return_inverse=True)
        return cls(images=images, groups=groups[first], image=image, block=block)

    @property
    def num_blocks(self) -> int:
        """K."""
        return -(-len(self.images) // self.block)

    def places(self, key: int, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """(T,) where on the circle each pair stands.

        Args:
            key: of the blocks' order.
            keys: (T,) of the pairs.
        """
        place_of_block = np.empty(self.num_blocks, np.int64)
        place_of_block[self._order(key)] = np.arange(self.num_blocks)
        within = uniforms(torch.from_numpy(keys), "place").numpy() * self._buffer
        places: NDArray[np.float64] = (place_of_block[self.image // self.block] + within) % self.num_blocks
        return places

    def partners(
        self, key: int, keys: NDArray[np.int64], places: NDArray[np.float64], otherwise: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """(T,) row of an image of another group for each pair, out of the blocks that are under way where it stands.

        Args:
            key: of the blocks' order.
            keys: (T,) of the pairs.
            places: (T,) of the pairs.
            otherwise: (T,) rows to take where these blocks hardly have another group.
        """
        order = self._order(key)
        rows = otherwise.copy()
        left = np.arange(len(keys))
        for number in range(TRIES):
            drawn = uniforms(torch.from_numpy(keys[left]), f"near partner {number}").numpy() * self._buffer
            back, within = np.divmod(drawn, 1.0)
            first = order[(places[left].astype(np.int64) - back.astype(np.int64)) % self.num_blocks] * self.block
            image = first + (within * np.minimum(self.block, len(self.images) - first)).astype(np.int64)
            fits = self.groups[image] != self.groups[self.image[left]]
            rows[left[fits]] = self.images[image[fits]]
            left = left[~fits]
        return rows

    @property
    def _buffer(self) -> int:
        return min(BUFFER_BLOCKS, self.num_blocks)

    def _order(self, key: int) -> NDArray[np.int64]:
        """(K,) the blocks in their order."""
        order: NDArray[np.int64] = permutation(key, self.num_blocks).numpy()
        return order
