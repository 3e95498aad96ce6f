"""Pictures with structure, their distorted copies, and small data sets of pairs to be audited."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uniter_data import RegionWriter, Split, TextWriter, Tokenizer, write_dataset

TOKENIZER = Tokenizer.build(["a red ball"])


def draw_picture(number: int) -> Image.Image:
    """A picture as a pure function of its number: soft blots of colour at several scales, as photographs have them."""
    rng = np.random.default_rng(number)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).resize(
                (160, 120), Image.Resampling.BICUBIC
            ),
            dtype=np.float64,
        )
        * share
        for side, share in ((4, 0.5), (9, 0.3), (20, 0.2))
    ]
    return Image.fromarray(sum(layers).clip(0, 255).astype(np.uint8))


def encoded(picture: Image.Image, quality: int) -> Image.Image:
    raw = BytesIO()
    picture.save(raw, "JPEG", quality=quality)
    return Image.open(raw)


DISTORTIONS: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "encoded": lambda picture: encoded(picture, 40),
    "half": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "double": lambda picture: picture.resize((picture.width * 2, picture.height * 2)),
    "squeezed": lambda picture: picture.resize((picture.width, picture.height * 3 // 4)),
    "grey": lambda picture: picture.convert("L"),
    "brighter": lambda picture: picture.point(lambda level: min(255, level * 1.1 + 8)),
    "all": lambda picture: encoded(picture.convert("L").resize((90, 80)), 50),
}


@pytest.fixture(scope="session")
def distortions() -> Mapping[str, Callable[[Image.Image], Image.Image]]:
    return DISTORTIONS


@pytest.fixture(scope="session")
def picture() -> Callable[[int], Image.Image]:
    return draw_picture


@pytest.fixture(scope="session")
def make_pairs() -> Callable[..., Path]:
    """Write a data set of pairs: two texts an image, urls.tsv where there are URLs."""
    return _make_pairs


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hashes of one test are not those of another."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("UNITER_CACHE", str(folder))
    return folder


def _make_pairs(
    folder: Path, splits: Mapping[str, Sequence[str]], *, urls: Mapping[str, str] | None = None, pictures: str = ""
) -> Path:
    images = list(dict.fromkeys(image for of_split in splits.values() for image in of_split))
    with RegionWriter(folder / "regions.zarr", region_dim=4) as regions:
        for number, image in enumerate(images):
            regions.append(image, np.full((1 + number % 3, 4), number), np.full((1 + number % 3, 6), 0.5))
        regions.publish()
    for split, of_split in splits.items():
        with TextWriter(folder / split / "texts.zarr", tokenizer=TOKENIZER) as texts:
            for image in of_split:
                texts.append(f"{image}-a", "a red ball", image)
                texts.append(f"{image}-b", "red ball", image)
            texts.publish()
    if urls:
        (folder / "urls.tsv").write_text("".join(f"{image}\t{url}\n" for image, url in urls.items()), encoding="utf-8")
    return write_dataset(
        folder,
        name=folder.name,
        splits={name: Split(texts=f"{name}/texts.zarr", regions="regions.zarr", pictures=pictures) for name in splits},
        tokenizer=TOKENIZER,
    )
