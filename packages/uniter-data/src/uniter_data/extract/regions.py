"""From a data set with box files to one with region stores."""

# R regions of a picture, C classes

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from uniter_data.extract.backbone import load_backbone
from uniter_data.extract.boxes import BoxFile, PictureBoxes, box_file
from uniter_data.extract.extractor import Extractor, take_up_extractor
from uniter_data.extract.orphans import drop_orphans
from uniter_data.extract.pictures import ReadPicture, read_picture
from uniter_data.extract.report import ExtractedStore, ExtractionReport
from uniter_data.stores import RegionStore, RegionWriter, read_manifest

__all__ = ["extract_regions"]

Progress = Callable[[str, int, int], None]


def extract_regions(
    directory: str | Path,
    *,
    model: str = "resnet18",
    weights: str = "hub",
    seed: int = 0,
    levels: Sequence[int] = (0, 1),
    grid: int = 2,
    batch: int = 8,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> ExtractionReport:
    """Make the region store of every box file in a data set; an extraction that was interrupted goes on.

    Each level is pooled inside each box to `grid` x `grid` cells (RoIAlign), the cells of all levels make one vector,
    and each of its dimensions is standardised. The default suits drawings with objects of 10 to 30 pixels: the two
    finest levels (strides 2 and 4 in a ResNet), and four cells to keep the shape. For photographs rather take coarse
    levels of pretrained weights in one cell: `levels=(3, 4), grid=1`.

    Args:
        directory: the data set.
        model: any timm model that gives feature maps.
        weights: "hub" (pretrained), "random", or a file: safetensors, or torch's without pickled code.
        seed: of random weights and of the sample that the standardisation is fitted to.
        levels: of timm's feature levels, 0 the finest.
        grid: cells along a side of a box.
        batch: pictures at once; few are fast on a CPU (their maps stay in its cache), a GPU wants more.
        device: default: the GPU if there is one.
        progress: called with what is done, how much of it, and of how much.

    Returns:
        What was done. Pictures that cannot be read are skipped and named in it; texts that show them are left out.

    Raises:
        RuntimeError: timm or torchvision is not installed.
        ValueError: the data set has no box file, its pictures are not where it says, the weights cannot be had, or its
            extraction was begun in another way.
        OSError: the disk is full; run again to go on.
    """
    folder = Path(directory)
    for name, number in (("grid", grid), ("batch", batch)):
        if number < 1:
            raise ValueError(f"{name}: expected at least 1, got {number}")
    tell = progress or (lambda what, done, total: None)
    box_files = _box_files(folder)
    backbone = load_backbone(model, weights=weights, seed=seed, levels=levels, device=device)
    extractor = take_up_extractor(
        folder, backbone, grid=grid, seed=seed, box_files=box_files.values(), batch=batch, tell=tell
    )
    stores = {
        path.name: _make_store(folder, path, boxes, extractor, batch=batch, tell=tell)
        for path, boxes in box_files.items()
    }
    return ExtractionReport(
        directory=folder, extractor=extractor.description, region_dim=extractor.region_dim, stores=stores
    )


# ---------------------------------------------------------------------------------------------------------------------


def _box_files(folder: Path) -> dict[Path, BoxFile]:
    """The box file of each region store that has one."""
    paths = dict.fromkeys(folder / split.regions for split in read_manifest(folder).splits.values())
    found = {path: BoxFile(box_file(path)) for path in paths if box_file(path).is_file()}
    if not found:
        raise ValueError(f"{folder} has no box file (such as regions-train.boxes.jsonl): there is nothing to extract")
    for boxes in found.values():
        if not boxes.pictures.is_dir():
            raise ValueError(f"{boxes.path} expects its pictures in {boxes.pictures}: put them there, or import again")
    return found


def _make_store(
    folder: Path, path: Path, boxes: BoxFile, extractor: Extractor, *, batch: int, tell: Progress
) -> ExtractedStore:
    skipped = {} if path.exists() else _extract(path, boxes, extractor, batch=batch, tell=tell)
    store = RegionStore(path)
    stored = set(store.image_ids.tolist())
    missing = [row.image for row in boxes if row.image not in stored]
    return ExtractedStore(
        images=store.num_images,
        regions=int(store.offsets[-1]),
        skipped=tuple((image, skipped.get(image, "skipped by an earlier run")) for image in missing),
        dropped_texts=drop_orphans(folder, path),
    )


def _extract(path: Path, boxes: BoxFile, extractor: Extractor, *, batch: int, tell: Progress) -> dict[str, str]:
    """Write one store; the pictures that could not be read, and why."""
    skipped: dict[str, str] = {}
    total = sum(1 for _ in boxes)
    done = 0
    with RegionWriter(
        path,
        region_dim=extractor.region_dim,
        class_names=boxes.class_names,
        extractor=extractor.description,
        attributes=extractor.attributes,
    ) as writer:
        for rows in _batches(boxes, batch):
            # a batch that was partly written is computed as a whole, so that a resumed run gives the same bits
            if any(row.image not in writer.done for row in rows):
                skipped |= _append(writer, rows, boxes, extractor)
            done += len(rows)
            tell(f"extracting {path.stem}", done, total)
        if not writer.done:
            raise ValueError(f"none of the {total} pictures in {boxes.pictures} can be read: {_first(skipped)}")
        writer.publish()
    return skipped


def _append(writer: RegionWriter, rows: list[PictureBoxes], boxes: BoxFile, extractor: Extractor) -> dict[str, str]:
    """Write the pictures of one batch that are not written yet."""
    read = {row.image: read_picture(boxes.pictures, row, extractor.backbone.picture_size) for row in rows}
    pictures = [picture for picture in read.values() if isinstance(picture, ReadPicture)]
    one_hot = np.eye(len(boxes.class_names), dtype=np.float16)
    for picture, features in zip(pictures, extractor(pictures), strict=True):
        if picture.image in writer.done:
            continue
        corners = picture.boxes.numpy()
        writer.append(
            picture.image,
            features,
            np.concatenate([corners, corners[:, 2:] - corners[:, :2]], axis=1),
            labels=one_hot[picture.classes.numpy()],
            size=picture.size,
        )
    return {image: reason for image, reason in read.items() if isinstance(reason, str)}


def _batches(boxes: BoxFile, size: int) -> Iterator[list[PictureBoxes]]:
    rows = iter(boxes)
    while batch := list(islice(rows, size)):
        yield batch


def _first(skipped: dict[str, str]) -> str:
    return next(iter(skipped.values()), "the box file names none")
