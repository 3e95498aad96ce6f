"""Names that a collection gives its own pictures, each collection a namespace: NLVR2, VCR, or one that you name.

NLVR2 (Suhr, Zhou et al., ACL 2019): `dev-850-0-img0`; the released features are called `nlvr2_dev-850-0-img0`. VCR
(Zellers et al., CVPR 2019) takes frames from the films of LSMDC and of YouTube's Movieclips:
`lsmdc_3023_DISTRICT_9/3023_DISTRICT_9_00.53.25.794-00.53.27.977@0`, which is told by its last part; the released
features are called `vcr_…` and `vcr_gt_…`.
"""

import re
from collections.abc import Iterator

from uniter_data.splits.rules.clues import Clues, Identity, stem_of
from uniter_data.splits.rules.numbers import NUMBERED

__all__ = ["own_names"]

NLVR2 = re.compile(r"(?:.*/)?(?:nlvr2[_:])?((?:train|dev|test1|test2)-\d+-\d+-img[01])")
VCR = re.compile(r"(?:.*/)?vcr[_:](?:gt_)?(.+)|(?:.*/)?(?:lsmdc|movieclips)_[^/]+/([^/]+)")


def own_names(clues: Clues) -> Iterator[Identity]:
    """The name, if its form or the data set says whose it is.

    >>> [identity.key for identity in own_names(Clues(name="nlvr2_dev-850-0-img0.npz"))]
    ['nlvr2:dev-850-0-img0']
    >>> [identity.key for identity in own_names(Clues(name="lsmdc_1/a_00.53@0.jpg"))]
    ['vcr:a_00.53@0']
    """
    stem = stem_of(clues.name)
    pair = NLVR2.fullmatch(stem)
    frame = None if pair else VCR.fullmatch(stem)
    if pair:
        yield Identity(namespace="nlvr2", value=pair[1], evidence=clues.name)
    elif frame:
        yield Identity(namespace="vcr", value=frame[1] or frame[2], evidence=clues.name)
    elif clues.namespace and clues.namespace not in NUMBERED:
        value = stem.rpartition("/")[2] if clues.namespace == "vcr" else stem
        yield Identity(namespace=clues.namespace, value=value, evidence=clues.name)
