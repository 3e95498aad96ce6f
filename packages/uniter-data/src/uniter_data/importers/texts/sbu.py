"""SBU captioned photos (Ordonez et al., NIPS 2011): a million sentences and Flickr URLs.

Two files of as many lines, `SBU_captioned_photo_dataset_urls.txt` and `…_captions.txt`; or `sbu-captions-all.json` with
the lists `image_urls` and `captions`; or a TSV like that of Conceptual Captions.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from uniter_data.annotations.fields import shortened
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members
from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionReport, CaptionSource
from uniter_data.importers.texts.conceptual_captions import read_conceptual_captions
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.importing import import_captions
from uniter_data.importers.texts.tables import read_abreast
from uniter_data.importers.texts.web import PictureManifest, Row, web_captions

__all__ = ["import_sbu", "read_sbu"]

ABSENT = object()


def import_sbu(
    out: str | Path,
    *,
    files: Sequence[str | Path],
    manifest: str | Path | None = None,
    options: CaptionOptions | None = None,
) -> CaptionReport:
    """Import the captions whose pictures could be downloaded, all in "train" unless `val_share` says otherwise.

    Args:
        out: the data set to write.
        files: the URLs and the captions, in this order; or one file of both, .json or .tsv.
        manifest: which URL became which file; see `web`.
        options: see `CaptionOptions`.

    Raises:
        ValueError: there are more than two files, or the two have not as many lines; and see `import_captions`.
    """
    paths = [Path(path) for path in files]
    known = PictureManifest(Path(manifest)) if manifest else None

    def captions(damages: Damages) -> Iterator[Caption]:
        return web_captions(read_sbu(paths, damages), "train", known, damages)

    source = CaptionSource(
        name="sbu",
        source="SBU captioned photos (Ordonez et al., NIPS 2011)",
        files=[*paths, *([Path(manifest)] if manifest else [])],
        captions=captions,
        pictures_vanish=True,
    )
    return import_captions(out, source, options or CaptionOptions())


def read_sbu(paths: Sequence[Path], damages: Damages) -> Iterator[Row]:
    """The rows of any of the three variants.

    Raises:
        ValueError: see `import_sbu`; or, unless damaged rows are left out, a row is wrong.
    """
    if len(paths) == 2:
        return _two_files(paths[0], paths[1], damages)
    if len(paths) != 1:
        raise ValueError(f"files: expected the URLs and the captions, or one file of both, got {len(paths)} files")
    return _json(paths[0], damages) if paths[0].suffix == ".json" else read_conceptual_captions(paths[0], damages)


# ---------------------------------------------------------------------------------------------------------------------


def _two_files(urls: Path, captions: Path, damages: Damages) -> Iterator[Row]:
    for number, (url, sentence) in read_abreast((urls, captions), damages):
        yield f"{captions}:{number}", number - 1, sentence, url.strip()


def _json(path: Path, damages: Damages) -> Iterator[Row]:
    """Both lists are read at the same time, so that neither has to be in memory."""
    readers = (_elements(path, key) for key in ("image_urls", "captions"))
    for index, (url, sentence) in enumerate(zip_longest(*readers, fillvalue=ABSENT)):
        where = f"{path}: captions[{index}]"
        if url is ABSENT or sentence is ABSENT:
            raise ValueError(f"{where}: expected as many image_urls as captions: copy the file again")
        if isinstance(url, str) and isinstance(sentence, str):
            yield where, index, sentence, url
        else:
            damages.note(
                ValueError(f"{where}: expected two strings, got {shortened(sentence)} and {shortened(url)}: mend them")
            )


def _elements(path: Path, key: str) -> Iterator[Any]:
    found = False
    for name, index, value in read_members(path):
        if name == key and index is not None:
            found = True
            yield value
    if not found:
        raise other_format(path, f"a file of SBU with the list {key}")
