"""Imports VCR: a question, four answers and four rationales are the nine texts of an example."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from uniter_data.annotations.records import vcr_annotation
from uniter_data.annotations.vcr import TAGS, VcrRecord, object_words, read_vcr, written
from uniter_data.examples.draft import Draft, ImportOptions, ImportReport
from uniter_data.examples.image_names import vcr_image
from uniter_data.examples.importing import Plan, write_examples
from uniter_data.examples.splits import Files, by_split, chained, split_of_name

__all__ = ["import_vcr"]


def import_vcr(
    out: str | Path,
    *,
    files: Files,
    regions: Sequence[str | Path],
    objects: Sequence[str | Path] = (),
    tags: str = "names",
    options: ImportOptions | None = None,
) -> ImportReport:
    """Import questions with their answers and rationales.

    Args:
        out: the data set to write.
        files: of each split; under "", the split is the last word of the file's name.
        regions: the region stores in which the pictures are looked for.
        objects: region stores of the annotated objects, if there are any: their regions then stand before the others,
            and region i is object i.
        tags: how texts name objects: "names" or "regions"; see `object_words`.
        options: see `ImportOptions`.

    Raises:
        ValueError: `tags` is something else; and see `write_examples`.
    """
    if tags not in TAGS:
        raise ValueError(f"tags: expected one of {', '.join(TAGS)}, got {tags!r}")
    drafts = partial(_drafts, tags=tags)
    splits = {split: chained(drafts, paths) for split, paths in by_split(files, split_of_name).items()}
    plan = Plan(
        task="vcr",
        name="vcr",
        label="answer_label",
        source="VCR (Zellers et al., CVPR 2019)",
        splits=splits,
        layers=[objects, regions] if objects else [regions],
        settings={"tags": tags},
    )
    return write_examples(out, plan, options or ImportOptions())


def _drafts(path: Path, *, tags: str) -> Iterator[Draft]:
    return (_draft(record, tags) for record in read_vcr(path))


def _draft(record: VcrRecord, tags: str) -> Draft:
    words = object_words(record.objects, tags)
    texts = (record.question, *record.answers, *record.rationales)
    return Draft(
        id=record.annot_id,
        source=record.source,
        texts=tuple(written(text, words) for text in texts),
        images=(vcr_image(record.image),),
        annotation=vcr_annotation(record, words),
    )
