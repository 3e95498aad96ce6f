"""Imports VQA v2, and Visual Genome's questions as further training examples."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from uniter_data.annotations.genome import GenomeQuestion, read_genome_questions
from uniter_data.annotations.records import vqa_annotation
from uniter_data.annotations.vqa import PEOPLE, VqaRecord, read_vqa, read_vqa_questions
from uniter_data.examples.draft import Draft, ImportOptions, ImportReport
from uniter_data.examples.image_names import coco_image, genome_image
from uniter_data.examples.importing import Plan, write_examples
from uniter_data.examples.splits import Files, by_split

__all__ = ["import_vqa"]

NO_FILES: Files = {}


def import_vqa(
    out: str | Path,
    *,
    questions: Files,
    annotations: Files = NO_FILES,
    genome: Files = NO_FILES,
    regions: Sequence[str | Path],
    options: ImportOptions | None = None,
) -> ImportReport:
    """Import questions, their answers where there are annotations, and Visual Genome's questions.

    Several files of one split follow each other: train and val may both go into "train".

    Args:
        out: the data set to write.
        questions: the files of questions of each split; under "", the split is the file's `data_subtype` without year.
        annotations: for each of them, in the same order, that of its answers; none for a test split.
        genome: `question_answers.json` for the splits that shall have them; their one answer counts as that of all
            ten people, and their example ids begin with "vg-".
        regions: the region stores in which the pictures are looked for.
        options: see `ImportOptions`.

    Raises:
        ValueError: see `write_examples`.
    """
    asked = by_split(questions, _split)
    answered = by_split(annotations, _split_of_annotations(questions, annotations))
    for split in answered:
        if len(answered[split]) != len(asked.get(split, ())):
            raise ValueError(
                f"split {split!r}: {len(asked.get(split, ()))} files of questions and {len(answered[split])} of "
                "annotations: give as many of each, in the same order, or none"
            )
    further = by_split(genome, lambda path: "train")
    splits = {
        split: _drafts(asked.get(split, []), answered.get(split, []), further.get(split, []))
        for split in dict.fromkeys([*asked, *further])
    }
    plan = Plan(
        task="vqa",
        name="vqa",
        label="answers",
        source="VQA v2 (Goyal et al., CVPR 2017)",
        splits=splits,
        layers=[regions],
    )
    return write_examples(out, plan, options or ImportOptions())


# ---------------------------------------------------------------------------------------------------------------------


def _split(path: Path) -> str:
    """The split that a file of questions says it is."""
    collection = read_vqa_questions(path).collection
    if not collection:
        raise ValueError(f"{path} does not say its data_subtype: name the split, as in train={path.name}")
    return collection.rstrip("0123456789")


def _split_of_annotations(questions: Files, annotations: Files) -> Callable[[Path], str]:
    """Files under "" go with the questions under "", one with one."""
    paths = [Path(path) for path in annotations.get("", ())]
    partners = [Path(path) for path in questions.get("", ())]
    if len(paths) > len(partners):
        raise ValueError(
            f"{len(partners)} files of questions and {len(paths)} of annotations have no split of their own: give the "
            "annotations of each file of questions in the same order"
        )
    return lambda path: _split(partners[paths.index(path)])


def _drafts(
    questions: Sequence[Path], annotations: Sequence[Path], genome: Sequence[Path]
) -> Callable[[], Iterator[Draft]]:
    def drafts() -> Iterator[Draft]:
        for number, path in enumerate(questions):
            yield from map(_draft, read_vqa(path, annotations[number] if annotations else None))
        for path in genome:
            yield from map(_genome_draft, read_genome_questions(path))

    return drafts


def _draft(record: VqaRecord) -> Draft:
    return Draft(
        id=str(record.question_id),
        source=record.source,
        texts=(record.question,),
        images=(coco_image(record.image_id, record.collection),),
        annotation=vqa_annotation(record),
    )


def _genome_draft(record: GenomeQuestion) -> Draft:
    return Draft(
        id=f"vg-{record.qa_id}",
        source=record.source,
        texts=(record.question,),
        images=(genome_image(record.image_id),),
        annotation={
            "question_id": record.qa_id,
            "question": record.question,
            "question_type": "visual genome",
            "answer_type": "other",
            "answers": [record.answer] * PEOPLE,
        },
    )
