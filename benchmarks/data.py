"""Reading images' regions against what people read them from: ``python benchmarks/data.py``.

600 images of 10 to 100 regions, each of 2048 float16 features, sparse and not negative as a detector's, with boxes
and confidence, without soft labels: as the released LMDB files, raw (MessagePack) and compressed (npz); as plain
arrays in a memory map; as stores. Read at random, one image at a time and in batches, with all files in memory and
with none. Then a loader of 2 workers that packs batches of 10,240 units, and the opening of a store of 3 million
images. Everything stays float16. Candidates take turns within one run; the tables hold medians and their ratios.
"""

import argparse
import gc
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from big_store import report_opening
from region_files import READERS, Reader, image_name, sizes, write_all
from timing import machine, medians
from torch.utils.data import Dataset

from uniter_cli.loader import batch_loader
from uniter_core import PackedBatch, pack
from uniter_data import PairDataset, Split, TextWriter, Tokenizer, UnitBatches, write_dataset

IMAGES = 600
BATCH = 150  # about what 10,240 units hold
TURN = 150
UNITS = 10_240
WORKERS = 2
SENTENCE = "two dogs run over the green grass of a park"
# What is asked of whom, beside whom: (layout, rival, at least so many times its rate).
BARS = (("mapped", "raw LMDB", 0.8), ("mapped", "memory map", 0.6), ("compressed", "compressed LMDB", 3.0))


class Packed(Dataset[tuple[object, PackedBatch]]):
    """The packed batch of a job."""

    def __init__(self, pairs: PairDataset) -> None:
        self.pairs = pairs

    def __getitem__(self, indices: np.ndarray) -> PackedBatch:
        return pack(self.pairs.samples(indices))


def warm_rates(readers: dict[str, Reader], order: list[int], *, batch: int, rounds: int) -> dict[str, float]:
    """Images a second of each reader, the files in memory, `batch` images at a time.

    A turn reads the next `TURN` images in the order, so that it is short and yet none finds its images in the
    processor's cache.
    """

    def turns(read: Reader) -> Callable[[], object]:
        starts = itertools.cycle(range(0, len(order) - TURN + 1, TURN))

        def run() -> None:
            begin = next(starts)
            for start in range(begin, begin + TURN, batch):
                read(order[start : start + batch])

        return run

    for read in readers.values():
        for number in order:
            read([number])
    seconds = medians({name: turns(read) for name, read in readers.items()}, rounds=rounds)
    return {name: TURN / median for name, median in seconds.items()}


def cold_rates(folder: Path, order: list[int], *, rounds: int) -> dict[str, float]:
    """Images a second of each format, one at a time, after its files were dropped from memory."""
    seconds: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(rounds):
        for name, open_reader in READERS.items():
            _drop(folder / name)
            read = open_reader(folder / name)
            begin = time.perf_counter()
            for number in order:
                read([number])
            seconds[name].append(time.perf_counter() - begin)
    return {name: len(order) / statistics.median(times) for name, times in seconds.items()}


def _drop(folder: Path) -> None:
    gc.collect()  # what is mapped stays in memory
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def table(title: str, rates: dict[str, float]) -> None:
    """Images a second, and how many times the memory map's and the two LMDB files' rates each is."""
    rivals = ("memory map", "raw LMDB", "compressed LMDB")
    print(f"\n{title}\n  {'':<18} {'images/s':>9}" + "".join(f"{'/ ' + rival:>18}" for rival in rivals))
    for name, rate in rates.items():
        print(f"  {name:<18} {rate:9,.0f}" + "".join(f"{rate / rates[rival]:16.2f} x" for rival in rivals))


def compare(rates: dict[str, float]) -> None:
    """Print whether the rates are what is asked for."""
    for name, rival, least in BARS:
        ratio = rates[name] / rates[rival]
        print(f"  {name} at least {least} x {rival}: {ratio:.2f}, {'met' if ratio >= least else 'MISSED'}")


# ---------------------------------------------------------------------------------------------------------------------


def write_pairs(folder: Path, regions: str, images: int) -> Path:
    """A data set of one sentence an image over a store beside it."""
    tokenizer = Tokenizer.build([SENTENCE])
    with TextWriter(folder / "texts.zarr", tokenizer=tokenizer) as texts:
        for number in range(images):
            texts.append(str(number), SENTENCE, image_name(number))
        texts.publish()
    splits = {"train": Split(texts="texts.zarr", regions=f"../{regions}")}
    return write_dataset(folder, name="pairs", splits=splits, tokenizer=tokenizer)


def loader_rate(pairs: PairDataset, *, batches: int, workers: int) -> tuple[float, float]:
    """Images a second that a loader feeds, every byte of the features touched, and seconds to its first batch."""
    stream = UnitBatches(pairs, units=UNITS, seed=0)
    jobs = [next(stream).parts[0] for _ in range(batches)]
    begin = time.perf_counter()
    found = iter(batch_loader(Packed(pairs), jobs, workers=workers))
    _touch(next(found))
    first = time.perf_counter() - begin
    for _ in range(4 * workers):  # what was made ahead
        _touch(next(found))
    done, begin = 0, time.perf_counter()
    for batch in found:
        _touch(batch)
        done += len(batch.text_lengths)
    return done / (time.perf_counter() - begin), first


def _touch(batch: PackedBatch) -> None:
    batch.region_features.view(torch.int16)[:, ::64].sum()  # as a copy to a device would


def report_loader(folder: Path, memory_map: Reader, order: list[int], *, rounds: int) -> None:
    """Print what loaders feed, and what share of the memory map's rate, read in turns with them, that is."""
    print(f"\nLoader of packed batches of {UNITS:,} units")
    for layout in ("mapped", "compressed"):
        pairs = PairDataset.open(write_pairs(folder / f"{layout} pairs", layout, len(order)), "train")
        for workers in (0, 1, WORKERS):
            found: list[tuple[float, float, float]] = []
            for _ in range(rounds):
                rival = warm_rates({"": memory_map}, order, batch=1, rounds=10)[""]
                rate, first = loader_rate(pairs, batches=60, workers=workers)
                found.append((rate, rate / rival, first))
            rate, share, first = (statistics.median(values) for values in zip(*found, strict=True))
            print(
                f"  {layout:<11} {workers} workers {rate:9,.0f} images/s, {share:5.2f} x memory map, "
                f"first batch after {first:.1f} s",
                flush=True,
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--big", type=int, default=3_000_000, help="images of the store that is only opened; 0 = none")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_all(folder, options.images)
        print(f"\nBytes of {options.images} images")
        stored = sizes(folder)
        for kind, size in stored.items():
            ratios = (f"{size / stored[rival]:6.2f} x {rival}" for rival in ("memory map", "compressed LMDB"))
            print(f"  {kind:<18} {size / 2**20:7.1f} MiB", *ratios)
        order = np.random.default_rng(0).permutation(options.images).tolist()
        readers = {kind: open_reader(folder / kind) for kind, open_reader in READERS.items()}
        warm = warm_rates(readers, order, batch=1, rounds=options.rounds)
        together = warm_rates(readers, order, batch=BATCH, rounds=options.rounds)
        table("One image at a time, files in memory", warm)
        compare(warm)
        table(f"{BATCH} images at a time, files in memory", together)
        del readers  # what they map could not be dropped
        table("One image at a time, files dropped from memory", cold_rates(folder, order, rounds=5))
        report_loader(folder, READERS["memory map"](folder / "memory map"), order, rounds=5)
    if options.big:
        report_opening(options.big)


if __name__ == "__main__":
    main()
