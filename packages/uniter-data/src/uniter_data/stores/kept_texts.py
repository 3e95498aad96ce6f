"""The index of a view: which texts of a text store belong to it. The store itself is shared, never copied.

A view may lie far from its stores, and these may be written anew. So the index knows by a digest which store it was
made of, and refuses another: its rows would be those of other texts, and what was left out might be in again.
"""

# T texts of the store, K of them kept

from hashlib import sha256
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from uniter_data.stores.group import KEPT, VERSION, StoredGroup
from uniter_data.stores.shards import write_rows
from uniter_data.stores.text_store import TextStore

__all__ = ["read_kept", "write_kept"]


def write_kept(path: Path, texts: TextStore, rows: NDArray[np.int64]) -> None:
    """Write the index.

    Args:
        path: of the index.
        texts: the store.
        rows: (K,) the texts that belong to the view, rising.
    """
    attributes = {"format": KEPT, "version": VERSION, "texts": texts.num_texts, "digest": _digest(texts)}
    group = zarr.create_group(path, attributes=attributes)
    write_rows(group, path, "rows", rows)


def read_kept(location: str, texts: TextStore) -> NDArray[np.int64]:
    """(K,) rows of the texts that belong to the view.

    Args:
        location: of the index.
        texts: the store that it must have been made of.

    Raises:
        ValueError: the index is missing or damaged, or was made of another store.
    """
    group = StoredGroup(location, KEPT)
    if group.attribute("texts") != texts.num_texts or group.attribute("digest") != _digest(texts):
        raise ValueError(
            f"{location} says which texts of {texts.location} to keep, but these were written anew since: filter the "
            "data set again"
        )
    rows: NDArray[np.int64] = group.numbers("rows")
    if len(rows) and (rows[0] < 0 or rows[-1] >= texts.num_texts or (rows[1:] <= rows[:-1]).any()):
        raise ValueError(
            f"{location}/rows must rise from 0 to {texts.num_texts - 1} at most: filter the data set again"
        )
    return rows


def _digest(texts: TextStore) -> str:
    """Of how long each text is and which image it describes: the same only for the same texts in the same order."""
    found = sha256()
    for numbers in (texts.offsets, texts.image_index):
        found.update(np.ascontiguousarray(numbers, dtype="<i8").data)
    return found.hexdigest()
