"""The name that a person probably meant, for error messages."""

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(key: str, known: Iterable[str]) -> str:
    """What to say of an unknown name: the closest known one, or all of them.

    >>> nearest("epsilom", ["beta", "epsilon"])
    "did you mean 'epsilon'?"
    """
    known = list(known)
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
