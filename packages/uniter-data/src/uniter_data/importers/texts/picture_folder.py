"""Pictures of one's own: a folder of them, and files of CSV, TSV or JSON lines that say what they show."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from uniter_data.annotations.fields import Fields
from uniter_data.examples.image_names import web_image
from uniter_data.examples.splits import Files
from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionReport, CaptionSource
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.importing import import_captions
from uniter_data.importers.texts.tables import read_table
from uniter_data.importers.texts.web import is_url
from uniter_data.pictures import SUFFIXES
from uniter_data.stores.id_set import IdSet

__all__ = ["Columns", "import_pictures"]

SPLIT = re.compile(r"[\w-]+")
SPLITS = {"training": "train", "dev": "val", "valid": "val", "validation": "val"}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns, or the fields of JSON lines, are called.

    Attributes:
        image: the picture's file, by its path, its name, or its name without suffix.
        caption: one sentence.
        split: to which the picture belongs; a file without it is all "train".
        url: where the picture came from; may be missing.
    """

    image: str = "image"
    caption: str = "caption"
    split: str = "split"
    url: str = "url"


def import_pictures(
    out: str | Path,
    *,
    files: Files,
    columns: Columns | None = None,
    name: str = "pictures",
    options: CaptionOptions | None = None,
) -> CaptionReport:
    """Import captions of pictures of one's own.

    Args:
        out: the data set to write.
        files: of captions of each split; under "", each record says its split.
        columns: what they are called.
        name: of the data set.
        options: see `CaptionOptions`.

    Raises:
        ValueError: see `import_captions`.
    """
    paths = [(split, Path(path)) for split, of_split in files.items() for path in of_split]
    source = CaptionSource(
        name=name,
        source=", ".join(path.name for _, path in paths),
        files=[path for _, path in paths],
        captions=partial(_captions, paths, columns or Columns()),
    )
    return import_captions(out, source, options or CaptionOptions())


# ---------------------------------------------------------------------------------------------------------------------


def _captions(paths: Sequence[tuple[str, Path]], columns: Columns, damages: Damages) -> Iterator[Caption]:
    told = IdSet()  # pictures whose URL is told
    for number, (split, path) in enumerate(paths, start=1):
        records = read_table(path, (columns.image, columns.caption), damages)
        for caption in damages.sift(partial(_caption, number, split, columns), records):
            known = caption.image.stem in told
            if caption.url and not known:
                told.add(caption.image.stem)
            yield replace(caption, url="") if known else caption


def _caption(number: int, split: str, columns: Columns, fields: Fields) -> Caption:
    """A record as a caption; its id is the number of the file and that of the line."""
    said = fields.text(columns.split).strip() if not split and columns.split in fields.raw else split or "train"
    if not SPLIT.fullmatch(said):
        fields.fail(columns.split, "a name of letters, digits, _ and -", said)
    file = PurePosixPath(fields.text(columns.image).strip().replace("\\", "/"))
    url = fields.text(columns.url, empty=True).strip() if columns.url in fields.raw else ""
    if url and not is_url(url):
        fields.fail(columns.url, "a URL, or nothing", url)
    return Caption(
        id=f"{number}-{fields.where.rpartition(':')[2]}",
        source=fields.where,
        split=SPLITS.get(said, said),
        sentence=fields.text(columns.caption, empty=True),
        image=web_image(file.stem if file.suffix.lower() in SUFFIXES else file.name),
        url=url,
    )
