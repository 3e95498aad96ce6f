"""Where stores lie: paths of this machine and fsspec URLs, read through the same few functions."""

import posixpath
from pathlib import Path

from uniter_data.stores.redaction import check_url
from uniter_data.stores.remote import RemoteSource

__all__ = ["exists", "is_remote", "join", "locate", "read_text"]


def locate(path: str | Path) -> str:
    """The location as a string: a plain local path, or a URL left as it is.

    >>> locate("file:///data/captions/"), locate("s3://bucket/captions")
    ('/data/captions', 's3://bucket/captions')

    Raises:
        ValueError: a URL holds a password or a token.
    """
    location = str(path).removeprefix("file://")
    return check_url(location.rstrip("/") or "/") if is_remote(location) else location.rstrip("/") or "/"


def is_remote(location: str) -> bool:
    """Whether the location is a URL that only fsspec can read."""
    return "://" in location


def join(location: str, *parts: str) -> str:
    """A location below (or, by `..`, beside) another; a part that is a URL stands for itself.

    >>> join("s3://bucket/captions", "../regions/train.zarr")
    's3://bucket/regions/train.zarr'
    """
    if parts and is_remote(parts[-1]):
        return check_url(parts[-1])
    scheme, separator, path = location.rpartition("://")
    return scheme + separator + posixpath.normpath(posixpath.join(path, *parts))


def read_text(location: str) -> str:
    """The text of a small file.

    Raises:
        FileNotFoundError: there is none.
        OSError: a remote one cannot be read, whatever was tried.
    """
    if not is_remote(location):
        return Path(location).read_text(encoding="utf-8")
    source = RemoteSource(location)
    (raw,) = source.read("", [(0, source.size(""))])
    return str(raw, "utf-8")


def exists(location: str) -> bool:
    """Whether a file or folder is there."""
    if not is_remote(location):
        return Path(location).exists()
    return RemoteSource(location).exists("")
