"""A store as a whole: the Zarr group that names its format and version, and its arrays of strings."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec

from uniter_data.stores.locations import exists, join, locate, read_text
from uniter_data.stores.region_format import RegionFormat
from uniter_data.stores.rows import Rows, open_rows
from uniter_data.stores.strings import read_strings

__all__ = [
    "EXAMPLES",
    "INDEX",
    "KEPT",
    "REGIONS",
    "STRINGS",
    "TEXTS",
    "VERSION",
    "StoredGroup",
    "as_strings",
    "create_strings",
    "write_strings",
]

REGIONS = "uniter-regions"
TEXTS = "uniter-texts"
EXAMPLES = "uniter-examples"
KEPT = "uniter-kept-texts"
VERSION = 1
NEWEST = {REGIONS: 2}  # where it is not VERSION; see RegionFormat.version
INDEX = ("image_hashes", "image_order")  # arrays of an ImageIndex
STRINGS = 1 << 14  # of a chunk
WRITERS = {
    REGIONS: "extract or import the regions",
    TEXTS: "import the texts",
    EXAMPLES: "import the annotations",
    KEPT: "filter the data set",
}


class StoredGroup:
    """A published store, opened for reading.

    Args:
        path: folder or URL.
        format: what it must be: `REGIONS`, `TEXTS`, `EXAMPLES` or `KEPT`.

    Raises:
        ValueError: there is none, it is something else, or a newer version wrote it.
    """

    def __init__(self, path: str | Path, format: str) -> None:
        self.location = locate(path)
        what = format.removeprefix("uniter-")
        try:
            metadata = json.loads(read_text(join(self.location, "zarr.json")))
        except FileNotFoundError as error:
            unfinished = exists(f"{self.location}.partial")
            raise ValueError(
                f"{self.location} holds no {what}: "
                + ("its writing was interrupted, run the same command again" if unfinished else WRITERS[format])
            ) from error
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.location}/zarr.json cannot be read ({error}): copy the store again") from error
        attributes = metadata.get("attributes", {}) if isinstance(metadata, dict) else {}
        if attributes.get("format") != format or not isinstance(attributes.get("version"), int):
            raise ValueError(
                f"{self.location} is not a store of {what}: expected format {format!r} in its attributes, "
                f"got {attributes.get('format')!r}"
            )
        newest = NEWEST.get(format, VERSION)
        if attributes["version"] > newest:
            raise ValueError(
                f"{self.location} has version {attributes['version']} of the format, this uniter-data reads up to "
                f"{newest}: upgrade uniter-data"
            )
        self.attributes: dict[str, Any] = attributes

    def attribute(self, name: str) -> Any:
        """One of the attributes.

        Raises:
            ValueError: it is missing.
        """
        if name not in self.attributes:
            raise ValueError(f"{self.location}: attribute {name!r} is missing: write the store again")
        return self.attributes[name]

    @property
    def arrays(self) -> list[str]:
        """Names of the arrays that the store must have."""
        if self.attributes["format"] == REGIONS:
            index = INDEX if self.attributes.get("indexed") else ()
            return [
                *RegionFormat.of(self.attributes, self.location).arrays,
                "offsets",
                "image_ids",
                "image_sizes",
                *index,
            ]
        if self.attributes["format"] == KEPT:
            return ["rows"]
        if self.attributes["format"] == EXAMPLES:
            names = [f"region_ids_{layer}" for layer in range(self.attribute("layers"))]
            return ["example_ids", "texts", "images", "image_ids", *names, "annotations", "annotation_offsets"]
        annotations: list[str] = self.attribute("annotations")
        return ["token_ids", *annotations, "offsets", "image_index", "groups", "text_ids", "sentences", "image_ids"]

    def rows(self, name: str) -> Rows:
        """An array, to read in stretches."""
        return open_rows(join(self.location, name))

    def numbers(self, name: str) -> NDArray[Any]:
        """A whole array of numbers."""
        rows = self.rows(name)
        return self._read(name, lambda: rows.read(np.array([0]), np.array([rows.shape[0]])))

    def strings(self, name: str) -> NDArray[Any]:
        """A whole array of strings, of dtype StringDType."""
        return self._read(name, lambda: read_strings(join(self.location, name)))

    def _read(self, name: str, read: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        try:
            return read()
        # what a damaged file makes zarr raise depends on the codec that stumbles over it
        except Exception as error:
            raise ValueError(
                f"{self.location}/{name} cannot be read ({error}): copy or write the store again"
            ) from error


def create_strings(group: zarr.Group, name: str, count: int) -> "zarr.Array[Any]":
    """An array for so many strings; filled in blocks of `STRINGS`, each of its chunks is written once."""
    return group.create_array(
        name,
        shape=(count,),
        chunks=(max(1, min(STRINGS, count)),),
        dtype=str,
        compressors=Crc32cCodec(),
        config={"write_empty_chunks": True},
    )


def write_strings(group: zarr.Group, name: str, strings: Sequence[str]) -> None:
    """Write a whole array of strings that is in memory."""
    array = create_strings(group, name, len(strings))
    if strings:
        array[:] = as_strings(strings)


def as_strings(strings: Sequence[str]) -> NDArray[Any]:
    """As numpy holds strings of any length."""
    return np.array(strings, dtype=np.dtypes.StringDType())
