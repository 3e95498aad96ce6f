"""Keeping passwords and tokens that stand in URLs out of messages and out of files."""

import re

__all__ = ["check_url", "redact", "refuse_secrets"]

PASSWORD = re.compile(r"(\w://)[^/\s@'\"<>]+@")
QUERY = re.compile(r"(\w://[^\s?'\"<>]*\?)[^\s'\"<>)\]]+")


def redact(text: str) -> str:
    """A message without what URLs in it may say in confidence.

    >>> redact("GET https://me:secret@host/a?token=abc: 403")
    'GET https://***@host/a?***'
    """
    return QUERY.sub(r"\1***", PASSWORD.sub(r"\1***@", text))


def check_url(url: str) -> str:
    """The URL of a data set, which must not carry credentials: they would end up in recipes, manifests and logs.

    Raises:
        ValueError: it has a user and password, or a query, which is where tokens and signatures stand.
    """
    if PASSWORD.search(url) or ("?" in url and url.startswith(("http:", "https:"))):
        raise ValueError(
            f"{redact(url)}: a data set's URL must hold no user, password or query: leave credentials where its "
            "library looks for them (environment, ~/.aws, ~/.netrc, the machine's role)"
        )
    return url


def refuse_secrets(text: str, what: str) -> str:
    """Text to be kept in a file for others.

    Raises:
        ValueError: a URL in it names a user and password.
    """
    found = PASSWORD.search(text)
    if found:
        raise ValueError(f"{what}: must hold no URL with a user and password, got {redact(found.group())}")
    return text
