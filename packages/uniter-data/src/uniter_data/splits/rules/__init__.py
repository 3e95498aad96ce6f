"""What says which picture an image is: a file a rule. A rule looks at an image's name and URL, never at its pixels."""

from collections.abc import Callable, Iterator

from uniter_data.splits.rules.clues import Clues, Identity, stem_of
from uniter_data.splits.rules.coco import coco_ids
from uniter_data.splits.rules.flickr import flickr_ids
from uniter_data.splits.rules.genome import genome_ids
from uniter_data.splits.rules.names import own_names
from uniter_data.splits.rules.numbers import bare_number
from uniter_data.splits.rules.urls import same_url

__all__ = ["PICTURE_HASH", "RULES", "RULE_OF_NAMESPACE", "Clues", "Identity", "identities", "rule_of", "stem_of"]

Rule = Callable[[Clues], Iterator[Identity]]

FINDERS: tuple[Rule, ...] = (coco_ids, genome_ids, flickr_ids, own_names)
RULE_OF_NAMESPACE = {"coco": "coco id", "genome": "genome id", "flickr": "flickr id", "url": "url"}
OWN_NAME = "own name"
PICTURE_HASH = "picture hash"
# A chain of links is counted under the first of these that is among its rules.
RULES = (PICTURE_HASH, "genome id", "flickr id", "url", "coco id", OWN_NAME)


def identities(clues: Clues) -> list[Identity]:
    """All that is known of an image, each identity once.

    A name that says more than a number is no number, and a URL that says more than an address no mere address.

    >>> photo = "http://farm4.static.flickr.com/3050/2628911871_00a1b2c3d4.jpg"
    >>> [identity.key for identity in identities(Clues(name="COCO_val2014_000000000042", url=photo))]
    ['coco:42', 'flickr:2628911871']
    >>> [identity.key for identity in identities(Clues(name="42", url="http://host.org/a.jpg", namespace="genome"))]
    ['genome:42', 'url:host.org/a.jpg']
    """
    found = [identity for find in FINDERS for identity in find(clues)]
    told = {identity.evidence for identity in found}
    found += [other for find in (bare_number, same_url) for other in find(clues) if other.evidence not in told]
    first: dict[str, Identity] = {}
    for identity in found:
        first.setdefault(identity.key, identity)
    return list(first.values())


def rule_of(namespace: str) -> str:
    """The rule by which two images of one id in this namespace are the same."""
    return RULE_OF_NAMESPACE.get(namespace, OWN_NAME)
