"""A number alone, which means a picture only where it is known whose number it is.

Visual Genome and Flickr30k (Young et al., TACL 2014) call a picture by its number, many features of COCO do, with or
without zeros in front. 42 is another picture in each. So a data set says by its name, or its user for it, whose numbers
these are, and otherwise they are nobody's.
"""

import re
from collections.abc import Iterator

from uniter_data.splits.rules.clues import Clues, Identity, stem_of

__all__ = ["NUMBERED", "bare_number"]

NUMBERED = ("coco", "genome", "flickr")
BARE = re.compile(r"(?:.*/)?0*(\d+)")


def bare_number(clues: Clues) -> Iterator[Identity]:
    """The id that a name is, if it is nothing but a number.

    >>> [next(bare_number(Clues(name=name, namespace="genome"))).key for name in ("42", "000000000042.jpg")]
    ['genome:42', 'genome:42']
    >>> list(bare_number(Clues(name="42")))
    []
    """
    found = BARE.fullmatch(stem_of(clues.name)) if clues.namespace in NUMBERED else None
    if found:
        yield Identity(namespace=clues.namespace, value=found[1], evidence=clues.name)
