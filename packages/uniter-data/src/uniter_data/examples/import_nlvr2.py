"""Imports NLVR2."""

from collections.abc import Sequence
from pathlib import Path

from uniter_data.annotations.nlvr2 import Nlvr2Record, read_nlvr2
from uniter_data.annotations.records import nlvr2_annotation
from uniter_data.examples.draft import Draft, ImportOptions, ImportReport
from uniter_data.examples.image_names import nlvr2_image
from uniter_data.examples.importing import Plan, write_examples
from uniter_data.examples.splits import Files, by_split, chained, split_of_name

__all__ = ["import_nlvr2"]


def import_nlvr2(
    out: str | Path, *, files: Files, regions: Sequence[str | Path], options: ImportOptions | None = None
) -> ImportReport:
    """Import sentences about two pictures, and whether they are true of them.

    Args:
        out: the data set to write.
        files: of each split; under "", the split is the last word of the file's name, dev being val.
        regions: the region stores in which the pictures are looked for.
        options: see `ImportOptions`. In its `image_name`, `{path}` is what a picture was called where it came from.

    Raises:
        ValueError: see `write_examples`.
    """
    splits = {split: chained(_drafts, paths) for split, paths in by_split(files, split_of_name).items()}
    plan = Plan(
        task="nlvr2",
        name="nlvr2",
        label="label",
        source="NLVR2 (Suhr, Zhou et al., ACL 2019)",
        licence="CC-BY-4.0",
        splits=splits,
        layers=[regions],
    )
    return write_examples(out, plan, options or ImportOptions())


def _drafts(path: Path) -> "map[Draft]":
    return map(_draft, read_nlvr2(path))


def _draft(record: Nlvr2Record) -> Draft:
    return Draft(
        id=record.identifier,
        source=record.source,
        texts=(record.sentence,),
        images=tuple(nlvr2_image(*names) for names in zip(record.images, record.url_stems, strict=True)),
        annotation=nlvr2_annotation(record),
    )
