"""The address of a picture on any host: what Conceptual Captions and NLVR2 know of theirs.

Two images of one address are the same picture; two addresses say nothing. http and https, upper and lower case of the
host, the default port and what follows a # make no difference (RFC 3986, section 6.2); anything else may.
"""

import re
from collections.abc import Iterator

from uniter_data.splits.rules.clues import Clues, Identity

__all__ = ["same_url"]

URL = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#:]+)(?::(?:80|443)(?=[/?#]|$))?([^#]*)", re.IGNORECASE)


def same_url(clues: Clues) -> Iterator[Identity]:
    """The address in one form.

    >>> [identity.key for identity in same_url(Clues(name="17", url="HTTP://Host.org:80/a/B.jpg?w=2#top"))]
    ['url:host.org/a/B.jpg?w=2']
    """
    for text in (clues.name, clues.url):
        address = URL.match(text.strip())
        if address:
            host, rest = address[1].lower(), address[2]
            yield Identity(namespace="url", value=host + (rest if rest.startswith("/") else f"/{rest}"), evidence=text)
