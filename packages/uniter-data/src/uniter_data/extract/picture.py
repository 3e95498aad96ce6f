"""The regions of one picture, in memory: what a raw picture needs before a model can look at it."""

from pathlib import Path

from PIL import Image

from uniter_data.extract.columns import describe, record_of
from uniter_data.extract.pictures import as_rgb, decode_picture, refuse_bombs
from uniter_data.extract.protocol import RegionExtractor, check_extractor
from uniter_data.stores import RegionRecord

__all__ = ["extract_picture"]


def extract_picture(picture: Image.Image | str | Path, extractor: RegionExtractor) -> RegionRecord:
    """The regions of a picture as a store that `extract_regions` wrote would give them.

    Args:
        picture: a file, or one that is open.
        extractor: as for `extract_regions`.

    Raises:
        ValueError: the picture cannot be read.
    """
    check_extractor(extractor)
    with refuse_bombs():
        read = as_rgb(picture) if isinstance(picture, Image.Image) else decode_picture(Path(picture).read_bytes())
    if isinstance(read, str):
        raise ValueError(f"{picture}: {read}")
    (regions,) = describe(extractor, [], [read], given=False)
    return record_of(regions, read.size)
