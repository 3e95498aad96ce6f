"""A folder of pictures, found by image id."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

import fsspec
from PIL import Image

__all__ = ["SUFFIXES", "Pictures", "find_files"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Pictures:
    """The pictures below a folder, local or remote; a file's stem is its image id.

    Args:
        location: of the folder.
    """

    def __init__(self, location: str | Path) -> None:
        self.location = str(location)

    def open(self, image_id: str) -> Image.Image | None:
        """The picture in RGB, or None if the folder lacks it."""
        path = self._paths.get(image_id)
        if path is None:
            return None
        filesystem, _ = fsspec.url_to_fs(self.location)
        with filesystem.open(path, "rb") as file, Image.open(file) as picture:
            return picture.convert("RGB")

    @cached_property
    def _paths(self) -> dict[str, str]:
        _, root = fsspec.url_to_fs(self.location)
        found = (path for path in find_files(self.location) if path.suffix.lower() in SUFFIXES)
        return {path.stem: str(root / path) for path in found}


def find_files(location: str | Path) -> Iterator[PurePosixPath]:
    """The files below a folder or URL, seen from there; none where there is no such folder."""
    filesystem, root = fsspec.url_to_fs(str(location))
    return (PurePosixPath(path).relative_to(root) for path in filesystem.find(root))
