"""Records as the annotations of examples, plain JSON values; read from official files where no data set is at hand."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uniter_data.annotations.formats import describe
from uniter_data.annotations.nlvr2 import Nlvr2Record, read_nlvr2
from uniter_data.annotations.refcoco import Expression, read_refcoco
from uniter_data.annotations.snli_ve import SnliVeRecord, read_snli_ve
from uniter_data.annotations.vcr import VcrRecord, object_words, read_vcr
from uniter_data.annotations.vqa import VqaRecord, read_vqa_annotations, read_vqa_questions

__all__ = [
    "annotation_records",
    "nlvr2_annotation",
    "refexp_annotation",
    "snli_ve_annotation",
    "vcr_annotation",
    "vqa_annotation",
]

Annotation = dict[str, Any]


def annotation_records(task: str, paths: Iterable[str | Path], *, split: str = "") -> list[Annotation]:
    """The annotations of every example in files as their owners publish them, one file after another.

    What the annotators of SNLI-VE did not agree on is left out, as the importer does. Without a store of regions, an
    annotation of refexp does not know its `target`.

    Args:
        task: vqa (`v2_mscoco_…_annotations.json`; questions alone, or beside them), vcr, nlvr2, snli-ve, or refexp
            (`refs(unc).p`; its `instances.json` is looked for beside it if it is not among the paths).
        paths: of the files.
        split: of refexp, whose file holds all splits; empty = the whole file.

    Raises:
        ValueError: there is no such task, no file, or no such split; a file is of another format or version; a record
            is wrong or doubled; the message names file and record.
        FileNotFoundError: a file is missing.
    """
    if task not in READERS:
        raise ValueError(f"task: expected one of {', '.join(READERS)}, got {task!r}")
    files = [Path(path) for path in paths]
    if not files:
        raise ValueError("paths: expected at least one annotation file, got none")
    records = list(READERS[task](files, split))
    if not records:
        raise ValueError(f"{', '.join(map(str, files))}: no example" + (f" of split {split!r}" if split else ""))
    return records


def vqa_annotation(record: VqaRecord) -> Annotation:
    """`question_id`, `question`, `question_type`, `answer_type`, and `answers` where they are known."""
    return {
        "question_id": record.question_id,
        "question": record.question,
        "question_type": record.question_type,
        "answer_type": record.answer_type,
        **({} if record.answers is None else {"answers": list(record.answers)}),
    }


def nlvr2_annotation(record: Nlvr2Record) -> Annotation:
    """`identifier`, `sentence`, `label` where it is known, `synset`."""
    return {
        "identifier": record.identifier,
        "sentence": record.sentence,
        **({} if record.label is None else {"label": record.label}),
        "synset": record.synset,
    }


def snli_ve_annotation(record: SnliVeRecord) -> Annotation:
    """`pair_id`, `sentence`, and `label` where it is known."""
    label = {} if record.label is None else {"label": record.label}
    return {"pair_id": record.pair_id, "sentence": record.hypothesis, **label}


def vcr_annotation(record: VcrRecord, words: Sequence[str]) -> Annotation:
    """`annot_id`, `answer_label` and `rationale_label` where they are known, `people`: how each object is written."""
    labels = {"answer_label": record.answer_label, "rationale_label": record.rationale_label}
    known = {name: label for name, label in labels.items() if label is not None}
    return {"annot_id": record.annot_id, **known, "people": list(words)}


def refexp_annotation(record: Expression) -> Annotation:
    """`sent_id`, `ref_id`, `expression`, `box`, `size`, `category`; the importer adds which region it is."""
    return {
        "sent_id": record.sent_id,
        "ref_id": record.ref_id,
        "expression": record.sentence,
        "box": list(record.box),
        "size": list(record.size),
        "category": record.category,
    }


# ---------------------------------------------------------------------------------------------------------------------


def _vqa(files: Sequence[Path], split: str) -> Iterator[Annotation]:
    """Scores need the annotations alone; questions, where they are given, say what was asked."""
    questions = [path for path in files if describe(path) == "VQA questions"]
    asked = {number: known for path in questions for number, known in read_vqa_questions(path).asked.items()}
    annotated = [path for path in files if path not in questions]
    if not annotated:
        for path in questions:
            found = read_vqa_questions(path)
            yield from (vqa_annotation(found.record(number)) for number in found.asked)
    for path in annotated:
        for record in read_vqa_annotations(path):
            question, _ = asked.get(record.question_id, ("", 0))
            yield vqa_annotation(record) | {"question": question}


def _vcr(files: Sequence[Path], split: str) -> Iterator[Annotation]:
    for path in files:
        yield from (vcr_annotation(record, object_words(record.objects, "names")) for record in read_vcr(path))


def _nlvr2(files: Sequence[Path], split: str) -> Iterator[Annotation]:
    for path in files:
        yield from map(nlvr2_annotation, read_nlvr2(path))


def _snli_ve(files: Sequence[Path], split: str) -> Iterator[Annotation]:
    for path in files:
        yield from (snli_ve_annotation(record) for record in read_snli_ve(path) if not record.undecided)


def _refexp(files: Sequence[Path], split: str) -> Iterator[Annotation]:
    instances = [path for path in files if path.suffix == ".json"]
    references = [path for path in files if path.suffix != ".json"]
    if len(references) != 1 or len(instances) > 1:
        raise ValueError(
            f"expected one file of references, such as refs(unc).p, and its instances.json, got "
            f"{', '.join(map(str, files))}"
        )
    (refs,) = references
    found = read_refcoco(refs, *(instances or [refs.with_name("instances.json")]))
    yield from (refexp_annotation(record) for record in found if split in ("", record.split))


READERS: Mapping[str, Callable[[Sequence[Path], str], Iterator[Annotation]]] = {
    "vqa": _vqa,
    "vcr": _vcr,
    "nlvr2": _nlvr2,
    "snli-ve": _snli_ve,
    "refexp": _refexp,
}
