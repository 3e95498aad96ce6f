"""A small data set, written once: 12 images of 1 to 6 regions, two sentences each, with gold links and kinds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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
    """The data set of this file's first line."""
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
