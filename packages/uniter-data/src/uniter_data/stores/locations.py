"""Where stores lie: paths of this machine and fsspec URLs, read through the same few functions."""

import posixpath
from pathlib import Path

import fsspec

__all__ = ["exists", "is_remote", "join", "locate", "read_text"]


def locate(path: str | Path) -> str:
    """The location as a string: a plain local path, or a URL left as it is.

    >>> locate("file:///data/captions/"), locate("s3://bucket/captions")
    ('/data/captions', 's3://bucket/captions')
    """
    location = str(path).removeprefix("file://")
    return location.rstrip("/") or "/"


def is_remote(location: str) -> bool:
    """Whether the location is a URL that only fsspec can read."""
    return "://" in location


def join(location: str, *parts: str) -> str:
    """A location below (or, by `..`, beside) another.

    >>> join("s3://bucket/captions", "../regions/train.zarr")
    's3://bucket/regions/train.zarr'
    """
    scheme, separator, path = location.rpartition("://")
    return scheme + separator + posixpath.normpath(posixpath.join(path, *parts))


def read_text(location: str) -> str:
    """The text of a small file.

    Raises:
        FileNotFoundError: there is none.
    """
    if not is_remote(location):
        return Path(location).read_text(encoding="utf-8")
    with fsspec.open(location, "r", encoding="utf-8") as file:
        return str(file.read())


def exists(location: str) -> bool:
    """Whether a file or folder is there."""
    if not is_remote(location):
        return Path(location).exists()
    filesystem, path = fsspec.url_to_fs(location)
    return bool(filesystem.exists(path))
