"""Region features of pictures: a timm backbone, RoIAlign over given boxes, and a store that others can read.

Needs the extra `uniter-data[extract]` (timm, torchvision), but only when something is extracted.
"""

from uniter_data.extract.boxes import BoxFile, PictureBoxes, box_file, write_boxes
from uniter_data.extract.regions import extract_regions
from uniter_data.extract.report import ExtractedStore, ExtractionReport

__all__ = [
    "BoxFile",
    "ExtractedStore",
    "ExtractionReport",
    "PictureBoxes",
    "box_file",
    "extract_regions",
    "write_boxes",
]
