"""Imports the text databases that were released with UNITER: captions as pairs, those of tasks as examples."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from uniter_data.annotations.json_stream import read_members
from uniter_data.examples.draft import Draft, ImportOptions, ImportReport
from uniter_data.examples.import_refcoco import BOXES, with_target
from uniter_data.examples.importing import Plan, write_examples
from uniter_data.examples.splits import Files, by_split
from uniter_data.importers.texts.captions import CaptionOptions, CaptionReport
from uniter_data.importers.texts.damage import Damages, list_damages
from uniter_data.importers.texts.importing import digests
from uniter_data.importers.texts.uniter.captions import Splits, import_caption_databases
from uniter_data.importers.texts.uniter.database import TextDatabase
from uniter_data.importers.texts.uniter.kinds import CAPTIONS, PROBE, TASKS, split_of_database, task_of
from uniter_data.importers.texts.uniter.refexp import SIDE_FILES, refexp_drafts
from uniter_data.importers.texts.uniter.tasks import nlvr2_drafts, snli_ve_drafts, vcr_drafts, vqa_drafts
from uniter_data.importers.texts.uniter.vocabulary import fitting_tokenizer
from uniter_data.tokenizer import Tokenizer

__all__ = ["import_uniter_texts"]

MakeDrafts = Callable[[TextDatabase, Tokenizer, Damages], Iterator[Draft]]

JOINT = 220  # word pieces of a VCR question, an answer and a rationale, as released
LABELS = {"vqa": "answers", "snli-ve": "label", "nlvr2": "label", "refexp": "box", "vcr": "answer_label"}
DAMAGED = "its record is damaged"


def import_uniter_texts(
    out: str | Path,
    *,
    files: Files,
    task: str = "",
    answers: str | Path | None = None,
    objects: Sequence[str | Path] = (),
    boxes: str = "ground-truth",
    options: CaptionOptions | None = None,
) -> CaptionReport | ImportReport:
    """Import released text databases. Word pieces are kept as they are, in the order of `id2len.json`.

    Args:
        out: the data set to write: of pairs for captions, for `PairDataset`; else of a task's examples.
        files: folders of databases of each split; under "", the folder's name says it.
        task: one of `TASKS`; empty: the databases say it.
        answers: of vqa: `ans2label.json`, number by answer.
        objects: of vcr: region stores of the annotated objects, whose regions stand before the others.
        boxes: of refexp: "ground-truth" if the regions are the objects' own boxes, or "detected".
        options: `tokenizer` must be the BERT vocabulary that the databases were made with. What is longer than
            `max_tokens`, by default 60, is dropped and counted, as released: refexp drops what is as long, vcr what
            has more than 220 in question, answer and rationale.

    Raises:
        ValueError: the databases are of several tasks, or an option is missing or belongs to another task; and see
            `import_captions` and `write_examples`.
    """
    options = options or CaptionOptions()
    splits = {
        split: [TextDatabase(path) for path in paths] for split, paths in by_split(files, split_of_database).items()
    }
    databases = [database for of_split in splits.values() for database in of_split]
    task = _agreed(databases, task)
    tokenizer = fitting_tokenizer(databases, options.tokenizer, added=task == "vcr")
    options = replace(options, tokenizer=tokenizer)
    if task == CAPTIONS:
        return import_caption_databases(out, splits, Path(out).name, tokenizer, options)
    if options.val_share:
        raise ValueError("val_share: the databases of a task have splits of their own: leave --val-share out")
    make = _maker(task, databases, options, answers, boxes)
    side_files = {"refexp": ("id2len.json", *SIDE_FILES), "vcr": ("id2len_qar.json",)}.get(task, ("id2len.json",))
    drafts = _Drafts(splits, make, tokenizer, skip=options.skip_damaged)
    plan = Plan(
        task=task,
        name=databases[0].name.partition("_")[0] if task == "refexp" else task,
        label=LABELS[task],
        source="released with UNITER (Chen et al., ECCV 2020): " + ", ".join(d.folder.name for d in databases),
        splits={split: partial(drafts.of, split) for split in splits},
        layers=[objects, options.regions] if objects else [options.regions],
        settings={"boxes": boxes} if task == "refexp" else {},
        attributes={"source": digests([path for database in databases for path in database.files(*side_files)])},
    )
    if task == "refexp":
        plan = replace(plan, finish=partial(with_target, boxes=boxes))
    report = write_examples(out, plan, _example_options(task, options))
    return drafts.completed(report)


# ---------------------------------------------------------------------------------------------------------------------


class _Drafts:
    """The drafts of every split, read as often as they are asked for, and what was wrong in the last reading."""

    def __init__(self, splits: Splits, make: MakeDrafts, tokenizer: Tokenizer, *, skip: bool) -> None:
        self._splits = splits
        self._make = make
        self._tokenizer = tokenizer
        self._skip = skip
        self._damages: dict[str, Damages] = {}

    def of(self, split: str) -> Iterator[Draft]:
        damages = self._damages[split] = Damages(skip=self._skip)
        for database in self._splits[split]:
            yield from self._make(database, self._tokenizer, damages)

    def completed(self, report: ImportReport) -> ImportReport:
        """The report with the damaged records, which are listed beside the data set's splits."""
        problems = [problem for damages in self._damages.values() for problem in damages.problems]
        list_damages(report.directory, problems)
        for split, damages in self._damages.items():
            if damages.problems:
                report.splits[split].left_out[DAMAGED] = len(damages.problems)
        return report


def _agreed(databases: Sequence[TextDatabase], task: str) -> str:
    """The task of all databases."""
    if task and task not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    found = {task or task_of(database): database for database in databases}
    if len(found) != 1:
        shown = ", ".join(f"{database.folder} of {name}" for name, database in found.items())
        raise ValueError(f"files: expected databases of one task, got {shown or 'none'}: import each task on its own")
    return next(iter(found))


def _maker(
    task: str,
    databases: Sequence[TextDatabase],
    options: CaptionOptions,
    answers: str | Path | None,
    boxes: str,
) -> MakeDrafts:
    """What makes drafts of a database of the task."""
    if answers is not None and task != "vqa":
        raise ValueError(f"answers: the data are of {task}, only those of vqa have answers: leave --answers out")
    if task == "vqa":
        return partial(vqa_drafts, answers=_answers(databases, answers))
    if task == "refexp":
        if boxes not in BOXES:
            raise ValueError(f"boxes: expected one of {', '.join(BOXES)}, got {boxes!r}")
        return partial(refexp_drafts, boxes=boxes)
    if task == "vcr":
        limit = None if options.truncate else _limit(task, options)
        return partial(vcr_drafts, limit=limit)
    return snli_ve_drafts if task == "snli-ve" else nlvr2_drafts


def _answers(databases: Sequence[TextDatabase], path: str | Path | None) -> list[str]:
    """The classes of vqa in the order of their numbers; none are needed where there are no targets."""
    if path is None:
        if any("target" in fields.raw for database in databases for fields in database.sample(PROBE)):
            raise ValueError(
                "answers: the targets are numbers of answers: give ans2label.json of the released code with --answers"
            )
        return []
    numbers = {answer: number for answer, index, number in read_members(Path(path)) if index is None}
    if sorted(map(repr, numbers.values())) != sorted(map(repr, range(len(numbers)))):
        raise ValueError(f"{path}: expected {{answer: number}} with the numbers from 0 on: give ans2label.json")
    return sorted(numbers, key=numbers.__getitem__)


def _limit(task: str, options: CaptionOptions) -> int:
    if options.max_tokens is None and task == "vcr":
        return JOINT
    # released: an expression is shorter than the limit
    return options.longest - 1 if task == "refexp" else options.longest


def _example_options(task: str, options: CaptionOptions) -> ImportOptions:
    return ImportOptions(
        tokenizer=options.tokenizer,
        max_tokens=_limit(task, options),
        drop_long=not options.truncate,
        skip_missing=options.skip_missing,
        image_name=options.image_name,
        pictures=list(options.pictures.values()),
        progress=options.progress,
    )
