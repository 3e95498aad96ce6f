"""Small inputs: a data set of twelve images with gold links, region stores, a directory of drawn NLVR scenes."""

import json
import shutil
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from uniter_data import RegionWriter, Split, TextWriter, Tokenizer, write_dataset

IMAGES = 12
REGION_DIM = 8
CLASSES = ("background", "ball", "box")
SENTENCES = ("A red ball,", "the small blue box")


def arrays_of(number: int) -> dict[str, np.ndarray]:
    """Regions of an image as a pure function of its number."""
    rng = np.random.default_rng(number)
    count = 1 + number % 6
    corners = np.sort(rng.random((count, 2, 2)), axis=1).reshape(count, 4)
    labels = rng.random((count, len(CLASSES)))
    return {
        "features": rng.standard_normal((count, REGION_DIM)).astype(np.float16),
        "boxes": np.concatenate([corners, corners[:, 2:] - corners[:, :2]], axis=1).astype(np.float32),
        "confidence": rng.random(count).astype(np.float32),
        "labels": (labels / labels.sum(axis=1, keepdims=True)).astype(np.float16),
    }


def write_small_dataset(directory: Path) -> Path:
    """12 images of 1 to 6 regions, two sentences each, with gold links and kinds."""
    tokenizer = Tokenizer.build(SENTENCES)
    with RegionWriter(
        directory / "regions.zarr", region_dim=REGION_DIM, class_names=CLASSES, extractor="numpy"
    ) as regions:
        for number in range(IMAGES):
            regions.append(f"image-{number}", **arrays_of(number), size=(640, 480 + number))
        regions.publish()
    with TextWriter(directory / "train" / "texts.zarr", tokenizer=tokenizer) as texts:
        for number in range(IMAGES):
            for which, sentence in enumerate(SENTENCES):
                words = len(sentence.split())
                texts.append(
                    f"text-{number}-{which}",
                    sentence,
                    f"image-{number}",
                    gold=[-1] * (words - 1) + [number % 6],
                    kinds=[0] + [2] * (words - 2) + [1],
                )
        texts.publish()
    return write_dataset(
        directory,
        name="small",
        splits={"train": Split(texts="train/texts.zarr", regions="regions.zarr")},
        tokenizer=tokenizer,
        source="made up",
        licence="CC0-1.0",
    )


@pytest.fixture(scope="session")
def image_arrays() -> Callable[[int], dict[str, np.ndarray]]:
    """What an image was given."""
    return arrays_of


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For reading only."""
    return write_small_dataset(tmp_path_factory.mktemp("small"))


@pytest.fixture
def own_dataset(tmp_path: Path) -> Path:
    """To be damaged."""
    return write_small_dataset(tmp_path / "own")


COLOURS = ("Yellow", "Black", "#0099ff")
SIDE = 100  # of a grey box


@pytest.fixture(scope="session")
def shared_nlvr_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small NLVR v1 directory, its splits laid out in the two ways of the published ones. For reading only.

    Sentence dev-1 has three records, the others one each. dev-2-0 holds a square that is cut by its box.
    """
    source = tmp_path_factory.mktemp("nlvr") / "nlvr-source"
    cut = {"type": "square", "x_loc": 90, "y_loc": 80, "size": 20, "color": "Black"}
    dev = [("1-0", "true"), ("1-1", "false"), ("1-2", "true"), ("2-0", "true"), ("3-0", "false"), ("4-0", "true")]
    records = [_nlvr_record(seed, name, label) for seed, (name, label) in enumerate(dev)]
    records[3]["structured_rep"][0] = [cut]
    for record in records:
        record["directory"] = "7"
    _write_nlvr(source, "dev", records)
    _write_nlvr(source, "test", [_nlvr_record(20, "1-0", "true"), _nlvr_record(21, "2-0", "true")])
    return source


@pytest.fixture
def nlvr_source(shared_nlvr_source: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return shutil.copytree(shared_nlvr_source, tmp_path / shared_nlvr_source.name)


def _nlvr_record(seed: int, identifier: str, label: str) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(3):
        # a raster of nine cells keeps objects apart
        cells = rng.permutation(9)[: rng.integers(1, 4)].tolist()
        boxes.append(
            [
                {
                    "type": ("square", "circle", "triangle")[rng.integers(3)],
                    "x_loc": 33 * (cell % 3) + 2,
                    "y_loc": 33 * (cell // 3) + 1,
                    "size": (10, 20, 30)[rng.integers(3)],
                    "color": COLOURS[rng.integers(3)],
                }
                for cell in cells
            ]
        )
    sentence = f"There are objects of kind {identifier.partition('-')[0]} in the boxes."
    return {"sentence": sentence, "label": label, "identifier": identifier, "structured_rep": boxes}


def _write_nlvr(source: Path, split: str, records: list[dict[str, Any]]) -> None:
    images = source / split / "images"
    for record in records:
        folder = images / record.get("directory", "")
        folder.mkdir(parents=True, exist_ok=True)
        for number, order in enumerate(permutations(range(3))):
            picture = Image.new("RGB", (400, SIDE), "white")
            for place, box in enumerate(order):
                picture.paste(_draw_box(record["structured_rep"][box]), (150 * place, 0))
            picture.save(folder / f"{split}-{record['identifier']}-{number}.png")
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (source / split / f"{split}.json").write_text(lines, encoding="utf-8")


def _draw_box(items: list[dict[str, Any]]) -> Image.Image:
    box = Image.new("RGB", (SIDE, SIDE), "lightgrey")
    draw = ImageDraw.Draw(box)
    for item in items:
        left, top, size = item["x_loc"], item["y_loc"], item["size"]
        right, bottom = left + size - 1, top + size - 1
        if item["type"] == "square":
            draw.rectangle((left, top, right, bottom), fill=item["color"])
        elif item["type"] == "circle":
            draw.ellipse((left, top, right, bottom), fill=item["color"])
        else:
            draw.polygon(((left, bottom), ((left + right) / 2, top), (right, bottom)), fill=item["color"])
    return box


@pytest.fixture(scope="session")
def make_store() -> Callable[..., Path]:
    """Publish a region store: `make_store(path, {image: number of regions})`."""
    return _make_store


@pytest.fixture(scope="session")
def refused() -> Callable[..., None]:
    """Expect a call to be refused in one line that says all of this: `refused(lambda: …, "part", …)`."""
    return _refused


def _make_store(
    path: Path, images: dict[str, int], *, classes: Sequence[str] = (), dim: int = 4, seed: int = 0
) -> Path:
    """Images with so many regions of random content."""
    rng = np.random.default_rng(seed)
    with RegionWriter(path, region_dim=dim, class_names=classes) as regions:
        for image, count in images.items():
            corners = np.sort(rng.random((count, 2, 2)), axis=1).reshape(count, 4)
            regions.append(
                image,
                rng.standard_normal((count, dim)),
                np.concatenate([corners, corners[:, 2:] - corners[:, :2]], axis=1),
                labels=rng.random((count, len(classes))) if classes else None,
            )
        return regions.publish()


def _refused(call: Any, *said: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).") as error:
        call()
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value)
