"""Reading pictures for a backbone: what can be decoded as tensors, the rest with the reason why it cannot."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uniter_data.extract.boxes import PictureBoxes

__all__ = ["ReadPicture", "read_picture"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadPicture:
    """A picture with its regions.

    Attributes:
        image: its id.
        size: (width, height) in pixels, as stored.
        pixels: (3, H, W) uint8, resized where the backbone wants it.
        boxes: (R, 4) x1, y1, x2, y2 in the unit square.
        classes: (R,) int64.
    """

    image: str
    size: tuple[int, int]
    pixels: Tensor
    boxes: Tensor
    classes: Tensor


def read_picture(folder: Path, row: PictureBoxes, resize: tuple[int, int] | None = None) -> ReadPicture | str:
    """Read one picture.

    Args:
        folder: of the pictures.
        row: its file and regions.
        resize: (width, height) the backbone takes; None if it takes any.

    Returns:
        The picture, or why it cannot be read.
    """
    try:
        with Image.open(folder / row.picture) as file:
            size = file.size
            colours = file.convert("RGB")
    # a damaged file makes Pillow's decoders raise all sorts of errors
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__
    if resize:
        colours = colours.resize(resize, Image.Resampling.BILINEAR)
    return ReadPicture(
        image=row.image,
        size=size,
        pixels=torch.from_numpy(np.array(colours)).movedim(-1, 0),
        boxes=torch.tensor(row.boxes, dtype=torch.float32).reshape(-1, 4),
        classes=torch.tensor(row.classes, dtype=torch.int64),
    )
