"""Visual Genome's region descriptions (Krishna et al., IJCV 2017): `region_descriptions.json`, some 50 a picture.

Each phrase describes a box of its picture. Here it is a text of the whole picture, as UNITER uses it; a phrase that
comes again for the same picture is left out.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members
from uniter_data.examples.image_names import genome_image
from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionReport, CaptionSource
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.importing import import_captions

__all__ = ["import_genome", "read_region_descriptions"]

FORMAT = "Visual Genome's region_descriptions.json"
AGAIN = "its picture has the phrase already"


def import_genome(
    out: str | Path, *, files: Sequence[str | Path], options: CaptionOptions | None = None
) -> CaptionReport:
    """Import the phrases of Visual Genome, all of them in "train" unless `val_share` says otherwise.

    Args:
        out: the data set to write.
        files: `region_descriptions.json`, or parts of it.
        options: see `CaptionOptions`.

    Raises:
        ValueError: see `import_captions`.
    """
    paths = [Path(path) for path in files]
    source = CaptionSource(
        name="genome",
        source="Visual Genome's region descriptions (Krishna et al., IJCV 2017)",
        licence="CC-BY-4.0",
        files=paths,
        captions=partial(_captions, paths),
    )
    return import_captions(out, source, options or CaptionOptions())


def read_region_descriptions(path: Path, damages: Damages) -> Iterator[Caption]:
    """The phrases of a file, picture after picture; only one picture's are in memory.

    Raises:
        ValueError: the file is of another format, or a record is wrong; the message names file and record.
    """
    empty = True
    for key, index, value in read_members(path):
        if key or index is None or not isinstance(value, dict) or "regions" not in value:
            raise other_format(path, FORMAT)
        empty = False
        for phrases in damages.sift(partial(_picture, path), [(index, value)]):
            seen: set[str] = set()
            yield from damages.sift(partial(_phrase, seen), phrases)
    if empty:
        raise other_format(path, FORMAT)


# ---------------------------------------------------------------------------------------------------------------------


def _captions(paths: Sequence[Path], damages: Damages) -> Iterator[Caption]:
    for path in paths:
        yield from read_region_descriptions(path, damages)


def _picture(path: Path, record: tuple[int, Any]) -> list[tuple[int, str, Any]]:
    """Of each region of a picture the picture's number, where the region stands, and the region."""
    index, raw = record
    fields = Fields(raw, f"{path}: [{index}]")
    # files of some versions call the picture's id "id"
    number = fields.integer("id" if "id" in fields.raw else "image_id")
    regions = enumerate(fields.items("regions"))
    return [(number, f"{fields.where}: regions[{place}]", region) for place, region in regions]


def _phrase(seen: set[str], record: tuple[int, str, Any]) -> Caption:
    number, where, raw = record
    fields = Fields(raw, where)
    phrase = fields.text("phrase", empty=True)
    same = " ".join(phrase.casefold().split())
    again = same in seen
    seen.add(same)
    return Caption(
        id=str(fields.integer("region_id")),
        source=fields.where,
        split="train",
        sentence=phrase,
        image=genome_image(number),
        unwanted=AGAIN if again and same else "",
    )
