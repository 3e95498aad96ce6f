"""VinVL's TSV files (Zhang et al., CVPR 2021), in the three ways in which its authors write them:

    id, number of boxes, base64 of float32                          features.tsv of the published features
    id, {"num_boxes": 36, "features": base64 of float32}            train.feature.tsv of the captioning data
    id, {"objects": [{"rect", "class", "conf", "feature"}, …]}      predictions.tsv of scene_graph_benchmark

The published features are 2048 wide and followed by six numbers that place the box: x1, y1, x2, y2 in the unit square,
and its width and height. A second file, predictions.tsv or train.label.tsv, has the same lines with what was found:
id, [{"rect", "class", "conf"}, …], or the same list under `objects` beside `image_w` and `image_h`.
"""

# R regions of an image, D feature width

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.annotations.fields import Fields
from uniter_data.importers.regions.boxes import unit_boxes
from uniter_data.importers.regions.importing import import_regions
from uniter_data.importers.regions.record import ImageRegions, RawRecord
from uniter_data.importers.regions.report import RegionImport, RegionReport
from uniter_data.importers.regions.tsv import TsvFiles, decode_column, split_columns

__all__ = ["import_vinvl"]

PLACE = 6  # numbers that place the box behind the features, which are a multiple of MULTIPLE wide
MULTIPLE = 8
NEAR = 0.02  # how far the width and height there may be from the differences of the corners

Size = tuple[int, int]


def import_vinvl(
    features: str | Path,
    out: str | Path,
    *,
    predictions: str | Path | None = None,
    sizes: str | Path | None = None,
    options: RegionImport = RegionImport(),  # noqa: B008
) -> RegionReport:
    """Import one file of features. An image is called as the first column has it.

    Args:
        features: the TSV file; a `.lineidx` beside it is compared.
        out: the store to write.
        predictions: the TSV file of the objects, line by line the same images.
        sizes: the TSV file of the pictures' sizes, `train.hw.tsv`: id, [{"height", "width"}]; where no other file has
            them.
        options: of every import; classes are kept only where `class_names` names them.

    Raises:
        ValueError: as `import_regions`.
    """
    found = None if predictions is None else TsvFiles([predictions])
    known = {} if sizes is None else _read_sizes(Path(sizes))
    return import_regions(_Lines(TsvFiles([features]), found, known, options.class_names), out, options)


# ---------------------------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of a file of features, and of one of predictions; see `RegionSource`."""

    extractor = "VinVL (Zhang et al., CVPR 2021)"

    def __init__(
        self, features: TsvFiles, predictions: TsvFiles | None, sizes: dict[str, Size], class_names: Sequence[str]
    ) -> None:
        self.name = features.paths[0].name
        self.num_classes = len(class_names)
        self.progress = features.progress
        self._features = features
        self._predictions = predictions
        self._sizes = sizes
        self._classes = {name: number for number, name in enumerate(class_names)}

    def records(self) -> Iterator[RawRecord]:
        if self._predictions is None:
            for line in self._features.records():
                yield replace(line, data=(line.data,))
            return
        predictions = self._predictions.records()
        for line in self._features.records():
            other = next(predictions, None)
            if other is None:
                raise ValueError(f"{self._predictions.paths[0]} ends before {line.where}: copy it again")
            problem = line.problem or other.problem
            if line.image != other.image:
                problem = f"expected the same image in {other.where}, got {other.image!r}"
            yield replace(line, data=(line.data, other.data), problem=problem)
        if next(predictions, None) is not None:
            raise ValueError(f"{self._features.paths[0]} ends before {self._predictions.paths[0]}: copy it again")

    def load(self, data: tuple[bytes, ...]) -> tuple[Sequence[bytes], tuple[bytes, ...]]:
        return data, data

    def decode(self, value: tuple[bytes, ...]) -> ImageRegions:
        line = split_columns(value[0])
        parsed = _parse(line[1]) if len(line) == 2 else None
        if isinstance(parsed, dict) and "objects" in parsed:
            found = _Found(parsed)
            features = np.stack([decode_column("feature", item.text("feature"), "<f4") for item in found.objects])
        else:
            features = _matrix(line, parsed)
            found = _Found(_parse(split_columns(value[1])[-1]) if len(value) > 1 else [])
        return self._regions(features, found, found.size or self._sizes.get(bytes(line[0]).decode().strip()))

    def _regions(self, features: NDArray[np.float32], found: "_Found", size: Size | None) -> ImageRegions:
        placed = features.shape[1] % MULTIPLE == PLACE
        if found.objects and len(found.objects) != len(features):
            raise ValueError(f"expected as many objects as features, {len(features)}, got {len(found.objects)}")
        if found.objects and size is not None:
            boxes = unit_boxes(found.corners(), size)
        elif placed:
            boxes = _placed_boxes(features[:, -PLACE:])
        else:
            raise ValueError("nothing says where the boxes lie: give --predictions, and --sizes if these have no sizes")
        return ImageRegions(
            features=features[:, :-PLACE] if placed else features,
            boxes=boxes,
            confidence=found.confidence(),
            classes=found.classes(self._classes) if self._classes else None,
            size=size or (0, 0),
        )


class _Found:
    """What a line says of the objects of an image: a list of them, or one under `objects` beside the picture's size."""

    def __init__(self, value: Any) -> None:
        objects = value.get("objects") if isinstance(value, dict) else value
        if not isinstance(objects, list):
            raise ValueError("expected a list of objects, or one under `objects`, got neither")
        self.objects = [Fields(item, f"object {number}") for number, item in enumerate(objects)]
        self.size: Size | None = None
        if isinstance(value, dict) and "image_w" in value:
            picture = Fields(value, "the picture")
            self.size = picture.integer("image_w", least=1), picture.integer("image_h", least=1)

    def corners(self) -> NDArray[np.float32]:
        """(R, 4) x1, y1, x2, y2 in pixels."""
        return np.array([item.numbers("rect", count=4) for item in self.objects], dtype=np.float32)

    def confidence(self) -> NDArray[np.float32] | None:
        """(R,) if any object has one."""
        values = [item.raw.get("conf") for item in self.objects]
        if not any(value is not None for value in values):
            return None
        for item, value in zip(self.objects, values, strict=True):
            if type(value) not in (int, float):
                item.fail("conf", "a number", value)
        return np.array(values, dtype=np.float32)

    def classes(self, known: dict[str, int]) -> NDArray[np.int64]:
        """(R,) numbers of the objects' classes."""
        names = [item.text("class") for item in self.objects]
        for item, name in zip(self.objects, names, strict=True):
            if name not in known:
                item.fail("class", f"one of the {len(known)} class names", name)
        return np.array([known[name] for name in names], dtype=np.int64)


def _matrix(line: list[memoryview], value: Any) -> NDArray[np.float32]:
    """(R, W) what is written of each box, in the first two ways."""
    text: memoryview | str
    if len(line) == 3 and bytes(line[1]).isdigit():
        count, text = int(bytes(line[1])), line[2]
    elif isinstance(value, dict):
        fields = Fields(value, "the image")
        count, text = fields.integer("num_boxes"), fields.text("features")
    else:
        raise ValueError(f"expected the features of an image, got {len(line)} columns of another kind")
    array = decode_column("features", text, "<f4")
    if count < 1 or not len(array) or len(array) % count:
        raise ValueError(f"features: expected {count} rows of numbers, got {len(array):,} numbers")
    return array.reshape(count, -1)


def _placed_boxes(places: NDArray[np.float32]) -> NDArray[np.float32]:
    """(R, 6) boxes of what stands behind the features; width and height come in either order, so they are computed."""
    corners = places[:, :4]
    spans = corners[:, 2:] - corners[:, :2]
    if not (np.abs(np.sort(places[:, 4:], axis=1) - np.sort(spans, axis=1)) <= NEAR).all():
        raise ValueError("features: expected corners, width and height of the box as the last six, got other numbers")
    return np.concatenate([corners, spans], axis=1)


def _parse(text: memoryview) -> Any:
    try:
        return json.loads(bytes(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error})") from error


def _read_sizes(file: Path) -> dict[str, Size]:
    sizes = {}
    for line in TsvFiles([file]).records():
        try:
            if line.problem:
                raise ValueError(line.problem)
            (entry,) = _parse(split_columns(line.data)[-1])
            picture = Fields(entry, "the picture")
            sizes[line.image] = picture.integer("width", least=1), picture.integer("height", least=1)
        except (ValueError, TypeError) as error:
            raise ValueError(f'{line.where}: expected [{{"height", "width"}}] ({error})') from error
    return sizes
