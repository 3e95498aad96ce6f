"""Flickr's photo ids in the addresses of photos and in the names of files.

Addresses, as Flickr documents them (flickr.com/services/api/misc.urls.html) or as data sets of the time hold them:

    https://live.staticflickr.com/{server}/{id}_{secret}_{size}.jpg
    http://farm{farm}.static.flickr.com/{server}/{id}_{secret}.jpg      SBU, COCO, Visual Genome
    http://farm{farm}.staticflickr.com/{server}/{id}_{secret}_z.jpg
    https://www.flickr.com/photos/{user}/{id}/                          and whatever follows
    https://flic.kr/p/{id in base 58}                                   flickr.com/groups/api/discuss/72157616713786392

They count wherever they stand in a URL: a proxy's or an archive's copy is the same photo. Files: Flickr calls a
download `{id}_{secret}_{size}.jpg`, as Flickr8k has them; UNITER's released features of Flickr30k's pictures are called
`flickr30k_000001000092795`.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from uniter_data.splits.rules.clues import Clues, Identity, stem_of

__all__ = ["flickr_ids"]

SIZE = r"(?:_[a-z0-9]{1,2})?"
ADDRESS = re.compile(
    rf"(?:^|[/.@=])static\.?flickr\.com/(?:\d+/)+(\d{{4,}})_[0-9a-f]+{SIZE}(?!\w)"
    r"|(?:^|[/.@=])flickr\.com/photos/(?!tags/)[^/?#\s]+/(\d{4,})(?!\w)"
    r"|(?:^|[/.@=])flickr\.com/photo(?:_zoom)?\.gne\?(?:.*&)?id=(\d{4,})(?!\w)",
    re.IGNORECASE,
)
SHORT = re.compile(r"(?:^|/)flic\.kr/p/([1-9A-HJ-NP-Za-km-z]{4,})(?!\w)")
# a secret without a letter may as well be the time in a camera's 20170501_1234567890
NAME = re.compile(
    rf"(?:.*/)?(\d{{4,}})_(?=\d*[a-f])[0-9a-f]{{10}}{SIZE}|(?:.*/)?flickr(?:30k)?[_:]0*(\d+)", re.IGNORECASE
)
DIGITS = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"  # of base 58


def flickr_ids(clues: Clues) -> Iterator[Identity]:
    """The photo that an image's name or URL says.

    >>> url = "https://i0.wp.com/farm3.staticflickr.com/2841/9391120716_4b1d2f3a5c_z.jpg?w=200"
    >>> [identity.value for identity in flickr_ids(Clues(name="17", url=url))]
    ['9391120716']
    >>> [identity.value for identity in flickr_ids(Clues(name="1000268201_693b08cb0e.jpg"))]
    ['1000268201']
    """
    for text in (clues.name, clues.url):
        number = _in_url(unquote(text)) if "." in text else ""
        if number:
            yield _identity(number, text)
    found = NAME.fullmatch(stem_of(clues.name))
    if found:
        yield _identity(next(group for group in found.groups() if group), clues.name)


def _in_url(url: str) -> str:
    address = ADDRESS.search(url)
    if address:
        return next(group for group in address.groups() if group)
    short = SHORT.search(url)
    if not short:
        return ""
    number = 0
    for digit in short[1]:
        number = number * len(DIGITS) + DIGITS.index(digit)
    return str(number)


def _identity(number: str, evidence: str) -> Identity:
    return Identity(namespace="flickr", value=number.lstrip("0") or "0", evidence=evidence)
