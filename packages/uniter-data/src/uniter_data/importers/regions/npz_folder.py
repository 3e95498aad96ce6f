"""Folders of .npz, a file an image, as extraction scripts write them. The names of their arrays tell two layouts apart:

- `features`, `norm_bb`, `conf` and perhaps `soft_labels`: of UNITER's extraction, before a database is made of them;
- `x`, `bbox` (pixels), `image_h`, `image_w` and perhaps `num_bbox`: of bottom-up-attention.pytorch and MCAN, `x` as
  (R, D) or (D, R). What they call `info` is pickled, and never read.
"""

# R regions of an image, D feature width

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.importers.regions.boxes import BoxRule, picture_size
from uniter_data.importers.regions.butd import detected_regions
from uniter_data.importers.regions.importing import import_regions
from uniter_data.importers.regions.plain_npz import read_npz
from uniter_data.importers.regions.record import ImageRegions, RawRecord
from uniter_data.importers.regions.report import RegionImport, RegionReport
from uniter_data.importers.regions.uniter_images import FIELDS, released_regions

__all__ = ["import_npz"]

PYTORCH = ("x", "bbox", "image_h", "image_w", "num_bbox")


def import_npz(
    folder: str | Path,
    out: str | Path,
    *,
    rule: BoxRule = BoxRule(),  # noqa: B008
    options: RegionImport = RegionImport(),  # noqa: B008
) -> RegionReport:
    """Import the .npz below a folder, in the order of their paths. An image is called as its file, without `.npz`.

    Args:
        folder: searched with its subfolders.
        out: the store to write.
        rule: which boxes are kept where their confidences are known; as `scripts/convert_imgdir.py` of UNITER.
        options: of every import.

    Raises:
        ValueError: as `import_regions`; or there is no .npz.
    """
    return import_regions(_Folder(Path(folder), rule), out, options)


# ---------------------------------------------------------------------------------------------------------------------


class _Folder:
    """The files of a folder; see `RegionSource`."""

    extractor = "files of .npz"
    num_classes = 0

    def __init__(self, folder: Path, rule: BoxRule) -> None:
        self.name = folder.name
        self._folder = folder
        self._rule = rule
        self._files = sorted(folder.rglob("*.npz"))
        if not self._files:
            raise ValueError(f"{folder} has no .npz: correct the path")
        self._done = 0

    def records(self) -> Iterator[RawRecord]:
        for file in self._files:
            self._done += 1
            yield RawRecord(image=file.stem, file=self.name, where=str(file), data=file)

    def load(self, data: Path) -> tuple[Sequence[bytes], bytes]:
        try:
            raw = data.read_bytes()
        except OSError as error:
            raise ValueError(f"it cannot be read ({error.strerror})") from error
        return (raw,), raw

    def decode(self, value: bytes) -> ImageRegions:
        arrays = read_npz(value, (*FIELDS, *PYTORCH))
        if "x" in arrays or "bbox" in arrays:
            return _pytorch_regions(arrays)
        if not arrays:
            raise ValueError(f"expected arrays {', '.join(FIELDS)}, or {', '.join(PYTORCH)}, got none of them")
        return released_regions(arrays, self._rule.count)

    def progress(self) -> tuple[int, int]:
        return self._done, len(self._files)


def _pytorch_regions(arrays: dict[str, NDArray[Any]]) -> ImageRegions:
    missing = [name for name in PYTORCH[:4] if name not in arrays]
    if missing:
        raise ValueError(f"expected {', '.join(PYTORCH[:4])}, got no {' and no '.join(missing)}")
    features, corners = arrays["x"], arrays["bbox"]
    count = len(corners) if corners.ndim else 0
    if "num_bbox" in arrays and arrays["num_bbox"].tolist() != count:
        raise ValueError(f"expected as many boxes as num_bbox says, {arrays['num_bbox'].tolist()}, got {count}")
    if features.ndim == 2 and features.shape[1] == count != features.shape[0]:
        features = np.ascontiguousarray(features.T)
    return detected_regions(features, corners, picture_size(arrays["image_w"], arrays["image_h"]))
