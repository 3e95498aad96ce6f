"""Importers of region features: others' formats in, a region store out; a file a format."""

from uniter_data.importers.regions.boxes import BoxRule
from uniter_data.importers.regions.butd import import_butd
from uniter_data.importers.regions.class_names import read_class_names
from uniter_data.importers.regions.npz_folder import import_npz
from uniter_data.importers.regions.report import RegionImport, RegionReport
from uniter_data.importers.regions.uniter_images import import_uniter_images
from uniter_data.importers.regions.vinvl import import_vinvl
from uniter_data.importers.regions.volta import import_volta

__all__ = [
    "BoxRule",
    "RegionImport",
    "RegionReport",
    "import_butd",
    "import_npz",
    "import_uniter_images",
    "import_vinvl",
    "import_volta",
    "read_class_names",
]
