"""The official image databases of UNITER: an LMDB file of records, npz or MessagePack, and a JSON of their box counts.

    img_db/coco_train2014/feat_th0.2_max100_min10_compressed/data.mdb
    img_db/coco_train2014/nbb_th0.2_max100_min10.json

The folder's name says which boxes are kept. `feat_th…`: as many as the JSON beside it says, which was computed before
the confidences were rounded; records are cut to them already. `feat_numbb36`: the first 36, though records hold more.
`all`: by a rule of one's own.
"""

# R regions of an image, D feature width, C classes

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from uniter_data.importers.lmdb_file import NAMES, LmdbFile, open_lmdb
from uniter_data.importers.plain_msgpack import unpack, unpack_array
from uniter_data.importers.regions.boxes import BoxRule
from uniter_data.importers.regions.importing import import_regions
from uniter_data.importers.regions.plain_npz import read_npz
from uniter_data.importers.regions.record import ImageRegions, RawRecord
from uniter_data.importers.regions.report import RegionImport, RegionReport

__all__ = ["import_uniter_images", "released_regions"]

EXTRACTOR = "bottom-up attention (Anderson et al., CVPR 2018), as released with UNITER"
VARIANT = re.compile(r"(?:feat_(?P<rule>th.+)|feat_numbb(?P<count>\d+)|(?P<all>all))(?:_compressed)?")
FIELDS = ("features", "norm_bb", "conf", "soft_labels")
SUFFIX = ".npz"
ZIP = b"PK"


def import_uniter_images(
    source: str | Path,
    out: str | Path,
    *,
    rule: BoxRule = BoxRule(),  # noqa: B008
    options: RegionImport = RegionImport(),  # noqa: B008
) -> RegionReport:
    """Import one image database. An image is called as its record, without `.npz`.

    Args:
        source: folder of data.mdb; its name must be the released one.
        out: the store to write.
        rule: which boxes of a database `all` are kept, unless a JSON of this rule lies beside it.
        options: of every import.

    Raises:
        ValueError: as `import_regions`; or the folder has another name.
    """
    folder = Path(source)
    with open_lmdb(folder) as database:
        return import_regions(_Database(folder, database, rule), out, options)


def released_regions(arrays: dict[str, NDArray[Any]], count: Callable[[NDArray[Any]], int]) -> ImageRegions:
    """Regions of the arrays in which UNITER's detections are released.

    Args:
        arrays: `features` (R, D), `norm_bb` (R, 6), `conf` (R,) or (R, 1), and perhaps `soft_labels` (R, C).
        count: of the confidences (R,), how many boxes are kept.

    Raises:
        ValueError: one is missing, they differ in length, or fewer boxes are there than to be kept.
    """
    missing = [name for name in FIELDS[:3] if name not in arrays]
    if missing:
        raise ValueError(f"expected {', '.join(FIELDS[:3])}, got no {' and no '.join(missing)}")
    confidence = arrays["conf"]
    if confidence.ndim == 2 and confidence.shape[1] == 1:
        confidence = confidence[:, 0]
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or not lengths["conf"]:
        raise ValueError(f"expected arrays of the same length, one row at least, got {lengths}")
    kept = count(confidence)
    labels = arrays.get("soft_labels")
    return ImageRegions(
        features=arrays["features"][:kept],
        boxes=arrays["norm_bb"][:kept],
        confidence=confidence[:kept],
        labels=None if labels is None else labels[:kept],
    )


# ---------------------------------------------------------------------------------------------------------------------


class _Database:
    """One image database; see `RegionSource`."""

    extractor = EXTRACTOR
    num_classes = 0

    def __init__(self, folder: Path, database: LmdbFile, rule: BoxRule) -> None:
        self.name = "/".join(folder.resolve().parts[-2:])
        self._folder = folder.resolve()
        self._database = database
        self._rule = rule
        self._fixed, self._counts = self._read_variant()
        self._done = 0

    def records(self) -> Iterator[RawRecord]:
        listed = self._read_names()
        for key in self._database:
            self._done += 1
            yield self._record(key, "" if key in listed else f"its name is damaged: not in {NAMES}")
            listed.discard(key)
        for key in sorted(listed):
            yield self._record(key, f"{NAMES} lists it, but there is no such record")

    def load(self, data: str) -> tuple[Sequence[bytes], tuple[str, bytes]]:
        raw = self._database.get(data)
        return (raw,), (data, raw)

    def decode(self, value: tuple[str, bytes]) -> ImageRegions:
        key, raw = value
        if raw[:2] == ZIP:
            arrays = read_npz(raw, FIELDS)
        else:
            record = unpack(raw, where="the record")
            arrays = {name: unpack_array(record[name], where=name) for name in FIELDS if name in record}
        return released_regions(arrays, lambda confidence: self._count(key, confidence))

    def progress(self) -> tuple[int, int]:
        return self._done, len(self._database)

    def _record(self, key: str, problem: str) -> RawRecord:
        return RawRecord(
            image=key.removesuffix(SUFFIX),
            file=f"{self.name}/data.mdb",
            where=f"{self._database.path}: {key!r}",
            data=key,
            problem=problem,
        )

    def _count(self, key: str, confidence: NDArray[Any]) -> int:
        if self._counts is not None:
            if key not in self._counts:
                raise ValueError("the JSON of box counts does not name it")
            if self._counts[key] > len(confidence):
                raise ValueError(f"expected {self._counts[key]} boxes as in the JSON, got {len(confidence)}")
            return self._counts[key]
        if self._fixed is None:
            return self._rule.count(confidence)
        return self._fixed or len(confidence)

    def _read_variant(self) -> tuple[int | None, dict[str, int] | None]:
        """How many boxes are kept (None: by rule; 0: all there are), and how many of each record (None: as said)."""
        found = VARIANT.fullmatch(self._folder.name)
        if found is None:
            raise ValueError(
                f"{self._folder}: expected a folder called as released, such as feat_th0.2_max100_min10_compressed, "
                "feat_numbb36 or all: its name says which boxes are kept"
            )
        if found["count"]:
            return int(found["count"]), None
        file = self._folder.parent / f"nbb_{found['rule'] or self._rule.suffix}.json"
        return None if found["all"] else 0, _read_counts(file) if file.exists() else None

    def _read_names(self) -> set[str]:
        """The names that the database lists. The list is written last: a file that lacks it lacks records too."""
        try:
            return {str(name) for name in json.loads(self._database.get(NAMES))}
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{self._database.path} has no whole list of its names ({error}): copy it again"
            ) from error


def _read_counts(file: Path) -> dict[str, int]:
    try:
        counts = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read ({error}): copy it again") from error
    if not isinstance(counts, dict) or not all(type(count) is int and count > 0 for count in counts.values()):
        raise ValueError(f"{file}: expected a JSON object from names to box counts: copy it again")
    return counts
