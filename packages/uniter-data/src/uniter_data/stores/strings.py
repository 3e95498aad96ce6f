"""Arrays of strings, read chunk by chunk without zarr's event loop, which a process that was forked off cannot use."""

import json
from typing import Any

import numpy as np
from numcodecs.vlen import VLenUTF8
from numpy.typing import NDArray

from uniter_data.stores.layout import CHECKSUM_BYTES, is_sealed
from uniter_data.stores.locations import join, read_text
from uniter_data.stores.sources import open_source
from uniter_data.stores.zarr_source import open_array

__all__ = ["read_strings"]


def read_strings(location: str) -> NDArray[Any]:
    """A whole array of strings, of dtype StringDType.

    Args:
        location: path or URL of the array.

    Raises:
        ValueError: a chunk is damaged; the message names it.
        OSError: a file is missing or cannot be read.
    """
    metadata = json.loads(read_text(join(location, "zarr.json")))
    grid = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    if [codec["name"] for codec in metadata["codecs"]] != ["vlen-utf8", "crc32c"] or len(grid) != 1:
        return np.asarray(open_array(location)[:])
    (count,) = metadata["shape"]
    strings = np.empty(count, dtype=np.dtypes.StringDType())
    source = open_source(location)
    for chunk, start in enumerate(range(0, count, grid[0])):
        name = f"c/{chunk}"
        (raw,) = source.read(name, [(0, source.size(name))])
        part = strings[start : start + grid[0]]
        try:
            part[:] = _decode(raw)[: len(part)]
        except ValueError as error:
            source.forget(name)
            raise ValueError(f"chunk {chunk} is damaged: {error}") from error
    return strings


def _decode(raw: memoryview) -> NDArray[Any]:
    if not is_sealed(raw):
        raise ValueError("its bytes differ from their checksum")
    decoded: NDArray[Any] = VLenUTF8().decode(np.frombuffer(raw, np.uint8)[:-CHECKSUM_BYTES])
    return decoded
