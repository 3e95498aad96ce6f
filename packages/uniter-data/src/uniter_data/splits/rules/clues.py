"""What is known of an image before its pixels are looked at, and what a rule concludes from it."""

import re
from dataclasses import dataclass

__all__ = ["Clues", "Identity", "stem_of"]

SUFFIXES = re.compile(r"(?:\.(?:npz|npy|jpe?g|png|gif|bmp|tiff?|webp))+$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clues:
    """An image as its data set knows it.

    Attributes:
        name: its id there, a file's name or path.
        url: where its picture came from; may be empty.
        namespace: whose numbers bare numbers are, such as "coco" or "genome"; empty where nobody knows.
    """

    name: str
    url: str = ""
    namespace: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """That an image is a certain picture of some collection.

    Attributes:
        namespace: of the collection; numbers of different collections have nothing to do with each other.
        value: the id in it, in one form however it was written.
        evidence: from what it was read.
    """

    namespace: str
    value: str
    evidence: str

    @property
    def key(self) -> str:
        """Equal for two images if they are the same picture by this rule."""
        return f"{self.namespace}:{self.value}"


def stem_of(name: str) -> str:
    """A name without the suffixes of picture and feature files; other dots belong to the name.

    >>> stem_of("train/9.jpg.npz"), stem_of("3023_DISTRICT_9_00.53.25.794-00.53.27.977@0")
    ('train/9', '3023_DISTRICT_9_00.53.25.794-00.53.27.977@0')
    """
    return SUFFIXES.sub("", name)
