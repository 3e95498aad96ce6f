"""Images' regions like a detector's in the released formats, as plain arrays, and as stores; and their readers."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import numpy as np
from numpy.typing import NDArray

from uniter_data import RegionStore, RegionWriter

__all__ = ["READERS", "STORES", "WIDTH", "Reader", "encode_array", "image_name", "images", "sizes", "write_all"]

WIDTH = 2048
# Of the positive features of bottom-up attention's detections: their natural logarithm at these shares of them.
SHARES = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0)
LOGARITHMS = (-12.0, -7.46, -4.68, -1.33, 0.93, 2.13, 2.78, 3.56)
ZEROS = (0.15, 0.6)  # least and largest share of zeros in a region's features
STORES = {
    "mapped": {"layout": "mapped"},
    "compressed": {"layout": "compressed"},
    "mapped, int8": {"layout": "mapped", "precision": "int8"},
    "compressed, int8": {"layout": "compressed", "precision": "int8"},
}

Image = dict[str, NDArray[np.float16]]
Reader = Callable[[Sequence[int]], list[Any]]


def images(count: int, seed: int = 0) -> Iterator[Image]:
    """`count` images of 10 to 100 regions: features (R, 2048), boxes (R, 6), confidence (R,), all float16."""
    rng = np.random.default_rng(seed)
    columns = rng.uniform(0.5, 1.5, WIDTH)  # some features are more often zero than others
    for _ in range(count):
        regions = int(rng.integers(10, 101))
        positive = np.exp(np.interp(rng.random((regions, WIDTH)), SHARES, LOGARITHMS))
        zero = rng.random((regions, WIDTH)) < rng.uniform(*ZEROS, (regions, 1)) * columns
        corners = np.sort(rng.random((regions, 2, 2)), axis=1).reshape(regions, 4)
        yield {
            "features": np.where(zero, 0, positive).astype(np.float16),
            "norm_bb": np.concatenate([corners, corners[:, 2:] - corners[:, :2]], axis=1).astype(np.float16),
            "conf": np.sort(rng.random(regions))[::-1].astype(np.float16),
        }


def write_all(folder: Path, count: int) -> None:
    """The same images in every format, each below the folder under its name."""
    with ExitStack() as stack:
        raw, compressed = (
            stack.enter_context(lmdb.open(str(folder / name), map_size=1 << 36))
            for name in ("raw LMDB", "compressed LMDB")
        )
        writers = {
            name: stack.enter_context(RegionWriter(folder / name, region_dim=WIDTH, **settings))
            for name, settings in STORES.items()
        }
        plain = folder / "memory map"
        plain.mkdir()
        files = {name: stack.enter_context((plain / name).open("wb")) for name in ("features", "norm_bb", "conf")}
        lengths = []
        for number, image in enumerate(images(count)):
            lengths.append(len(image["conf"]))
            _put(
                raw,
                number,
                msgpack.dumps({name: encode_array(array) for name, array in image.items()}, use_bin_type=True),
            )
            npz = io.BytesIO()
            np.savez_compressed(npz, **image)
            _put(compressed, number, npz.getvalue())
            for name, array in image.items():
                files[name].write(array.tobytes())
            for writer in writers.values():
                writer.append(image_name(number), image["features"], image["norm_bb"], confidence=image["conf"])
        np.save(plain / "offsets.npy", np.concatenate([[0], np.cumsum(lengths)]))
        for writer in writers.values():
            writer.publish()


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of the files of each format."""
    return {
        place.name: sum(path.stat().st_size for path in place.rglob("*") if path.is_file() and path.name != "lock.mdb")
        for place in sorted(folder.iterdir())
    }


def _put(environment: Any, number: int, value: bytes) -> None:
    with environment.begin(write=True) as transaction:
        transaction.put(image_name(number).encode(), value)


def image_name(number: int) -> str:
    """As the released feature files of COCO's pictures are called."""
    return f"coco_train2014_{number:012d}.npz"


def encode_array(array: NDArray[Any]) -> dict[bytes, Any]:
    """As msgpack-numpy does."""
    return {b"nd": True, b"type": array.dtype.str, b"kind": b"", b"shape": array.shape, b"data": array.tobytes()}


# ---------------------------------------------------------------------------------------------------------------------


def read_raw_lmdb(folder: Path) -> Reader:
    """As released, but left in float16."""
    transaction = _begin(folder)

    def decode(array: dict[bytes, Any]) -> NDArray[Any]:
        return np.frombuffer(array[b"data"], array[b"type"]).reshape(array[b"shape"])

    def read(numbers: Sequence[int]) -> list[Any]:
        records = (msgpack.loads(transaction.get(image_name(number).encode()), raw=False) for number in numbers)
        return [{name: decode(array) for name, array in record.items()} for record in records]

    return read


def read_compressed_lmdb(folder: Path) -> Reader:
    """As released, but without pickle, and left in float16."""
    transaction = _begin(folder)

    def read(numbers: Sequence[int]) -> list[Any]:
        found = []
        for number in numbers:
            with np.load(io.BytesIO(transaction.get(image_name(number).encode()))) as arrays:
                found.append({name: arrays[name] for name in arrays.files})
        return found

    return read


def read_memory_map(folder: Path) -> Reader:
    """Copies out of three mapped matrices."""
    offsets = np.load(folder / "offsets.npy").tolist()
    shapes = {"features": (-1, WIDTH), "norm_bb": (-1, 6), "conf": (-1,)}
    arrays = {name: np.memmap(folder / name, np.float16, "r").reshape(shape) for name, shape in shapes.items()}

    def read(numbers: Sequence[int]) -> list[Any]:
        return [
            {name: np.array(array[offsets[number] : offsets[number + 1]]) for name, array in arrays.items()}
            for number in numbers
        ]

    return read


def read_store(folder: Path) -> Reader:
    """A region store's records."""
    return RegionStore(folder).read


def _begin(folder: Path) -> Any:
    return lmdb.open(str(folder), readonly=True, create=False, lock=False, readahead=True).begin(buffers=True)


READERS: dict[str, Callable[[Path], Reader]] = {
    "memory map": read_memory_map,
    "raw LMDB": read_raw_lmdb,
    "compressed LMDB": read_compressed_lmdb,
    **dict.fromkeys(STORES, read_store),
}
