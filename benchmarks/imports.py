"""Importing region features against copying their decoded bytes: ``python benchmarks/imports.py``.

Images of 10 to 100 regions with 2048 features, sparse and not negative as a detector's, in every format that is
imported; soft labels of 1,601 classes where the format has them. What is copied is a file of the same arrays as they
are decoded (float16 in UNITER's formats, float32 in the others), a mebibyte at a time. Once within memory, and
once through the disk: read from there, and written until it lies there. Both take turns within one run; the table holds
rates of their medians, and the ratio of the two.
"""

import argparse
import base64
import io
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import lmdb
import msgpack
import numpy as np
import torch
from region_files import encode_array, image_name, images
from timing import machine

from uniter_data.importers.regions import import_butd, import_npz, import_uniter_images, import_vinvl, import_volta

IMAGES = 1000
CLASSES = 1601
SIZE = (640, 480)
BLOCK = 1 << 20
LEAST = 0.5  # of the speed of copying is asked for

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Format:
    """A format: how its files are written, and how they are imported."""

    write: Callable[[Path, int], Path]
    run: Callable[[Path, Path], object]
    decoded: Callable[[Arrays], list[np.ndarray]]


def released(count: int) -> Iterator[Arrays]:
    """Images as UNITER's databases have them, all float16."""
    rng = np.random.default_rng(1)
    for image in images(count):
        odds = np.exp(3 * rng.standard_normal((len(image["conf"]), CLASSES), dtype=np.float32))
        labels = (odds / odds.sum(1, keepdims=True)).astype(np.float16)
        yield {**image, "conf": image["conf"][:, None], "soft_labels": labels}


def write_raw(folder: Path, count: int) -> Path:
    """An LMDB file of MessagePack."""
    records = (
        msgpack.dumps({name: encode_array(array) for name, array in image.items()}, use_bin_type=True)
        for image in released(count)
    )
    return _write_lmdb(folder / "raw" / "feat_th0.2_max100_min10", records)


def write_compressed(folder: Path, count: int) -> Path:
    """An LMDB file of npz."""
    return _write_lmdb(folder / "npz" / "feat_th0.2_max100_min10_compressed", map(_npz, released(count)))


def write_npz(folder: Path, count: int) -> Path:
    """A folder of npz."""
    (folder / "files").mkdir()
    for number, image in enumerate(released(count)):
        (folder / "files" / image_name(number)).write_bytes(_npz(image))
    return folder / "files"


def write_lxmert(folder: Path, count: int) -> Path:
    """LXMERT's TSV file."""
    with (folder / "lxmert.tsv").open("w") as file:
        for number, image in enumerate(images(count)):
            regions = len(image["conf"])
            ids, sure = _base64(np.arange(regions)), _base64(image["conf"].astype(np.float32))
            columns = [image_name(number), SIZE[1], SIZE[0], ids, sure, ids, sure, regions]
            columns += [_base64(_pixels(image)), _base64(image["features"].astype(np.float32))]
            file.write("\t".join(map(str, columns)) + "\n")
    return folder / "lxmert.tsv"


def write_vinvl(folder: Path, count: int) -> Path:
    """VinVL's features.tsv."""
    with (folder / "features.tsv").open("w") as file:
        for number, image in enumerate(images(count)):
            boxes = _pixels(image) / np.array(SIZE * 2, np.float32)
            wide = [image["features"].astype(np.float32), boxes, boxes[:, 2:] - boxes[:, :2]]
            file.write(f"{number}\t{len(boxes)}\t{_base64(np.concatenate(wide, axis=1))}\n")
    return folder / "features.tsv"


def write_volta(folder: Path, count: int) -> Path:
    """VOLTA's HDF5 file."""
    with h5py.File(folder / "volta.h5", "w") as file:
        for number, image in enumerate(images(count)):
            group = file.create_group(image_name(number))
            group["features"], group["boxes"] = image["features"].astype(np.float32), _pixels(image)
            group["obj_id"], group["obj_conf"] = np.arange(len(image["conf"])), image["conf"].astype(np.float32)
            group["img_w"], group["img_h"] = SIZE
    return folder / "volta.h5"


def as_released(image: Arrays) -> list[np.ndarray]:
    """What is decoded of UNITER's formats."""
    return list(image.values())


def as_floats(image: Arrays) -> list[np.ndarray]:
    """What is decoded of the others: features, boxes and confidences as float32."""
    return [image["features"].astype(np.float32), _pixels(image), image["conf"].astype(np.float32)]


FORMATS = {
    "uniter-images, raw": Format(write_raw, import_uniter_images, as_released),
    "uniter-images, compressed": Format(write_compressed, import_uniter_images, as_released),
    "npz": Format(write_npz, import_npz, as_released),
    "butd": Format(write_lxmert, lambda source, out: import_butd([source], out), as_floats),
    "vinvl": Format(write_vinvl, import_vinvl, as_floats),
    "volta": Format(write_volta, import_volta, as_floats),
}


def _write_lmdb(folder: Path, records: Iterator[bytes]) -> Path:
    folder.mkdir(parents=True)
    names = []
    with lmdb.open(str(folder), map_size=1 << 36) as environment, environment.begin(write=True) as transaction:
        for number, record in enumerate(records):
            names.append(image_name(number))
            transaction.put(names[-1].encode(), record)
        transaction.put(b"__keys__", json.dumps(names).encode())
    return folder


def _npz(image: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **image)
    return file.getvalue()


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _pixels(image: Arrays) -> np.ndarray:
    return image["norm_bb"][:, :4].astype(np.float32) * np.array(SIZE * 2, np.float32)


# ---------------------------------------------------------------------------------------------------------------------


def write_decoded(form: Format, path: Path, count: int) -> int:
    """One file of all decoded arrays; its size."""
    with path.open("wb") as file:
        for image in released(count) if form.decoded is as_released else images(count):
            for array in form.decoded(image):
                file.write(array.tobytes())
    return path.stat().st_size


def copy(source: Path, out: Path) -> None:
    """Copy a file."""
    with source.open("rb") as read, out.open("wb") as written:
        while block := read.read(BLOCK):
            written.write(block)


def measure(name: str, folder: Path, count: int, rounds: int) -> None:
    """Print the line of one format."""
    form = FORMATS[name]
    source, decoded = form.write(folder, count), folder / "decoded"
    megabytes = write_decoded(form, decoded, count) / 1e6
    candidates = {
        "copy": (decoded, folder / "copied", copy),
        "import": (source, folder / "out.zarr", form.run),
    }
    rates = {}
    for through_disk in (False, True):
        seconds: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(rounds + 1):  # the first is not counted
            for candidate, (read, out, run) in candidates.items():
                seconds[candidate].append(_time(read, out, run, through_disk=through_disk))
        rates[through_disk] = {name: megabytes / statistics.median(times[1:]) for name, times in seconds.items()}
    print(f"  {name:<26}" + "".join(f"{_columns(rates[through_disk])}" for through_disk in (False, True)), flush=True)


def _time(source: Path, out: Path, run: Callable[[Path, Path], object], *, through_disk: bool) -> float:
    """Seconds of one turn, on files in memory, or until everything was read from the disk and lies there."""
    shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    os.sync()
    if through_disk:
        for file in _files(source):
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    begin = time.perf_counter()
    run(source, out)
    if through_disk:
        for file in _files(out):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    return time.perf_counter() - begin


def _files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]


def _columns(rates: dict[str, float]) -> str:
    ratio = rates["import"] / rates["copy"]
    return f"{rates['import']:9,.0f}{rates['copy']:9,.0f}{ratio:7.2f} x {'met' if ratio >= LEAST else 'MISSED':<7}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", default=list(FORMATS), help=f"of {', '.join(FORMATS)}")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}, {os.cpu_count()} processors")
    print(f"\n{options.images:,} images; MB/s of decoded bytes; at least {LEAST} x the copy is asked for\n")
    print(f"  {'':<26}{'in memory':<33}through the disk")
    print(f"  {'':<26}" + f"{'import':>9}{'copy':>9}{'':<16}" * 2)
    for name in options.formats:
        with tempfile.TemporaryDirectory() as folder:
            measure(name, Path(folder), options.images, options.rounds)


if __name__ == "__main__":
    main()
