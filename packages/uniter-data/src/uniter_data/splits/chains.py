"""Which source images are pictures of an evaluation split, and by which chain of links.

The search begins at the images of the split and walks links of ids breadth first, through all data sets: the first
path to an image is a shortest one. Then pixels: an image whose picture's hash lies near that of one reached so far is
reached by it; from such an image the walk goes on by ids. A chain takes one step by pixels at most: near and near
again may end at another picture. Two images that have ids of one catalogue, and different ones, are two pictures
whatever their hashes say (`TOLD_APART`).
"""

# N nodes, P hashed images that were reached, S hashed images of the sources

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniter_data.splits.hash_journal import HASHED
from uniter_data.splits.hashing import PictureHashes
from uniter_data.splits.links import Links
from uniter_data.splits.near_hashes import HashIndex

__all__ = ["TOLD_APART", "Pictures", "Reached", "find_reached"]

# Collections that give each of their pictures one id. NLVR2 is none: it shows one picture under several names.
TOLD_APART = ("coco", "genome", "flickr", "vcr")


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures that were hashed.

    Attributes:
        hashes: (I,) uint64 of all images.
        hashed: (I,) whether an image has a hash.
        sources: (S,) nodes of the sources' hashed images.
        index: of their hashes.
    """

    hashes: NDArray[np.uint64]
    hashed: NDArray[np.bool_]
    sources: NDArray[np.int64]
    index: HashIndex

    @classmethod
    def of(cls, found: Sequence[PictureHashes], *, sources: int) -> "Pictures":
        """Those of the sets of `Links`, of which the first so many are sources."""
        hashes = np.concatenate([each.hashes for each in found])
        hashed = np.concatenate([each.states for each in found]) == HASHED
        count = sum(len(each.hashes) for each in found[:sources])
        rows = np.flatnonzero(hashed[:count])
        return cls(hashes, hashed, rows, HashIndex(hashes[rows]))


@dataclass(frozen=True, eq=False)
class Reached:
    """How the search came to each node.

    Attributes:
        before: of each node that was reached, the one that it was reached from; of one it began at, that itself.
    """

    before: dict[int, int]

    def path(self, node: int) -> list[int]:
        """The nodes from this one to where the search began."""
        path = [node]
        while self.before[path[-1]] != path[-1]:
            path.append(self.before[path[-1]])
        return path


def find_reached(links: Links, split: int, pictures: Pictures, distance: int) -> Reached:
    """Search from the images of a split.

    Args:
        links: of all images.
        split: number of the split among its sets.
        pictures: those that were hashed.
        distance: most bits in which the hashes of one picture may differ.
    """
    reached = Reached({node: node for node in links.nodes(split)})
    _walk(links, list(reached.before), reached)
    near = _near(links, pictures, reached, distance)
    reached.before.update(near)
    _walk(links, near, reached)
    return reached


# ---------------------------------------------------------------------------------------------------------------------


def _walk(links: Links, starts: Iterable[int], reached: Reached) -> None:
    """Reach what links of ids lead to, breadth first."""
    waiting = deque(starts)
    while waiting:
        node = waiting.popleft()
        for other in links.around(node):
            if other not in reached.before:
                reached.before[other] = node
                waiting.append(other)


def _near(links: Links, pictures: Pictures, reached: Reached, distance: int) -> dict[int, int]:
    """Source images that were not reached so far, each with the image reached whose picture is nearest."""
    images = np.array(sorted(node for node in reached.before if node < links.num_images), np.int64)
    images = images[pictures.hashed[images]]
    apart = links.bits(*TOLD_APART)
    # the nearest, of equals the first: bits in the upper half of a number, the image's place in the lower
    nearest = np.full(len(pictures.sources), np.iinfo(np.uint64).max, np.uint64)
    for ones, others, bits in pictures.index.near(pictures.hashes[images], distance):
        known = links.known[images[ones]] & links.known[pictures.sources[others]] & apart
        alike = known == 0
        ranks = (bits[alike].astype(np.uint64) << np.uint64(32)) | ones[alike].astype(np.uint64)
        np.minimum.at(nearest, others[alike], ranks)
    found = np.flatnonzero(nearest < np.iinfo(np.uint64).max)
    places = (nearest[found] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    pairs = zip(pictures.sources[found].tolist(), images[places].tolist(), strict=True)
    return {node: image for node, image in pairs if node not in reached.before}
