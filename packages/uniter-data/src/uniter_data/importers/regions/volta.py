"""VOLTA's HDF5 files (Bugliarello et al., TACL 2021), as its extraction and its `large_tsv_to_h5.py` write them.

A group an image, called by its id, with `features` (R, D), `boxes` (R, 4) in pixels, `img_w`, `img_h`, and perhaps
`obj_id` (R,), the background not counted, and `obj_conf` (R,). Attributes are left behind.
"""

# R regions of an image, D feature width

from collections.abc import Iterator, Sequence
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
        try:
            group = self._open(self._file, image, self._library.Group)
            held = set(group)
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
        array = self._open(group, name, self._library.Dataset)
        if array.external:
            raise ValueError(f"{name}: expected an array in this file, got one in another")
        if array.dtype.kind not in "fiu" or array.nbytes > MOST_BYTES:
            raise ValueError(f"{name}: expected numbers, got {array.nbytes:,} bytes of {array.dtype}")
        return np.asarray(array[()])

    def _open(self, group: Any, name: str, kind: type) -> Any:
        """A member of a group; a link that could lead to another file is not followed."""
        found = group[name] if group.id.links.get_info(name.encode()).type == self._library.h5l.TYPE_HARD else None
        if not isinstance(found, kind):
            raise ValueError(f"{name}: expected a {kind.__name__.lower()} in this file, got something else")
        return found
