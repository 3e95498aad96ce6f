"""How many pictures a second are extracted: reading alone, timm grids and torchvision detectors, alone and in batches.

python benchmarks/extract.py [--pictures 4] [--rounds 3] [--batch 4] [--device cpu]
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from timing import machine, medians

from uniter_data.extract import ExtractedRegions, RegionExtractor, backbone_extractor, detector_extractor
from uniter_data.extract.pictures import PictureFolder
from uniter_data.extract.reading import read_ahead
from uniter_data.extract.waiting import PictureRow

SIZE = (640, 480)  # of most of COCO's pictures
DETECTORS = ("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_resnet50_fpn")
BACKBONES = ("resnet18", "resnet50")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = draw(Path(folder), options.pictures)
        pictures = [picture for _, found in read(folder, rows, 1) for picture in found]
        extractors: dict[str, RegionExtractor] = {
            f"{model}, a grid of 7 x 7": backbone_extractor(model, weights="random", grid=(7, 7), device=options.device)
            for model in BACKBONES
        } | {model: detector_extractor(model, weights="random", device=options.device) for model in DETECTORS}
        candidates: dict[str, Callable[[], object]] = {
            f"reading and decoding, {workers} at a time": partial(read, folder, rows, workers) for workers in (1, 2)
        }
        for name, extractor in extractors.items():
            for batch in (1, options.batch):
                candidates[f"{name}, {batch} at once"] = partial(extract, extractor, pictures, batch)
        seconds = medians(candidates, rounds=options.rounds, warm_up=1)
    print(f"{options.pictures} JPEG pictures of {SIZE[0]} x {SIZE[1]}; {machine()}\n")
    print("| what | pictures/s |\n|---|---:|")
    for name, each in seconds.items():
        print(f"| {name} | {options.pictures / each:,.3g} |")
    print(f"\nLargest difference between 1 and {options.batch} at once, relative to the largest feature:\n")
    print("| what | difference | regions that differ |\n|---|---:|---:|")
    for name, extractor in extractors.items():
        largest, other = difference(extract(extractor, pictures, 1), extract(extractor, pictures, options.batch))
        print(f"| {name} | {largest:.1e} | {other} |")


def draw(folder: Path, count: int) -> list[PictureRow]:
    """JPEG files of smooth patches, about as large as photographs."""
    rng = np.random.default_rng(0)
    for number in range(count):
        patches = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        patches.resize(SIZE, Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=92)
    return [PictureRow(image=str(number), picture=f"{number}.jpg") for number in range(count)]


def read(folder: str, rows: list[PictureRow], workers: int) -> list[tuple[object, list[Image.Image | str]]]:
    """The pictures, decoded ahead."""
    return list(read_ahead([(PictureFolder(folder), rows)], workers=workers))


def extract(extractor: RegionExtractor, pictures: list[Image.Image], batch: int) -> list[ExtractedRegions]:
    """The regions of each picture, so many pictures at once."""
    return [
        regions for start in range(0, len(pictures), batch) for regions in extractor(pictures[start : start + batch])
    ]


def difference(ones: list[ExtractedRegions], others: list[ExtractedRegions]) -> tuple[float, int]:
    """Of the features where the boxes are the same to a pixel, and how many boxes are not."""
    largest, differ = 0.0, 0
    for one, other in zip(ones, others, strict=True):
        count = min(len(one.boxes), len(other.boxes))
        same = np.abs(np.asarray(one.boxes)[:count] - np.asarray(other.boxes)[:count]).max(axis=1) < 1
        differ += max(len(one.boxes), len(other.boxes)) - int(same.sum())
        features = np.asarray(one.features)[:count][same], np.asarray(other.features)[:count][same]
        if same.any():
            largest = max(largest, float(np.abs(features[0] - features[1]).max() / np.abs(features[0]).max()))
    return largest, differ


if __name__ == "__main__":
    main()
