"""A folder of pictures, found by image id."""

from functools import cached_property
from pathlib import Path, PurePosixPath

import fsspec
from PIL import Image

__all__ = ["Pictures"]

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
        filesystem, root = fsspec.url_to_fs(self.location)
        found = map(PurePosixPath, filesystem.find(root))
        return {path.stem: str(path) for path in found if path.suffix.lower() in SUFFIXES}
