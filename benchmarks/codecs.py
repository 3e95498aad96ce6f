"""Which codec for region features: ``python benchmarks/codecs.py [--tsv FILE]``.

Features of images drawn like a detector's (or, with `--tsv`, those of a file in the layout of LXMERT), float16, in
chunks of so many rows: bytes, speed of writing, and what a random image costs, which begins anywhere in a chunk and
has to have all of its chunks decoded. Beside them npz, an image a file, as the released compressed databases hold it.
"""

import argparse
import base64
import csv
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numcodecs import blosc
from region_files import WIDTH, images
from timing import machine, medians

IMAGES = 60
CODECS = (
    *(("lz4", 5, shuffle, 48) for shuffle in ("shuffle", "bitshuffle")),
    *(("zstd", 1, shuffle, 48) for shuffle in ("noshuffle", "bitshuffle")),
    *(("zstd", 1, "shuffle", size) for size in (16, 32, 48, 64, 128)),
    *(("zstd", level, "shuffle", size) for level, size in ((5, 48), (7, 48), (7, 32))),
)
SHUFFLES = {"noshuffle": blosc.NOSHUFFLE, "shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}


def read_tsv(path: Path) -> list[np.ndarray]:
    """The features of each image."""
    csv.field_size_limit(sys.maxsize)
    with path.open() as lines:
        records = [np.frombuffer(base64.b64decode(row[-1]), "<f4") for row in csv.reader(lines, delimiter="\t")]
    return [record.reshape(-1, WIDTH).astype(np.float16) for record in records]


def chunked(
    rows: np.ndarray, name: str, level: int, shuffle: str, size: int
) -> tuple[float, float, Callable[[], object]]:
    """Share of the bytes that is left, megabytes written a second, and what decodes every chunk once."""
    chunks = [np.ascontiguousarray(rows[start : start + size]).reshape(-1) for start in range(0, len(rows), size)]
    begin = time.perf_counter()
    frames = [
        blosc.compress(chunk, name.encode(), level, SHUFFLES[shuffle], blocksize=chunk.nbytes) for chunk in chunks
    ]
    seconds = time.perf_counter() - begin
    space = np.empty(size * WIDTH, np.float16)

    def decode() -> None:
        for frame, chunk in zip(frames, chunks, strict=True):  # the last may be a shorter one
            blosc.decompress(frame, space[: len(chunk)])

    return sum(map(len, frames)) / rows.nbytes, rows.nbytes / seconds / 1e6, decode


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tsv", type=Path, help="real features")
    options = parser.parse_args()
    blosc.use_threads = False
    features = read_tsv(options.tsv) if options.tsv else [image["features"] for image in images(IMAGES)]
    rows = np.concatenate(features)
    mean = len(rows) / len(features)
    files = []
    begin = time.perf_counter()
    for array in features:
        file = io.BytesIO()
        np.savez_compressed(file, features=array)
        files.append(file.getvalue())
    writing = rows.nbytes / (time.perf_counter() - begin) / 1e6
    left = {"npz": (sum(map(len, files)) / rows.nbytes, writing, mean)}
    candidates: dict[str, Callable[[], object]] = {
        "npz": lambda: [np.load(io.BytesIO(file))["features"] for file in files]
    }
    for name, level, shuffle, size in CODECS:
        key = f"{name} {level}, {shuffle}, {size} rows"
        share, writing, candidates[key] = chunked(rows, name, level, shuffle, size)
        left[key] = (share, writing, size * (1 + (mean - 1) / size))
    print(f"{machine()}\n{len(features)} images of {mean:.0f} regions on average, {(rows == 0).mean():.0%} zeros")
    print(f"  {'':<28} {'bytes left':>10} {'written':>12} {'a random image':>15} {'of npz':>8}")
    seconds = {key: time / len(rows) * left[key][2] for key, time in medians(candidates, rounds=9).items()}
    for key, (share, writing, _) in left.items():
        rate = seconds["npz"] / seconds[key]
        print(f"  {key:<28} {share:10.3f} {writing:7.0f} MB/s {seconds[key] * 1e3:12.2f} ms {rate:6.1f} x")


if __name__ == "__main__":
    main()
