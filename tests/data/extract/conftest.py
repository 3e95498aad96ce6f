"""A folder of small pictures, a tiny torchvision detector, and an extractor that needs no network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from uniter_data.extract import ExtractedRegions

SIZES = ((60, 40), (40, 60), (60, 40), (50, 50))


class Quarters:
    """The four quarters of a picture, described by their mean colours; a red picture has none."""

    name = "quarters"
    region_dim = 3
    class_names = ("background", "dark", "light")
    attributes: dict[str, Any] = {"parts": 4}  # noqa: RUF012

    def __call__(self, pictures: Sequence[Image.Image]) -> list[ExtractedRegions]:
        return [self._of(picture) for picture in pictures]

    def _of(self, picture: Image.Image) -> ExtractedRegions:
        width, height = picture.size
        across, down = (0, width // 2, width), (0, height // 2, height)
        boxes = np.array([[across[x], down[y], across[x + 1], down[y + 1]] for y in (0, 1) for x in (0, 1)])
        colours = np.asarray(picture, dtype=np.float32) / 255
        if colours[..., 1:].max() == 0:
            boxes = boxes[:0]
        features = np.array([colours[y1:y2, x1:x2].mean(axis=(0, 1)) for x1, y1, x2, y2 in boxes]).reshape(-1, 3)
        light = features.mean(axis=1)
        return ExtractedRegions(
            features=torch.from_numpy(features),
            boxes=boxes,
            labels=np.stack([np.zeros(len(boxes)), 1 - light, light], axis=1),
            confidence=light,
        )


def draw(folder: Path, count: int, sizes: Sequence[tuple[int, int]] = SIZES) -> Path:
    """Pictures of patches whose colours follow from their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        width, height = sizes[number % len(sizes)]
        patches = np.random.default_rng(number).integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((width, height)).save(folder / f"picture-{number}.png")
    return folder


@pytest.fixture
def quarters() -> Quarters:
    return Quarters()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve, to be damaged."""
    return draw(tmp_path / "pictures", 12)


@pytest.fixture(scope="session")
def open_pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    """Eight, of three sizes."""
    folder = draw(tmp_path_factory.mktemp("pictures"), 8)
    return [Image.open(path).convert("RGB") for path in sorted(folder.iterdir())]
