"""Grids: the cells of a picture, the places of a feature map, and statistics that stay with the stores' folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from uniter_data import RegionStore
from uniter_data.extract import (
    BackboneExtractor,
    backbone_extractor,
    extract_picture,
    extract_regions,
    standardise_like,
)
from uniter_data.extract.backbone_extractor import LONGEST_SIDE
from uniter_data.extract.pictures import pixels_of

pytest.importorskip("timm", reason="backbones need the extra uniter-data[extract]")


@pytest.fixture(scope="module")
def by_map() -> BackboneExtractor:
    return backbone_extractor(weights="random", levels=(1, 2), grid="map", device="cpu")


def test_a_grid_of_the_maps_size_gives_the_map(by_map: BackboneExtractor, open_pictures: list[Image.Image]) -> None:
    picture = open_pictures[0].resize((64, 48))
    (found,) = by_map([picture])
    finer, coarser = by_map.backbone.maps(pixels_of(picture)[None])
    assert by_map.region_dim == found.features.shape[1] == 64 + 128
    # a region is one place of the coarser level and four of the finer
    np.testing.assert_allclose(found.features[:, 64:], coarser[0].flatten(1).T, atol=1e-4)
    averages = torch.nn.functional.avg_pool2d(finer, 2)[0].flatten(1).T
    np.testing.assert_allclose(found.features[:, :64], averages, atol=1e-4)
    assert found.boxes[0].tolist() == [0, 0, 8, 8]
    assert found.boxes[-1].tolist() == [56, 40, 64, 48]


def test_a_cell_of_a_coarse_grid_is_the_mean_of_its_part(by_map: BackboneExtractor) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8))
    coarse = BackboneExtractor(backbone=by_map.backbone, cells=1, grid=(4, 2))
    (found,) = coarse([picture])
    _, level = by_map.backbone.maps(pixels_of(picture)[None])
    means = torch.nn.functional.avg_pool2d(level, 4)[0].flatten(1).T
    np.testing.assert_allclose(found.features[:, 64:], means, atol=1e-4)
    np.testing.assert_array_equal(found.boxes[1], [32, 0, 64, 32])


def test_a_picture_has_the_same_cells_in_any_batch(by_map: BackboneExtractor, open_pictures: list[Image.Image]) -> None:
    together = by_map(open_pictures)
    for picture, found in zip(open_pictures, together, strict=True):
        (alone,) = by_map([picture])
        np.testing.assert_allclose(found.features, alone.features, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(found.boxes, alone.boxes)


def test_a_large_picture_is_shrunk(by_map: BackboneExtractor) -> None:
    (found,) = by_map([Image.new("RGB", (4 * LONGEST_SIDE, 40))])
    # 1333 x 10 pixels at stride 8
    assert len(found.boxes) == 167 * 2
    assert found.boxes[-1, 2:].tolist() == [4 * LONGEST_SIDE, 40]


def test_statistics_are_shared_by_the_stores_of_a_folder(pictures: Path, tmp_path: Path) -> None:
    extractor = backbone_extractor(weights="random", levels=(0,), grid=(3, 2), device="cpu")
    extract_regions(pictures, extractor=extractor, out=tmp_path / "of" / "train.zarr", standardise=True)
    store = RegionStore(tmp_path / "of" / "train.zarr")
    features = np.concatenate([record.features for record in store.read(range(12))]).astype(np.float64)
    assert features.shape == (12 * 6, 64)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=0.01)
    (first,) = store.read(store.find(["picture-0"]))
    found = extract_picture(pictures / "picture-0.png", standardise_like(extractor, store))
    np.testing.assert_allclose(found.features, first.features, atol=0.02)
    one = pictures.parent / "one"
    one.mkdir()
    (pictures / "picture-2.png").rename(one / "picture-2.png")
    extract_regions(one, extractor=extractor, out=tmp_path / "of" / "val.zarr", standardise=True)
    (alone,) = RegionStore(tmp_path / "of" / "val.zarr").read([0])
    (before,) = store.read(store.find(["picture-2"]))
    np.testing.assert_allclose(alone.features, before.features, atol=0.02)
    other = backbone_extractor(weights="random", levels=(0,), grid=(2, 2), device="cpu")
    with pytest.raises(ValueError, match=r"was begun with extractor = .*write to another folder"):
        extract_regions(one, extractor=other, out=tmp_path / "of" / "test.zarr", standardise=True)
    with pytest.raises(ValueError, match="was made by timm resnet18"):
        standardise_like(other, store)


def test_a_backbone_without_a_grid_finds_no_regions(open_pictures: list[Image.Image]) -> None:
    extractor = backbone_extractor(weights="random", device="cpu")
    with pytest.raises(ValueError, match="finds no regions of its own: give a grid, or boxes"):
        extract_picture(open_pictures[0], extractor)
    for grid in ((0, 3), (1, 2, 3), "maps"):
        with pytest.raises(ValueError, match="grid: expected columns and rows from 1, or map"):
            backbone_extractor(weights="random", grid=grid)
