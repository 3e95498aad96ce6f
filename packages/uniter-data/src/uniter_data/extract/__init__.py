"""Region features of pictures: grids and given boxes by a timm backbone, a torchvision detector, or one's own.

Needs the extra `uniter-data[extract]` (timm, torchvision), but only when one of these is made.
"""

from uniter_data.extract.backbone_extractor import BackboneExtractor, backbone_extractor
from uniter_data.extract.boxes import BoxFile, PictureBoxes, box_file, write_boxes
from uniter_data.extract.detector_extractor import DetectorExtractor, detector_extractor
from uniter_data.extract.picture import extract_picture
from uniter_data.extract.protocol import BoxExtractor, ExtractedRegions, RegionExtractor, load_extractor
from uniter_data.extract.regions import extract_regions
from uniter_data.extract.report import ExtractedStore, ExtractionReport
from uniter_data.extract.skipped import SkippedPicture, read_skipped
from uniter_data.extract.standardisation import standardise_like
from uniter_data.extract.waiting import has_boxes

__all__ = [
    "BackboneExtractor",
    "BoxExtractor",
    "BoxFile",
    "DetectorExtractor",
    "ExtractedRegions",
    "ExtractedStore",
    "ExtractionReport",
    "PictureBoxes",
    "RegionExtractor",
    "SkippedPicture",
    "backbone_extractor",
    "box_file",
    "detector_extractor",
    "extract_picture",
    "extract_regions",
    "has_boxes",
    "load_extractor",
    "read_skipped",
    "standardise_like",
    "write_boxes",
]
