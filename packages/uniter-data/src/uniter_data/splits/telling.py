"""Puts the paths that a search found into words: each link with what says so."""

from collections.abc import Sequence
from itertools import pairwise

from uniter_data.splits.chains import Pictures
from uniter_data.splits.findings import Step
from uniter_data.splits.links import Links
from uniter_data.splits.rules import PICTURE_HASH, Identity, identities, rule_of
from uniter_data.stores.image_index import hash_ids

__all__ = ["Teller"]


class Teller:
    """Knows the names of nodes.

    Args:
        links: of all images.
        pictures: those that were hashed.
    """

    def __init__(self, links: Links, pictures: Pictures) -> None:
        self._links = links
        self._pictures = pictures
        self._ids: dict[int, str] = {}  # of the nodes that were told of

    def tell(self, path: Sequence[int]) -> tuple[Step, ...]:
        """The steps of a path.

        Raises:
            ValueError: two ids have one hash. Of ten million that happens once in hundreds of thousands of audits.
        """
        return tuple(self._step(one, other) for one, other in pairwise(path))

    def _step(self, one: int, other: int) -> Step:
        images = self._links.num_images
        if one < images and other < images:
            return self._near(one, other)
        if one >= images and other >= images:
            return self._said(one, other)
        image, key = sorted((one, other))
        identity = self._identity(image, key)
        what = "URL" if "://" in identity.evidence else "name"
        names = {image: self._image(image), key: self._told(key, identity.key)}
        return Step(
            rule=rule_of(identity.namespace),
            one=names[one],
            other=names[other],
            evidence=f"{what} {identity.evidence}",
        )

    def _near(self, one: int, other: int) -> Step:
        hashes = [int(self._pictures.hashes[node]) for node in (one, other)]
        bits = (hashes[0] ^ hashes[1]).bit_count()
        return Step(
            rule=PICTURE_HASH,
            one=self._image(one),
            other=self._image(other),
            evidence=f"hashes {hashes[0]:016x} and {hashes[1]:016x} differ in {bits} of 64 bits",
        )

    def _said(self, one: int, other: int) -> Step:
        link = self._links.said_by[one, other]
        first = int(hash_ids([link.one])[0]) == self._hash(one)
        names = (link.one, link.other) if first else (link.other, link.one)
        return Step(
            rule=link.rule,
            one=self._told(one, names[0]),
            other=self._told(other, names[1]),
            evidence=link.evidence,
        )

    def _identity(self, image: int, key: int) -> Identity:
        images, row = self._links.image(image)
        known = identities(images.clues(row))
        hashes: list[int] = hash_ids([identity.key for identity in known]).tolist()
        return known[hashes.index(self._hash(key))]

    def _image(self, node: int) -> str:
        images, row = self._links.image(node)
        return f"{images.name}/{images.images[row]}"

    def _hash(self, key: int) -> int:
        return int(self._links.ids[key - self._links.num_images])

    def _told(self, key: int, name: str) -> str:
        known = self._ids.setdefault(key, name)
        if known != name:
            raise ValueError(f"the ids {known} and {name} have one hash: take one of them out of the data")
        return name
