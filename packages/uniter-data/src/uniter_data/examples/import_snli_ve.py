"""Imports SNLI-VE."""

from collections.abc import Sequence
from pathlib import Path

from uniter_data.annotations.records import snli_ve_annotation
from uniter_data.annotations.snli_ve import SnliVeRecord, read_snli_ve
from uniter_data.examples.draft import Draft, ImportOptions, ImportReport
from uniter_data.examples.image_names import flickr_image
from uniter_data.examples.importing import Plan, write_examples
from uniter_data.examples.splits import Files, by_split, chained, split_of_name

__all__ = ["import_snli_ve"]

UNDECIDED = "its annotators did not agree"


def import_snli_ve(
    out: str | Path, *, files: Files, regions: Sequence[str | Path], options: ImportOptions | None = None
) -> ImportReport:
    """Import sentences and their labels; what the annotators did not agree on is left out and counted.

    Args:
        out: the data set to write.
        files: of each split; under "", the split is the last word of the file's name.
        regions: the region stores in which the pictures are looked for.
        options: see `ImportOptions`.

    Raises:
        ValueError: see `write_examples`.
    """
    splits = {split: chained(_drafts, paths) for split, paths in by_split(files, split_of_name).items()}
    plan = Plan(
        task="snli-ve",
        name="snli-ve",
        label="label",
        source="SNLI-VE (Xie et al., 2019)",
        splits=splits,
        layers=[regions],
    )
    return write_examples(out, plan, options or ImportOptions())


def _drafts(path: Path) -> "map[Draft]":
    return map(_draft, read_snli_ve(path))


def _draft(record: SnliVeRecord) -> Draft:
    return Draft(
        id=record.pair_id,
        source=record.source,
        texts=(record.hypothesis,),
        images=(flickr_image(record.flickr_id),),
        annotation=snli_ve_annotation(record),
        unwanted=UNDECIDED if record.undecided else "",
    )
