"""Visual Genome's picture ids (Krishna et al., IJCV 2017), and where they stand.

Its pictures are `VG_100K/2.jpg` and `VG_100K_2/2.jpg`; UNITER's released features are called `vg_2`.
"""

import re
from collections.abc import Iterator

from uniter_data.splits.rules.clues import Clues, Identity, stem_of

__all__ = ["genome_ids"]

NAME = re.compile(r"(?:.*/)?(?:vg|visual_?genome|genome)[_:]0*(\d+)|(?:.*/)?VG_100K(?:_2)?/0*(\d+)", re.IGNORECASE)


def genome_ids(clues: Clues) -> Iterator[Identity]:
    """The id that an image's name or URL says.

    >>> [next(genome_ids(Clues(name=name))).value for name in ("vg_000000000042.npz", "VG_100K_2/42.jpg", "genome:42")]
    ['42', '42', '42']
    """
    for text in (clues.name, clues.url):
        found = NAME.fullmatch(stem_of(text))
        if found:
            number = next(group for group in found.groups() if group)
            yield Identity(namespace="genome", value=number.lstrip("0") or "0", evidence=text)
