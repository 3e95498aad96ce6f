"""What a block-shuffled epoch costs in randomness, and what it saves over a network: two tables in Markdown.

The orders are those of `UnitBatches` with `shuffle_block` 0 (full), or so many images, beside the order of the store.
The second table reads the beginning of an epoch over HTTP, in one process, from a server on this machine that waits
before each answer and sends at a limited rate; the block cache is empty at first and holds under a third of the store.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from range_server import RangeServer
from timing import machine

from uniter_data import PairDataset, RegionWriter, Split, TextWriter, Tokenizer, UnitBatches, write_dataset
from uniter_data.shuffling import BUFFER_BLOCKS
from uniter_data.stores.cache import use_cache

UNITS = 10_240  # the paper's batch
NEAR = 256  # images: what counts as neighbours among batch mates
SEED = 1


@dataclass(frozen=True, kw_only=True)
class Captions:
    """As many images and captions an image as COCO's training split has, in the store's order."""

    images: int = 113_287
    captions: int = 5
    name: str = "captions"

    @property
    def image_rows(self) -> NDArray[np.int64]:
        """(T,)."""
        return np.repeat(np.arange(self.images), self.captions)

    @property
    def groups(self) -> NDArray[np.int64]:
        """(T,) each image alone."""
        return self.image_rows

    @property
    def text_lengths(self) -> NDArray[np.int64]:
        """(T,)."""
        return np.full(self.images * self.captions, 14)

    @property
    def region_lengths(self) -> NDArray[np.int64]:
        """(I,)."""
        return np.full(self.images, 36)


def batches_of(dataset: Captions | PairDataset, order: str) -> Iterator[NDArray[np.int64]]:
    """The texts of each batch of an epoch."""
    if order == "stored":
        size = UNITS // int(dataset.text_lengths[0] + dataset.region_lengths[0])
        return iter(np.split(np.arange(len(dataset.text_lengths)), range(size, len(dataset.text_lengths), size)))
    block = 0 if order == "full" else int(order)
    return (batch.parts[0] for batch in UnitBatches(dataset, units=UNITS, seed=SEED, shuffle_block=block).epoch(0))


def randomness(orders: Sequence[str]) -> Iterator[str]:
    """How far an order parts what the store holds together."""
    data = Captions()
    yield (
        "| order | stored neighbours come apart by (5 %, median, 95 %) | batch mates within 256 images "
        "| image twice in the batch |"
    )
    yield "|---|---|---|---|"
    rows_of = data.image_rows
    for order in orders:
        found = list(batches_of(data, order))
        place = np.empty(len(rows_of))
        place[np.concatenate(found)] = np.arange(len(rows_of))
        # the first caption of an image and that of the next one
        apart = np.abs(np.diff(place[:: data.captions])) / len(rows_of)
        near, doubled = [], []
        for texts in found[:: max(1, len(found) // 200)]:
            rows = np.sort(rows_of[texts])
            others = np.searchsorted(rows, rows + NEAR, "left") - np.searchsorted(rows, rows - NEAR, "right") - 1
            near.append(others.mean() / max(1, len(rows) - 1))
            doubled.append(1 - (np.unique(rows, return_counts=True)[1] == 1).sum() / len(rows))
        low, middle, high = np.quantile(apart, [0.05, 0.5, 0.95])
        yield (
            f"| {_name(order)} | {low:.2%}, {middle:.2%}, {high:.2%} of the epoch | {np.mean(near):.2%} "
            f"| {np.mean(doubled):.2%} |"
        )


def throughput(orders: Sequence[str], *, images: int, pairs: int, latency: float, bandwidth: float) -> Iterator[str]:
    """What an order costs over a network."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / "data", images)
        mine, its = multiprocessing.Pipe()
        server = multiprocessing.Process(
            target=_serve, args=(Path(folder) / "data", latency, bandwidth, its), daemon=True
        )
        server.start()
        url = mine.recv()
        yield "| order | images/s | first batch, s | requests an image | MB fetched an image |"
        yield "|---|---|---|---|---|"
        for order in orders:
            use_cache(folder=Path(folder) / f"cache-{order}", size="513M")
            data = PairDataset.open(url, "train")
            before = _counts(mine)
            begin, first, seen = time.perf_counter(), 0.0, 0
            for texts in batches_of(data, order):
                data.samples(texts)
                first = first or time.perf_counter() - begin
                seen += len(texts)
                if seen >= pairs:
                    break
            seconds = time.perf_counter() - begin
            requests, sent = (after - earlier for after, earlier in zip(_counts(mine), before, strict=True))
            yield (
                f"| {_name(order)} | {seen / seconds:.0f} | {first:.1f} | {requests / seen:.2f} "
                f"| {sent / seen / 1e6:.2f} |"
            )
        server.kill()


def _name(order: str) -> str:
    return order if not order.isdigit() else f"blocks of {order} images, {BUFFER_BLOCKS} in the buffer"


def _write(folder: Path, images: int) -> None:
    """A data set of one caption an image, 36 regions of 2048 features each."""
    rng = np.random.default_rng(SEED)
    tokenizer = Tokenizer.build(["a red ball on the table"])
    features = rng.standard_normal((64 + 36, 2048)).astype(np.float16)
    boxes = np.tile(np.array([0, 0, 1, 1, 1, 1], np.float32), (36, 1))
    with RegionWriter(folder / "regions.zarr", region_dim=2048) as regions:
        for number in range(images):
            regions.append(f"{number}", features[number % 64 : number % 64 + 36], boxes)
        regions.publish()
    with TextWriter(folder / "texts.zarr", tokenizer=tokenizer) as texts:
        for number in range(images):
            texts.append(f"{number}", "a red ball on the table", f"{number}")
        texts.publish()
    split = Split(texts="texts.zarr", regions="regions.zarr")
    write_dataset(folder, name="data", splits={"train": split}, tokenizer=tokenizer)


def _serve(folder: Path, latency: float, bandwidth: float, caller: Connection) -> None:
    """The server's process: tells its URL, then its counts whenever it is asked."""
    with RangeServer(folder, latency=latency, bandwidth=bandwidth) as site:
        caller.send(site.url)
        while caller.recv():
            caller.send((len(site.requests), site.sent))


def _counts(server: Connection) -> tuple[int, int]:
    server.send(True)
    counts: tuple[int, int] = server.recv()
    return counts


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, nargs="+", default=[64, 256, 1024], help="images of a block")
    parser.add_argument("--images", type=int, default=12_000, help="of the store that is read over HTTP")
    parser.add_argument("--pairs", type=int, default=2400, help="read in each order")
    parser.add_argument("--network-block", type=int, default=64, help="images of a block over HTTP")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before an answer")
    parser.add_argument("--bandwidth", type=float, default=100e6, help="bytes a second of one connection")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(machine(), end="\n\n")
    print(*randomness(["stored", *map(str, options.blocks), "full"]), sep="\n", end="\n\n")
    for line in throughput(
        ["stored", str(options.network_block), "full"],
        images=options.images,
        pairs=options.pairs,
        latency=options.latency,
        bandwidth=options.bandwidth,
    ):
        print(line, flush=True)


if __name__ == "__main__":
    main()
