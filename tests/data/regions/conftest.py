"""Tiny files in every format of region features, written here from the formats' descriptions alone."""

import base64
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import lmdb
import msgpack
import numpy as np
import pytest

WIDTH, CLASSES = 16, 5  # of features; of soft labels, the background included
SIZE = (640, 480)

Arrays = dict[str, np.ndarray]


def draw_arrays(number: int) -> Arrays:
    """What is known of an image, a pure function of its number: exact in float16, boxes in pixels whole."""
    rng = np.random.default_rng(number)
    count = 2 + number % 3
    corners = np.sort(rng.integers(0, 480, (count, 2, 2)), axis=1).reshape(count, 4).astype(np.float32)
    eighths = rng.multinomial(8, [1 / CLASSES] * CLASSES, count) / 8
    return {
        "features": (rng.integers(0, 64, (count, WIDTH)) / 8).astype(np.float32),
        "corners": corners,
        "confidence": np.sort(rng.integers(1, 8, count) / 8)[::-1].astype(np.float32),
        "labels": eighths.astype(np.float32),
        "objects": rng.integers(0, CLASSES - 1, count),
        "norm_bb": np.concatenate([corners, corners[:, 2:] - corners[:, :2]], axis=1) / 512,
    }


def released(number: int) -> Arrays:
    """An image's arrays as UNITER's databases keep them."""
    arrays = draw_arrays(number)
    kept = {
        "norm_bb": arrays["norm_bb"],
        "features": arrays["features"],
        "conf": arrays["confidence"][:, None],
        "soft_labels": arrays["labels"],
    }
    return {name: array.astype(np.float16) for name, array in kept.items()}


def as_npz(arrays: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def as_msgpack(arrays: Arrays) -> bytes:
    encoded = {
        name: {b"nd": True, b"type": a.dtype.str, b"kind": b"", b"shape": list(a.shape), b"data": a.tobytes()}
        for name, a in arrays.items()
    }
    packed: bytes = msgpack.packb(encoded, use_bin_type=True)
    return packed


def write_lmdb(folder: Path, records: dict[str, bytes], names: Iterable[str] | None = None) -> Path:
    """An LMDB folder; the list of its names is that of the records unless given."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for name, record in records.items():
            transaction.put(name.encode(), record)
        transaction.put(b"__keys__", json.dumps(list(records if names is None else names)).encode())
    (folder / "lock.mdb").unlink()
    return folder


def write_images(folder: Path, images: int = 6, *, encode: Callable[[Arrays], bytes] = as_msgpack) -> Path:
    """An image database beside its JSON of box counts."""
    records = {f"coco_{number}.npz": released(number) for number in range(images)}
    counts = {name: len(arrays["conf"]) for name, arrays in records.items()}
    write_lmdb(folder, {name: encode(arrays) for name, arrays in records.items()})
    (folder.parent / "nbb_th0.2_max100_min10.json").write_text(json.dumps(counts))
    return folder


def b64(array: np.ndarray, dtype: str = "<f4") -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def lxmert_line(number: int) -> str:
    arrays = draw_arrays(number)
    count = len(arrays["corners"])
    columns = [
        *(f"COCO_{number}", str(SIZE[1]), str(SIZE[0]), b64(arrays["objects"], "<i8"), b64(arrays["confidence"])),
        *(b64(arrays["objects"], "<i8"), b64(arrays["confidence"]), str(count), b64(arrays["corners"])),
        b64(arrays["features"]),
    ]
    return "\t".join(columns) + "\n"


def write_lxmert(file: Path, images: int = 6) -> Path:
    file.write_text("".join(map(lxmert_line, range(images))))
    return file


def write_npz(folder: Path, images: int = 6) -> Path:
    folder.mkdir(parents=True)
    for number in range(images):
        (folder / f"coco_{number}.npz").write_bytes(as_npz(released(number)))
    return folder


def vinvl_lines(number: int) -> tuple[str, str]:
    """Of features.tsv and predictions.tsv."""
    arrays = draw_arrays(number)
    corners, scale = arrays["corners"], np.array(SIZE * 2, dtype=np.float32)
    spans = (corners[:, 2:] - corners[:, :2]) / scale[:2]
    wide = np.concatenate([arrays["features"], corners / scale, spans], axis=1)
    objects = [
        {"class": f"thing {kind}", "conf": float(sure), "rect": list(map(float, box))}
        for kind, sure, box in zip(arrays["objects"], arrays["confidence"], corners, strict=True)
    ]
    found = {"image_h": SIZE[1], "image_w": SIZE[0], "objects": objects}
    return f"{number}\t{len(corners)}\t{b64(wide)}\n", f"{number}\t{json.dumps(found)}\n"


def write_vinvl(folder: Path, images: int = 6) -> Path:
    """features.tsv and predictions.tsv, each with its index of lines; the former's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in zip(
        ("features", "predictions"), zip(*map(vinvl_lines, range(images)), strict=True), strict=True
    ):
        places = np.cumsum([0, *map(len, lines)])[:-1]
        (folder / f"{name}.tsv").write_text("".join(lines))
        (folder / f"{name}.lineidx").write_text("".join(f"{place}\n" for place in places))
    return folder / "features.tsv"


def write_volta(path: Path, images: int = 6) -> Path:
    with h5py.File(path, "w") as file:
        for number in range(images):
            arrays = draw_arrays(number)
            group = file.create_group(f"COCO_{number}")
            kept = {"features": "features", "boxes": "corners", "obj_id": "objects", "obj_conf": "confidence"}
            for name, source in (kept | {"attr_id": "objects", "attr_conf": "confidence"}).items():
                group[name] = arrays[source]
            group["img_w"], group["img_h"] = SIZE
    return path


@pytest.fixture(scope="session")
def formats() -> Any:
    """Everything above: pytest imports no module of tests by name."""
    from types import SimpleNamespace

    return SimpleNamespace(**{name: value for name, value in globals().items() if not name.startswith("_")})
