"""The graph that an audit walks: images and ids are its nodes; what says that they are one picture, its links.

An image is linked with every id that a rule reads from its name or URL, an id with those that a catalogue says are the
same picture's. So two images are one picture by their ids if a path joins them, however many data sets it passes.
Ids are kept as 64-bit hashes: of millions, their text is needed again only of those that are reported.
"""

# I images of all sets, K ids, N = I + K nodes, E links

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from uniter_data.splits.cross_ids import CrossIds, CrossLink
from uniter_data.splits.image_sets import ImageSet
from uniter_data.splits.rules import identities
from uniter_data.stores.image_index import hash_ids

__all__ = ["Links", "build_links"]

Progress = Callable[[str, int, int], None]
BLOCK = 1 << 14


@dataclass(frozen=True, kw_only=True, eq=False)
class Links:
    """Images, ids, and what links them.

    Attributes:
        sets: whose images the first I nodes are, one set's after another's.
        firsts: (sets + 1,) the node of each set's first image.
        ids: (K,) uint64, hashes of the ids, rising.
        starts: (N + 1,) where each node's neighbours begin.
        neighbours: (2 E,) nodes.
        namespaces: of the ids; the place of one is its bit in `known`.
        known: (N,) uint64, the namespaces of the ids that an image has, or an id's own.
        cross: the links of catalogues.
    """

    sets: tuple[ImageSet, ...]
    firsts: NDArray[np.int64]
    ids: NDArray[np.uint64]
    starts: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    namespaces: tuple[str, ...]
    known: NDArray[np.uint64]
    cross: CrossIds

    @property
    def num_images(self) -> int:
        """I."""
        return int(self.firsts[-1])

    def around(self, node: int) -> list[int]:
        """The neighbours of a node, rising."""
        found: list[int] = self.neighbours[self.starts[node] : self.starts[node + 1]].tolist()
        return found

    def nodes(self, number: int) -> range:
        """The images of a set."""
        return range(int(self.firsts[number]), int(self.firsts[number + 1]))

    def image(self, node: int) -> tuple[ImageSet, int]:
        """The set of an image, and its row there."""
        number = int(np.searchsorted(self.firsts, node, side="right")) - 1
        return self.sets[number], node - int(self.firsts[number])

    def bits(self, *namespaces: str) -> np.uint64:
        """These namespaces in `known`."""
        return np.uint64(sum(1 << place for place, name in enumerate(self.namespaces) if name in namespaces))

    @cached_property
    def reached(self) -> NDArray[np.uint64]:
        """(N,) like `known`, of all ids that a path of links leads to."""
        found = self.known.copy()
        ends = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        while True:
            before = found.copy()
            np.bitwise_or.at(found, ends, before[self.neighbours])
            if (found == before).all():
                return found

    @cached_property
    def said_by(self) -> dict[tuple[int, int], CrossLink]:
        """The catalogues' link between two nodes, either way round."""
        ones, others = (self._nodes_of([getattr(link, end) for link in self.cross.links]) for end in ("one", "other"))
        found: dict[tuple[int, int], CrossLink] = {}
        for one, other, link in zip(ones, others, self.cross.links, strict=True):
            found.setdefault((one, other), link)
            found.setdefault((other, one), link)
        return found

    def _nodes_of(self, keys: Sequence[str]) -> list[int]:
        nodes: list[int] = (self.num_images + np.searchsorted(self.ids, hash_ids(keys))).tolist()
        return nodes


def build_links(sets: Sequence[ImageSet], cross: CrossIds, *, progress: Progress) -> Links:
    """Read the ids of all images, and link them.

    Args:
        sets: of images.
        cross: the catalogues.
        progress: called with what is done, how much of it, and of how much.
    """
    firsts = np.concatenate([[0], np.cumsum([len(images) for images in sets])]).astype(np.int64)
    places: dict[str, int] = {}  # of the namespaces, as they come up
    parts = [
        part
        for first, images in zip(firsts.tolist(), sets, strict=False)
        for part in _read(images, first, places, progress)
    ]
    nodes, hashes, bits = (np.concatenate(column) for column in zip(_nothing(), *parts, strict=True))
    pairs = [hash_ids([getattr(link, end) for link in cross.links]) for end in ("one", "other")]
    pair_bits = [_bits([getattr(link, end) for link in cross.links], places) for end in ("one", "other")]
    ids = np.unique(np.concatenate([hashes, *pairs]))
    total = int(firsts[-1])

    def node_of(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        return np.searchsorted(ids, hashes) + total

    one = np.concatenate([nodes, node_of(pairs[0])])
    other = np.concatenate([node_of(hashes), node_of(pairs[1])])
    known = np.zeros(total + len(ids), np.uint64)
    for ends, of_ends in ((nodes, bits), (node_of(hashes), bits), *zip(map(node_of, pairs), pair_bits, strict=True)):
        np.bitwise_or.at(known, ends, of_ends)
    starts, neighbours = _adjacency(one, other, len(known))
    return Links(
        sets=tuple(sets),
        firsts=firsts,
        ids=ids,
        starts=starts,
        neighbours=neighbours,
        namespaces=tuple(places),
        known=known,
        cross=cross,
    )


# ---------------------------------------------------------------------------------------------------------------------

Part = tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint64]]


def _nothing() -> Part:
    return np.empty(0, np.int64), np.empty(0, np.uint64), np.empty(0, np.uint64)


def _read(images: ImageSet, first: int, places: dict[str, int], progress: Progress) -> Iterator[Part]:
    """Of each id of each image: the image's node, the id's hash, its namespace's bit."""
    clues = enumerate(images.all_clues(), start=first)
    done = 0
    while block := list(islice(clues, BLOCK)):
        found = [(node, identity.key) for node, known in block for identity in identities(known)]
        keys = [key for _, key in found]
        yield np.array([node for node, _ in found], np.int64), hash_ids(keys), _bits(keys, places)
        done += len(block)
        progress(f"reading ids of {images.name}", done, len(images))


def _bits(keys: Sequence[str], places: dict[str, int]) -> NDArray[np.uint64]:
    """The bit of each key's namespace; a new one gets the next place."""
    return np.array([1 << places.setdefault(key.partition(":")[0], len(places)) for key in keys], np.uint64)


def _adjacency(
    one: NDArray[np.int64], other: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each node's neighbours begin, and these, rising."""
    from_node, to_node = np.concatenate([one, other]), np.concatenate([other, one])
    order = np.lexsort((to_node, from_node))
    return np.searchsorted(from_node[order], np.arange(count + 1)), to_node[order]
