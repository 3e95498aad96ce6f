"""Opening a store of millions of images, their features holes in files: seconds and memory of a process of its own."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr
from region_files import WIDTH, image_name

from uniter_data.stores.group import INDEX, REGIONS, write_strings
from uniter_data.stores.image_index import ImageIndex
from uniter_data.stores.region_format import RegionFormat
from uniter_data.stores.shards import write_rows

__all__ = ["report_opening"]

OPEN = """
import sys, time
import numpy as np
from uniter_data import RegionStore

def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

before, begin = memory(), time.perf_counter()
store = RegionStore(sys.argv[1])
print(f"  opened {time.perf_counter() - begin:6.2f} s, {memory() - before:6.0f} MiB more than before")
begin = time.perf_counter()
rows = store.find([sys.argv[2]])
print(f"  one image found by name {time.perf_counter() - begin:6.2f} s, {memory() - before:6.0f} MiB")
begin = time.perf_counter()
names = store.image_ids[:600_000]
print(f"  all names read {time.perf_counter() - begin:6.2f} s, {memory() - before:6.0f} MiB")
begin = time.perf_counter()
assert (store.find(names) == np.arange(len(names))).all()
print(f"  {len(names):,} images found by name {time.perf_counter() - begin:6.2f} s, {memory() - before:6.0f} MiB")
for _ in range(2):
    for start in range(0, store.num_images, 50):
        store.boxes.read(store.offsets[start : start + 1], store.offsets[start + 1 : start + 2])
    print(f"  boxes of every 50th image read, {memory() - before:6.0f} MiB")
"""


def report_opening(images: int) -> None:
    """Print what it costs to open a store of so many images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "regions.zarr"
        _write(folder, images)
        print(f"\nOpening a store of {images:,} images", flush=True)
        subprocess.run([sys.executable, "-c", OPEN, str(folder), image_name(images - 1)], check=True)


def _write(folder: Path, images: int) -> None:
    """A store whose arrays of rows have the size that they would have, and no content."""
    lengths = np.random.default_rng(0).integers(10, 101, images)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    form = RegionFormat(region_dim=WIDTH)
    attributes = {"format": REGIONS, "version": 1, "region_dim": WIDTH, "num_classes": 0, "class_names": []}
    group = zarr.create_group(folder, attributes=attributes | {"indexed": True})
    for name, layout in form.arrays.items():
        rows = int(offsets[-1])
        layout.create(group, name, rows)
        for shard in range(layout.num_shards(rows)):
            path = folder / name / layout.key(shard)
            path.parent.mkdir(parents=True, exist_ok=True)
            chunks = layout.num_chunks(rows, shard)
            with path.open("wb") as file:
                file.seek(layout.chunk_bytes * chunks)
                file.write(layout.index([layout.chunk_bytes] * chunks))
    ids = [image_name(number) for number in range(images)]
    write_strings(group, "image_ids", ids)
    write_rows(group, folder, "offsets", offsets)
    write_rows(group, folder, "image_sizes", np.zeros((images, 2), np.int32))
    index = ImageIndex.build(ids)
    for name, values in zip(INDEX, (index.hashes, index.order), strict=True):
        write_rows(group, folder, name, values)
