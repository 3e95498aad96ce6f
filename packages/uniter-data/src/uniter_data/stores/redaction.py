"""Keeping passwords and tokens that stand in URLs out of messages and out of files."""

import re

__all__ = ["check_url", "redact", "refuse_secrets"]

USER = re.compile(r"(\w://)[^/\s@'\"<>]+@")
QUERY = re.compile(r"(\w://[^\s?'\"<>]*\?)[^\s'\"<>)\]]+")
# over HTTP a name alone may be a token; elsewhere, as in sftp://name@host, it is but a name
PASSWORD = re.compile(r"https?://[^/\s@'\"<>]+@|\w://[^/\s@:'\"<>]*:[^/\s@'\"<>]*@")
TOKEN = re.compile(r"\w://[^\s'\"<>]*[?&][\w-]*(auth|credential|key|pass|secret|sig|token)[\w-]*=", re.IGNORECASE)


def redact(text: str) -> str:
    """A message without what URLs in it may say in confidence.

    >>> redact("GET https://me:secret@host/a?token=abc: 403")
    'GET https://***@host/a?*** 403'
    """
    return QUERY.sub(r"\1***", USER.sub(r"\1***@", text))


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
    """Text that is to be kept in a file for others.

    Args:
        text: of the file.
        what: name of the file, for the message.

    Raises:
        ValueError: a URL in it holds a password, or a query with a token or a signature.
    """
    if PASSWORD.search(text) or TOKEN.search(text):
        raise ValueError(f"{what}: a URL in it holds a password or a token: name the place without it")
    return text
