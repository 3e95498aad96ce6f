"""Reading pictures: what can be decoded becomes upright RGB, the rest the reason why it cannot.

Colours. Grey, palette, CMYK and YCbCr pictures become RGB as Pillow converts them, without colour profiles. What is
transparent lies on white. Grey of 16 bits is scaled to 8 (Pillow alone would cut all above 255 off); 32-bit and
floating-point pictures have no known white and are refused. Of an animation the first frame is taken. A picture whose
EXIF says how it was held is turned upright, so that width, height and boxes are those a person sees.

Damage. A file must be whole: the checksums of a PNG are all compared, and a picture that ends early is refused. JPEG
has no checksum: a bit that flipped in its middle may only show as other colours. More pixels than Pillow's limit
(`PIL.Image.MAX_IMAGE_PIXELS`, 89 million) count as a decompression bomb.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from uniter_data.stores.locations import is_remote
from uniter_data.stores.sources import RemoteSource

__all__ = ["PictureFolder", "as_rgb", "by_size", "decode_picture", "pixels_of", "refuse_bombs"]

ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIXTEEN_TO_EIGHT = 257  # 65535 / 255


class PictureFolder:
    """The pictures below a folder or URL, read by several threads at once.

    Args:
        location: of the folder.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self._remote = RemoteSource(location) if is_remote(location) else None

    def read(self, name: str) -> Image.Image | str:
        """A picture in upright RGB, or why it cannot be read.

        Raises:
            OSError: a remote one could not be fetched, whatever was tried: that says nothing about the picture.
        """
        try:
            return decode_picture(self._bytes(name))
        except FileNotFoundError:
            return "there is no such file"
        except OSError as error:
            if self._remote:
                raise
            return f"the file cannot be read ({error.strerror or error})"

    def _bytes(self, name: str) -> bytes:
        if self._remote is None:
            return (Path(self.location) / name).read_bytes()
        (raw,) = self._remote.read(name, [(0, self._remote.size(name))])
        return bytes(raw)


def decode_picture(raw: bytes) -> Image.Image | str:
    """A picture's file in upright RGB, or why it cannot be decoded."""
    if not raw:
        return "the file is empty"
    try:
        with Image.open(BytesIO(raw)) as file:
            file.verify()
        with Image.open(BytesIO(raw)) as file:
            file.load()
            return as_rgb(file)
    except UnidentifiedImageError:
        return "it is no picture of a format that Pillow reads"
    # a damaged file makes Pillow's decoders raise all sorts of errors
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__


def as_rgb(picture: Image.Image) -> Image.Image:
    """A loaded picture in RGB, upright.

    Raises:
        ValueError: its numbers are not colours.
    """
    turn = UPRIGHT.get(_orientation(picture))
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG"):
        grey = np.asarray(picture).astype(np.float32) / SIXTEEN_TO_EIGHT
        picture = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        raise ValueError(f"a picture of Pillow's mode {picture.mode} has no known white: save it with 8 or 16 bits")
    elif picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    colours = picture.convert("RGB")
    return colours if turn is None else colours.transpose(turn)


def pixels_of(picture: Image.Image) -> Tensor:
    """(3, H, W) uint8 of a picture in RGB."""
    return torch.from_numpy(np.array(picture)).movedim(-1, 0)


@contextmanager
def refuse_bombs() -> Iterator[None]:
    """While pictures are read: what Pillow only warns of as a decompression bomb is an error to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def by_size(pictures: Sequence[Image.Image]) -> list[list[int]]:
    """Places of the pictures of each size: what goes through a network together, for padding would change features.

    >>> a, b = Image.new("RGB", (3, 2)), Image.new("RGB", (2, 3))
    >>> by_size([a, b, a])
    [[0, 2], [1]]
    """
    places: dict[tuple[int, int], list[int]] = {}
    for place, picture in enumerate(pictures):
        places.setdefault(picture.size, []).append(place)
    return list(places.values())


def _orientation(picture: Image.Image) -> int:
    """How the camera was held; 1, upright, where nothing or nonsense is said."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    # damaged EXIF makes its parser raise all sorts of errors, and says nothing about the pixels
    except Exception:
        return 1
