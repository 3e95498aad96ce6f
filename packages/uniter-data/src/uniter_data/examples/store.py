"""The store of a split's examples: which texts and images each has, and its annotation as JSON."""

# E examples, T texts and I images of an example, U images in all, L layers of regions

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from uniter_data.stores.group import EXAMPLES, VERSION, StoredGroup, write_strings
from uniter_data.stores.layout import RowLayout
from uniter_data.stores.rows import Rows
from uniter_data.stores.shards import ShardWriter, write_rows

__all__ = ["ExampleStore", "ExampleWriter"]

BLOCK = 1 << 12  # annotations read at once


class ExampleWriter:
    """Writes a store of examples, one after another. It is whole only after `finish`.

    Args:
        path: of the store.
        task: to which the examples belong.
        layers: L.
        label: the field of the annotation that a test set may lack.
    """

    def __init__(self, path: Path, *, task: str, layers: int, label: str) -> None:
        self._path = path
        self._label = label
        self._labelled = 0
        self._attributes: dict[str, Any] = {"format": EXAMPLES, "version": VERSION, "task": task, "layers": layers}
        self._ids: list[str] = []
        self._texts, self._images, self._lengths = array("q"), array("q"), array("q")
        self._rows: dict[tuple[str, ...], int] = {}  # of images: their names, numbered as they first appear
        path.mkdir(parents=True)
        self._annotations = ShardWriter(path / "annotations", RowLayout.of("uint8"))

    def append(
        self,
        example_id: str,
        annotation: Mapping[str, Any],
        *,
        texts: Sequence[int],
        images: Sequence[tuple[str, ...]],
    ) -> None:
        """Append an example.

        Args:
            example_id: unique in the store.
            annotation: plain JSON values.
            texts: (T,) rows of its texts in the text store.
            images: (I,) of each its own id, and what each of the L layers calls it.
        """
        raw = json.dumps(annotation, ensure_ascii=False, separators=(",", ":")).encode()
        self._annotations.append(np.frombuffer(raw, np.uint8))
        self._labelled += self._label in annotation
        self._ids.append(example_id)
        self._lengths.append(len(raw))
        self._texts.extend(texts)
        self._images.extend(self._rows.setdefault(names, len(self._rows)) for names in images)

    def finish(self) -> None:
        """Write what is known only at the end."""
        group = zarr.create_group(self._path, attributes=self._attributes | {"labelled": self._labelled})
        self._annotations.layout.create(group, "annotations", self._annotations.rows)
        self._annotations.finish()
        count = len(self._ids)
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum(np.array(self._lengths, np.int64), out=offsets[1:])
        write_rows(group, self._path, "annotation_offsets", offsets)
        write_rows(group, self._path, "texts", np.array(self._texts, np.int64).reshape(count, -1))
        write_rows(group, self._path, "images", np.array(self._images, np.int64).reshape(count, -1))
        write_strings(group, "example_ids", self._ids)
        arrays = ["image_ids", *(f"region_ids_{layer}" for layer in range(self._attributes["layers"]))]
        for number, name in enumerate(arrays):
            write_strings(group, name, [names[number] for names in self._rows])

    def __enter__(self) -> "ExampleWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._annotations.close()


class ExampleStore:
    """A store of examples, local or remote, opened for reading.

    Attributes:
        task: to which the examples belong.
        num_labelled: examples whose annotation has its label.
        example_ids: (E,).
        texts: (E, T) rows in the text store.
        images: (E, I) rows of `image_ids`.

    Raises:
        ValueError: it is missing, foreign, too new or cut short; the message names the file.
    """

    def __init__(self, path: str | Path) -> None:
        group = StoredGroup(path, EXAMPLES)
        self.location = group.location
        self.task: str = group.attribute("task")
        self.num_labelled: int = group.attribute("labelled")
        self.num_layers: int = group.attribute("layers")
        self.example_ids: NDArray[Any] = group.strings("example_ids")
        self.texts: NDArray[np.int64] = group.numbers("texts")
        self.images: NDArray[np.int64] = group.numbers("images")
        self._annotations: Rows = group.rows("annotations")
        self._offsets: NDArray[np.int64] = group.numbers("annotation_offsets")
        self._group = group
        self._check()

    @cached_property
    def image_ids(self) -> NDArray[Any]:
        """(U,) ids of the images, as the annotations name their pictures."""
        return self._group.strings("image_ids")

    def region_ids(self, layer: int) -> NDArray[Any]:
        """(U,) what the region stores of a layer call the images."""
        return self._group.strings(f"region_ids_{layer}")

    def annotations(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """The annotations of some examples, fetched together."""
        starts, stops = self._offsets[rows], self._offsets[rows + 1]
        raw = self._annotations.read(starts, stops).tobytes()
        ends = np.cumsum(stops - starts).tolist()
        try:
            return [json.loads(raw[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        except ValueError as error:
            raise ValueError(f"{self.location}/annotations is damaged ({error}): copy or import it again") from error

    def all_annotations(self) -> Iterator[dict[str, Any]]:
        """The annotations of all examples in order, never more than a block of them in memory."""
        for start in range(0, len(self.example_ids), BLOCK):
            yield from self.annotations(np.arange(start, min(start + BLOCK, len(self.example_ids))))

    def _check(self) -> None:
        count = len(self.example_ids)
        total = int(self._offsets[-1]) if len(self._offsets) else -1
        expected = {
            "texts": (self.texts.shape[:1], (count,)),
            "images": (self.images.shape[:1], (count,)),
            "annotation_offsets": (self._offsets.shape, (count + 1,)),
            "annotations": (self._annotations.shape, (total,)),
        }
        for name, (found, wanted) in expected.items():
            if found != wanted:
                raise ValueError(f"{self.location}/{name} has shape {found}, expected {wanted}: import it again")
        if (self._offsets[1:] < self._offsets[:-1]).any() or self._offsets[0] != 0:
            raise ValueError(f"{self.location}/annotation_offsets must rise from 0: copy or import it again")
