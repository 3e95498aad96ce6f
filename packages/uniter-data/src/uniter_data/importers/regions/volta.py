"""VOLTA's HDF5 files (Bugliarello et al., TACL 2021), as its extraction and its `large_tsv_to_h5.py` write them.

A group an image, called by its id, with `features` (R, D), `boxes` (R, 4) in pixels, `img_w`, `img_h`, and perhaps
`obj_id` (R,), the background not counted, and `obj_conf` (R,). Attributes are left behind.
"""

# R regions of an image, D feature width

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.importers.plain_msgpack import require_library
from uniter_data.importers.regions.boxes import picture_size
from uniter_data.importers.regions.butd import GENOME_CLASSES, detected_regions
from uniter_data.importers.regions.importing import import_regions
from uniter_data.importers.regions.record import ImageRegions, RawRecord
from uniter_data.importers.regions.report import RegionImport, RegionReport

__all__ = ["import_volta"]

NEEDED = ("features", "boxes", "img_w", "img_h")
OPTIONAL = ("obj_id", "obj_conf")
MOST_BYTES = 1 << 30  # of an array

Arrays = dict[str, NDArray[Any]]


def import_volta(
    source: str | Path,
    out: str | Path,
    *,
    options: RegionImport = RegionImport(),  # noqa: B008
) -> RegionReport:
    """Import one HDF5 file. An image is called as its group.

    Raises:
        ValueError: as `import_regions`; or it is no such file, or h5py is not installed.
    """
    library = require_library("h5py", "hdf5")
    path = Path(source)
    try:
        file = library.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is no readable HDF5 file ({error}): copy it again, or correct the path") from error
    with file:
        return import_regions(_File(path, file, library, len(options.class_names) or GENOME_CLASSES), out, options)


# ---------------------------------------------------------------------------------------------------------------------


class _File:
    """The groups of a file; see `RegionSource`."""

    extractor = "bottom-up attention (Anderson et al., CVPR 2018), by VOLTA"

    def __init__(self, path: Path, file: Any, library: Any, num_classes: int) -> None:
        self.name = path.name
        self.num_classes = num_classes
        self._path = path
        self._file = file
        self._library = library
        self._done = 0
        try:
            self._images = [str(image) for image in file]
        # what a damaged file makes the library raise depends on the damage
        except Exception as error:
            raise ValueError(f"{path} is damaged ({error}): copy it again") from error

    def records(self) -> Iterator[RawRecord]:
        for image in self._images:
            self._done += 1
            yield RawRecord(image=image, file=self.name, where=f"{self._path}: {image!r}", data=image)

    def load(self, data: str) -> tuple[Sequence[bytes], Arrays]:
        arrays = self._read(data)
        return [array.tobytes() for array in arrays.values()], arrays

    def decode(self, value: Arrays) -> ImageRegions:
        return detected_regions(
            value["features"],
            value["boxes"],
            picture_size(value["img_w"], value["img_h"]),
            objects=value.get("obj_id"),
            confidence=value.get("obj_conf"),
        )

    def progress(self) -> tuple[int, int]:
        return self._done, len(self._images)

    def _read(self, image: str) -> Arrays:
        """Through h5py's lower half, which makes no objects of groups and arrays: they take longer than the reading."""
        try:
            group = self._open(self._file.id, image, self._library.h5g.GroupID)
            held = {name.decode() for name in group}
            missing = [name for name in NEEDED if name not in held]
            if missing:
                raise ValueError(f"expected {', '.join(NEEDED)}, got no {' and no '.join(missing)}")
            return {name: self._read_array(group, name) for name in (*NEEDED, *OPTIONAL) if name in held}
        except ValueError:
            raise
        # what a damaged file makes the library raise depends on the damage
        except Exception as error:
            raise ValueError(f"damaged ({error or type(error).__name__})") from error

    def _read_array(self, group: Any, name: str) -> NDArray[Any]:
        stored = self._open(group, name, self._library.h5d.DatasetID)
        if stored.get_create_plist().get_external_count():
            raise ValueError(f"{name}: expected an array in this file, got one in another")
        shape, dtype = stored.shape, stored.dtype
        nbytes = prod(shape) * dtype.itemsize
        if dtype.kind not in "fiu" or nbytes > MOST_BYTES:
            raise ValueError(f"{name}: expected numbers, got {nbytes:,} bytes of {dtype}")
        array = np.empty(shape, dtype)
        if array.size:
            stored.read(self._library.h5s.ALL, self._library.h5s.ALL, array)
        return array

    def _open(self, group: Any, name: str, kind: type) -> Any:
        """A member of a group; a link that could lead to another file is not followed."""
        key, library = name.encode(), self._library
        hard = group.links.get_info(key).type == library.h5l.TYPE_HARD
        found = library.h5o.open(group, key) if hard else None
        if not isinstance(found, kind):
            raise ValueError(f"{name}: expected what it is called for in this file, got something else")
        return found
