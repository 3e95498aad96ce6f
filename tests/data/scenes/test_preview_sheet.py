"""The preview: its size, words in their regions' colours, and data sets that lack links or pictures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from uniter_data import PairDataset, RegionWriter, Split, TextWriter, Tokenizer, write_dataset
from uniter_data.contact_sheet import CARD, COLOURS, COLUMNS, GUTTER, MARGIN, PADDING
from uniter_data.preview import draw_preview


def colours_of(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as sheet:
        counted = sheet.convert("RGB").getcolors(maxcolors=1 << 24)
    return {colour for _, colour in counted or [] if isinstance(colour, tuple)}


def bare_dataset(folder: Path) -> PairDataset:
    """One wide image and one of unknown size, without pictures or gold links."""
    tokenizer = Tokenizer.build(["there is a box"])
    with RegionWriter(folder / "regions.zarr", region_dim=2) as regions:
        boxes = [[0.1, 0.1, 0.5, 0.6, 0.4, 0.5], [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]]
        regions.append("wide", np.ones((2, 2)), boxes, size=(400, 100))
        regions.append("unknown", np.ones((1, 2)), boxes[:1])
        regions.publish()
    with TextWriter(folder / "texts.zarr", tokenizer=tokenizer) as texts:
        texts.append(
            "1",
            "There is a box, a very-long-word-that-will-not-fit-on-one-line-of-any-card-in-the-sheet-at-all",
            "wide",
        )
        texts.append("2", "There is a box.", "unknown")
        texts.publish()
    write_dataset(
        folder, name="bare", splits={"train": Split(texts="texts.zarr", regions="regions.zarr")}, tokenizer=tokenizer
    )
    return PairDataset.open(folder, "train")


@pytest.mark.parametrize("name", ["captions", "phrases", "snaps"])
def test_a_sheet_of_scenes(tiny_scenes: Path, tmp_path: Path, name: str) -> None:
    dataset = PairDataset.open(tiny_scenes / name, "train")
    path = draw_preview(dataset, tmp_path / "new" / "sheet.png", count=6)
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width == 2 * MARGIN + COLUMNS * (CARD + 2 * PADDING + GUTTER) - GUTTER
        assert sheet.height > 2 * CARD
    assert ImageColor.getrgb(COLOURS[0]) in colours_of(path)
    assert ImageColor.getrgb(COLOURS[1]) in colours_of(path)


def test_the_words_have_the_colour_of_their_box(tiny_scenes: Path, tmp_path: Path) -> None:
    """Below the picture as well as on it."""
    dataset = PairDataset.open(tiny_scenes / "snaps", "train")
    path = draw_preview(dataset, tmp_path / "sheet.png", count=1)
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    first = (pixels == ImageColor.getrgb(COLOURS[0])).all(axis=2)
    rows = np.flatnonzero(first.any(axis=1))
    picture_ends = rows[0] + CARD
    assert (rows < picture_ends).any()
    assert np.diff(rows).max() > 2
    assert first[rows[-1]].sum() > 10  # the line under a word


def test_the_same_sheet_for_the_same_seed(tiny_scenes: Path, tmp_path: Path) -> None:
    dataset = PairDataset.open(tiny_scenes / "captions", "train")
    one, same, other = (
        draw_preview(dataset, tmp_path / f"{n}.png", count=4, seed=seed) for n, seed in enumerate((1, 1, 2))
    )
    assert one.read_bytes() == same.read_bytes()
    assert one.read_bytes() != other.read_bytes()


def test_more_than_there_is(tiny_scenes: Path, tmp_path: Path) -> None:
    dataset = PairDataset.open(tiny_scenes / "snaps", "val")
    assert draw_preview(dataset, tmp_path / "sheet.png", count=1000).exists()


def test_without_links_or_pictures(tmp_path: Path) -> None:
    path = draw_preview(bare_dataset(tmp_path / "bare"), tmp_path / "sheet.png")
    assert {ImageColor.getrgb(COLOURS[0]), ImageColor.getrgb(COLOURS[1])} <= colours_of(path)


def test_pictures_that_are_gone(tiny_scenes: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_scenes, tmp_path / "scenes")
    shutil.rmtree(tmp_path / "scenes" / "images" / "snaps" / "pictures")
    dataset = PairDataset.open(tmp_path / "scenes" / "snaps", "train")
    assert draw_preview(dataset, tmp_path / "sheet.png", count=2).exists()


def test_no_pictures_asked_for(tiny_scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="count: expected at least 1, got 0"):
        draw_preview(PairDataset.open(tiny_scenes / "snaps", "val"), tmp_path / "sheet.png", count=0)
