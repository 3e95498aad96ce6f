"""What an audit found and what it looked at, as plain values; `report` writes them."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Audit", "Compared", "Leak", "Looked", "Step"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One link of a chain.

    Attributes:
        rule: that made it.
        one: the image or id nearer to the source image.
        other: that which is the same picture.
        evidence: what says so.
    """

    rule: str
    one: str
    other: str
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A source image that is a picture of an evaluation split.

    Attributes:
        source: the set it belongs to.
        image: its id there.
        texts: that show it.
        rule: by which it was found, of several the first of `RULES`.
        downstream: the evaluation split.
        evaluation_image: its id there.
        chain: of links from the one to the other.
    """

    source: str
    image: str
    texts: int
    rule: str
    downstream: str
    evaluation_image: str
    chain: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A set of images, and what was known of them.

    Attributes:
        name: of the set.
        images, texts: how many.
        digest: sha256 of the images' ids and the numbers of their texts.
        namespace: whose numbers its bare numbers were taken for; empty for nobody's.
        ids: images by namespace of the ids they have, those included that catalogues say.
        hashed, plain, unreadable: images with a hash, with a picture too plain for one, with one that cannot be read.
        pictures: sha256 of the hashes; empty if there are none.
        unknown: images of which neither an id nor a URL nor a hash is known: nothing was checked of them.
        leaking_images, leaking_texts: of a source, those that are in some evaluation split; of a split 0.
    """

    name: str
    images: int
    texts: int
    digest: str
    namespace: str
    ids: dict[str, int]
    hashed: int
    plain: int
    unreadable: int
    pictures: str
    unknown: int
    leaking_images: int = 0
    leaking_texts: int = 0


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How far a source could be compared with a split.

    Two images can be compared if both have ids of one catalogue, or hashes. That both have URLs, or names in NLVR2, is
    not enough: two of these may be those of one picture.

    Attributes:
        source, downstream: names of the sets.
        whole: images of the source that could be compared with every image of the split.
        part: with some of them.
        none: with none.
    """

    source: str
    downstream: str
    whole: int
    part: int
    none: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The result of an audit.

    Attributes:
        version: of uniter-data.
        distance: most bits in which hashes of one picture differ.
        sources: of pre-training.
        downstream: evaluation splits.
        files: name, bytes and sha256 of whatever else was read, and of which set (`of`) it is.
        compared: each source with each split.
        leaks: ordered by source, image and split.
    """

    version: str
    distance: int
    sources: tuple[Looked, ...]
    downstream: tuple[Looked, ...]
    files: tuple[dict[str, Any], ...]
    compared: tuple[Compared, ...]
    leaks: tuple[Leak, ...]

    def images(self, source: str) -> dict[str, int]:
        """The images of a source that leak, with the number of their texts."""
        return {leak.image: leak.texts for leak in self.leaks if leak.source == source}
