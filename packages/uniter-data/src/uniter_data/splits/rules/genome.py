"""Visual Genome's picture ids (Krishna et al., IJCV 2017), and where they stand.

Its pictures are `VG_100K/2.jpg` and `VG_100K_2/2.jpg`; UNITER's released features are called `vg_2`. They are numbered
from 1 on, as COCO's are, so that a number alone means a picture only where the data set is known to be Visual Genome's.
"""

import re
from collections.abc import Iterator

from uniter_data.splits.rules.clues import Clues, Identity, stem_of

__all__ = ["genome_ids"]

NAME = re.compile(r"(?:.*/)?(?:vg|visual_?genome|genome)[_:]0*(\d+)|(?:.*/)?VG_100K(?:_2)?/0*(\d+)", re.IGNORECASE)
BARE = re.compile(r"(?:.*/)?0*(\d{1,12})")


def genome_ids(clues: Clues) -> Iterator[Identity]:
    """The id that an image's name or URL says.

    >>> [next(genome_ids(Clues(name=name))).value for name in ("vg_000000000042.npz", "VG_100K_2/42.jpg", "genome:42")]
    ['42', '42', '42']
    >>> list(genome_ids(Clues(name="42"))), list(genome_ids(Clues(name="42", namespace="coco")))
    ([], [])
    """
    for text in (clues.name, clues.url):
        stem = stem_of(text)
        bare = text and text == clues.name and clues.namespace == "genome"
        found = NAME.fullmatch(stem) or (BARE.fullmatch(stem) if bare else None)
        if found:
            number = found[1] or (found[2] if found.re is NAME else "")
            yield Identity(namespace="genome", value=number.lstrip("0") or "0", evidence=text)
