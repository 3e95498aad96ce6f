"""Conceptual Captions (Sharma et al., ACL 2018): `Train_GCC-training.tsv`, a sentence, a tab and a URL a line."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from uniter_data.examples.splits import Files, by_split
from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionReport, CaptionSource
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.importing import import_captions
from uniter_data.importers.texts.tables import read_lines
from uniter_data.importers.texts.web import PictureManifest, Row, web_captions

__all__ = ["import_conceptual_captions", "read_conceptual_captions"]


def import_conceptual_captions(
    out: str | Path, *, files: Files, manifest: str | Path | None = None, options: CaptionOptions | None = None
) -> CaptionReport:
    """Import the captions whose pictures could be downloaded.

    Args:
        out: the data set to write.
        files: one of each split, as its rows number the pictures; under "", its name says which.
        manifest: which URL became which file; see `web`.
        options: see `CaptionOptions`.

    Raises:
        ValueError: see `import_captions`.
    """
    splits = by_split(files, _split)
    for split, of_split in splits.items():
        if len(of_split) > 1:
            raise ValueError(f"split {split!r}: expected one file, its rows number the pictures, got {len(of_split)}")
    paths = [path for of_split in splits.values() for path in of_split]
    source = CaptionSource(
        name="conceptual-captions",
        source="Conceptual Captions (Sharma et al., ACL 2018)",
        files=[*paths, *([Path(manifest)] if manifest else [])],
        captions=partial(_captions, splits, PictureManifest(Path(manifest)) if manifest else None),
        pictures_vanish=True,
    )
    return import_captions(out, source, options or CaptionOptions())


def read_conceptual_captions(path: Path, damages: Damages) -> Iterator[Row]:
    """The rows of a file; a damaged one keeps its number.

    Raises:
        ValueError: unless damaged rows are left out: one has not two columns, or is not UTF-8.
    """
    return damages.sift(partial(_row, path), read_lines(path, damages))


# ---------------------------------------------------------------------------------------------------------------------


def _captions(splits: dict[str, list[Path]], manifest: PictureManifest | None, damages: Damages) -> Iterator[Caption]:
    for split, (path,) in splits.items():
        yield from web_captions(read_conceptual_captions(path, damages), split, manifest, damages)


def _split(path: Path) -> str:
    """Train_GCC-training.tsv, Validation_GCC-1.1.0-Validation.tsv."""
    return "val" if path.name.lower().startswith("val") else "train"


def _row(path: Path, line: tuple[int, str]) -> Row:
    number, text = line
    sentence, tab, url = text.rpartition("\t")
    if not tab or "\t" in sentence:
        raise ValueError(f"{path}:{number}: expected a sentence, a tab and a URL, got {text[:60]!r}: mend the line")
    return f"{path}:{number}", number - 1, sentence, url.strip()
