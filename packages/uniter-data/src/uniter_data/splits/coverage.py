"""What an audit could look at and what it could not: an image of which nothing is known is not clean, it is unknown."""

# U images of a set

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from uniter_data.splits.findings import Compared, Looked
from uniter_data.splits.hash_journal import HASHED, PLAIN, UNREADABLE
from uniter_data.splits.hashing import PictureHashes
from uniter_data.splits.links import Links

__all__ = ["compare", "look_at"]

# Two images with different ids in one of these may still be one picture: it has two addresses, or two names in NLVR2.
AMBIGUOUS = ("url", "nlvr2")


def look_at(links: Links, number: int, pictures: PictureHashes) -> Looked:
    """What was known of a set's images.

    Args:
        links: of all images.
        number: of the set.
        pictures: the set's.
    """
    images = links.sets[number]
    known = links.reached[np.array(links.nodes(number), np.int64)]
    counts = {name: int(((known & links.bits(name)) > 0).sum()) for name in links.namespaces}
    hashed = pictures.states == HASHED
    return Looked(
        name=images.name,
        images=len(images),
        texts=int(images.texts.sum()),
        digest=images.digest,
        namespace=images.namespace,
        ids={name: count for name, count in sorted(counts.items()) if count},
        hashed=int(hashed.sum()),
        plain=int((pictures.states == PLAIN).sum()),
        unreadable=int((pictures.states == UNREADABLE).sum()),
        pictures=pictures.digest if images.pictures else "",
        unknown=int(((known == 0) & ~hashed).sum()),
    )


def compare(links: Links, source: int, split: int, pictures: dict[int, PictureHashes]) -> Compared:
    """How far a source could be compared with a split.

    Args:
        links: of all images.
        source, split: numbers of the sets.
        pictures: of both.
    """
    ours, theirs = (_kinds(links, number, pictures[number]) for number in (source, split))
    total = len(links.sets[split])
    counts = {"whole": 0, "part": 0, "none": 0}
    for known, hashed, count in ours:
        met = sum(other for names, hash, other in theirs if (known & names) or (hashed and hash))
        counts["whole" if met == total else "part" if met else "none"] += count
    return Compared(source=links.sets[source].name, downstream=links.sets[split].name, **counts)


def _kinds(links: Links, number: int, pictures: PictureHashes) -> Iterable[tuple[int, bool, int]]:
    """How many images of a set are known to the same catalogues, and hashed or not."""
    nodes = np.array(links.nodes(number), np.int64)
    known: NDArray[np.uint64] = links.reached[nodes] & ~links.bits(*AMBIGUOUS)
    hashed = pictures.states == HASHED
    found: dict[tuple[int, bool], int] = {}
    for names in np.unique(known).tolist():
        for state in (False, True):
            count = int(((known == names) & (hashed == state)).sum())
            if count:
                found[names, state] = count
    return [(names, state, count) for (names, state), count in found.items()]
