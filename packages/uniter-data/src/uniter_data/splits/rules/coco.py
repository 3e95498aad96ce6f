"""COCO's picture ids, as names of pictures and of feature files write them.

`COCO_train2014_000000123456` is a picture's file name until 2014 (Lin et al., ECCV 2014; VQA, Karpathy's splits and
RefCOCO name it so), `train2017/000000123456` from 2017 on (cocodataset.org); the id is the same in all years and
splits. UNITER's released features are called `coco_train2014_000000123456` and
`visual_grounding_coco_gt_000000123456` or `…_det_coco_…` (its `scripts/` and `docs`). A number alone is COCO's only
where the data set is known to be COCO's.
"""

import re
from collections.abc import Iterator

from uniter_data.splits.rules.clues import Clues, Identity, stem_of

__all__ = ["coco_ids"]

COLLECTION = r"(?:train|val|test|unlabeled)20\d\d"
NAME = re.compile(
    rf"(?:.*/)?(?:coco_(?:{COLLECTION}_)?|visual_grounding_(?:det_)?coco_(?:gt_)?)0*(\d+)"
    rf"|(?:.*/)?{COLLECTION}/0*(\d{{12}})"
    r"|(?:ms)?coco:0*(\d+)",
    re.IGNORECASE,
)
URL = re.compile(
    rf"https?://(?:images\.cocodataset\.org|(?:www\.)?mscoco\.org)/(?:{COLLECTION}|images)/(?:coco_{COLLECTION}_)?0*(\d+)",
    re.IGNORECASE,
)


def coco_ids(clues: Clues) -> Iterator[Identity]:
    """The id that an image's name or URL says.

    >>> names = "COCO_val2014_000000000042.jpg", "coco_val2014_000000000042.npz", "val2017/000000000042.jpg", "coco:42"
    >>> [next(coco_ids(Clues(name=name))).value for name in names]
    ['42', '42', '42', '42']
    """
    found = NAME.fullmatch(stem_of(clues.name))
    if found:
        yield _identity(found, clues.name)
    address = URL.fullmatch(stem_of(clues.url))
    if address:
        yield _identity(address, clues.url)


def _identity(match: re.Match[str], evidence: str) -> Identity:
    number = next(group for group in match.groups() if group)
    return Identity(namespace="coco", value=number.lstrip("0") or "0", evidence=evidence)
