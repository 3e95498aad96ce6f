"""Importers of sentences: one file a format, each of which yields captions; and what all of them do with them."""

from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionReport, CaptionSource
from uniter_data.importers.texts.coco import import_coco
from uniter_data.importers.texts.conceptual_captions import import_conceptual_captions
from uniter_data.importers.texts.genome import import_genome
from uniter_data.importers.texts.importing import import_captions
from uniter_data.importers.texts.picture_folder import Columns, import_pictures
from uniter_data.importers.texts.sbu import import_sbu
from uniter_data.importers.texts.uniter import import_uniter_texts

__all__ = [
    "Caption",
    "CaptionOptions",
    "CaptionReport",
    "CaptionSource",
    "Columns",
    "import_captions",
    "import_coco",
    "import_conceptual_captions",
    "import_genome",
    "import_pictures",
    "import_sbu",
    "import_uniter_texts",
]
