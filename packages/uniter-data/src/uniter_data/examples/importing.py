"""Makes a task's data set of drafts: joins their images with regions, writes texts and examples, publishes by a rename.

Everything is read twice: once to check it and to learn the words, once to write it. So nothing is written of files that
are wrong, and memory does not grow with them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uniter_data.examples.draft import Draft, ImportOptions, ImportReport, SplitReport
from uniter_data.examples.join import Join
from uniter_data.examples.manifest import TaskManifest, TaskSplit, write_task_manifest
from uniter_data.examples.store import ExampleWriter
from uniter_data.stores.publishing import beside, publish, relative_to
from uniter_data.stores.text_writer import TextWriter
from uniter_data.tokenizer import Tokenizer

__all__ = ["NO_REGIONS", "NO_WORDS", "Finish", "Plan", "write_examples"]

NO_REGIONS = "its image has no regions"
NO_WORDS = "a text has no words"
TOO_LONG = "a text is too long"
REPORT_EVERY = 500

# (draft, the names of its images in each layer, the regions) → its complete annotation, or why there is none
Finish = Callable[[Draft, Sequence[tuple[str, ...]], Join], "dict[str, Any] | str"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be imported.

    Attributes:
        task: to which the examples belong.
        name: of the data set.
        label: the field of the annotation that a test set may lack.
        source: where the annotations come from.
        licence: of the annotations.
        splits: the drafts of each, anew at every call.
        layers: of region stores; see `TaskSplit`.
        settings: to note in the manifest.
        attributes: of the text stores.
        finish: completes annotations that need the regions.
    """

    task: str
    name: str
    label: str
    source: str
    licence: str = ""
    splits: Mapping[str, Callable[[], Iterable[Draft]]]
    layers: Sequence[Sequence[str | Path]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    finish: Finish = lambda draft, images, join: draft.annotation


def write_examples(out: str | Path, plan: Plan, options: ImportOptions) -> ImportReport:
    """Import all splits of a plan.

    Raises:
        ValueError: `out` exists, a file or record is wrong, an id comes twice, or an image has no regions and
            `skip_missing` is off; the message names the file and the record. Nothing is written then.
    """
    target = Path(out)
    folder = beside(target)
    if not plan.splits:
        raise ValueError(f"{plan.task}: expected the files of at least one split, got none")
    join = Join(plan.layers, options.image_name)
    surveys = {split: _Survey(split, drafts, plan, join, options) for split, drafts in plan.splits.items()}
    sentences = (text for survey in surveys.values() for draft, _, _ in survey.checked() for text in draft.texts)
    tokenizer = options.tokenizer or Tokenizer.build(sentences)
    for _ in sentences:  # what building a tokenizer has not consumed
        pass
    for survey in surveys.values():
        survey.refuse_missing()
    folder.mkdir(parents=True)
    for survey in surveys.values():
        survey.write(folder / survey.split, tokenizer)
    write_task_manifest(folder, _manifest(plan, options, target, tokenizer), tokenizer)
    publish(target)
    reports = {split: survey.report for split, survey in surveys.items()}
    return ImportReport(directory=target, task=plan.task, splits=reports)


# ---------------------------------------------------------------------------------------------------------------------


def _manifest(plan: Plan, options: ImportOptions, target: Path, tokenizer: Tokenizer) -> TaskManifest:
    layers = tuple(tuple(relative_to(target, store) for store in layer) for layer in plan.layers)
    pictures = tuple(relative_to(target, folder) for folder in options.pictures)
    return TaskManifest(
        task=plan.task,
        name=plan.name,
        source=plan.source,
        licence=plan.licence,
        vocabulary=tokenizer.vocabulary,
        settings={**plan.settings, "max_tokens": options.max_tokens, "drop_long": options.drop_long},
        splits={
            split: TaskSplit(
                examples=f"{split}/examples.zarr", texts=f"{split}/texts.zarr", regions=layers, pictures=pictures
            )
            for split in plan.splits
        },
    )


class _Survey:
    """One split: what its records are, and which of them become examples."""

    def __init__(
        self, split: str, drafts: Callable[[], Iterable[Draft]], plan: Plan, join: Join, options: ImportOptions
    ) -> None:
        self.split = split
        self.report = SplitReport()
        self._drafts = drafts
        self._plan = plan
        self._join = join
        self._options = options
        self._missing = ""  # what the first record lacks
        self._missed = 0
        self._total = 0

    def checked(self) -> Iterator[tuple[Draft, list[tuple[str, ...]], dict[str, Any]]]:
        """The records that become examples, with their images' names and their annotations; counts the others."""
        self.report = SplitReport()
        self._missed = 0
        seen: set[str] = set()
        count = 0
        for count, draft in enumerate(self._drafts(), start=1):
            if count % REPORT_EVERY == 0:
                self._options.progress(f"reading {self.split}", count, max(count, self._total))
            if draft.id in seen:
                raise ValueError(
                    f"{draft.source}: {draft.id!r} comes twice in split {self.split!r}: remove one of the two"
                )
            seen.add(draft.id)
            names = [self._join.names(image) for image in draft.images]
            outcome = draft.unwanted or self._judge(draft, names)
            if isinstance(outcome, str):
                self.report.left_out[outcome] = self.report.left_out.get(outcome, 0) + 1
            else:
                self.report.examples += 1
                yield draft, names, outcome
        self._total = count

    def refuse_missing(self) -> None:
        """Refuse the split where something is missing that may not be, or nothing is left.

        Raises:
            ValueError: naming the first such record.
        """
        if self._missing and not self._options.skip_missing:
            raise ValueError(f"{self._missing} ({self._missed} such records in split {self.split!r})")
        if not self.report.examples:
            raise ValueError(
                f"split {self.split!r}: none of {self._total} records is left"
                + (f", the first: {self._missing}" if self._missing else "")
            )

    def write(self, folder: Path, tokenizer: Tokenizer) -> None:
        """Write the split's texts and examples."""
        options, layers = self._options, len(self._join.layers)
        with (
            TextWriter(
                folder / "texts.zarr",
                tokenizer=tokenizer,
                max_tokens=options.max_tokens,
                truncate=True,
                attributes=self._plan.attributes,
            ) as texts,
            ExampleWriter(
                folder / "examples.zarr", task=self._plan.task, layers=layers, label=self._plan.label
            ) as examples,
        ):
            images: set[tuple[str, ...]] = set()
            row = dropped = 0
            for draft, names, annotation in self.checked():
                if options.drop_long and self._too_long(draft, tokenizer):
                    dropped += 1
                    continue
                own = [(image.stem, *name) for image, name in zip(draft.images, names, strict=True)]
                for number, sentence in enumerate(draft.texts):
                    text_id = draft.id if len(draft.texts) == 1 else f"{draft.id}/{number}"
                    if draft.pieces:
                        texts.append_pieces(text_id, draft.pieces[number], own[0][-1], sentence=sentence)
                    else:
                        texts.append(text_id, sentence, own[0][-1])
                examples.append(draft.id, annotation, texts=range(row, row + len(draft.texts)), images=own)
                row += len(draft.texts)
                images.update(own)
            texts.publish()
            examples.finish()
        self.report.images = len(images)
        self.report.truncated = texts.truncated
        if dropped:
            self.report.examples -= dropped
            self.report.left_out[TOO_LONG] = dropped
        if not self.report.examples:
            raise ValueError(f"split {self.split!r}: every text is longer than {options.max_tokens} word pieces")

    def _judge(self, draft: Draft, names: Sequence[tuple[str, ...]]) -> dict[str, Any] | str:
        """The record's annotation, or why it is no example."""
        bare = next((image for image, name in zip(draft.images, names, strict=True) if not name), None)
        if bare is not None:
            return self._miss(
                draft, NO_REGIONS, f"image {bare.stem!r} has no regions in {self._join.location}: extract them"
            )
        if not all(text.strip() for text in draft.texts):
            return self._miss(draft, NO_WORDS, f"{NO_WORDS}: mend the record")
        outcome = self._plan.finish(draft, names, self._join)
        return self._miss(draft, outcome, outcome) if isinstance(outcome, str) else outcome

    def _miss(self, draft: Draft, reason: str, problem: str) -> str:
        if not self._missing:
            self._missing = f"{draft.source}: {problem}, or leave such records out with --skip-missing"
        self._missed += 1
        return reason

    def _too_long(self, draft: Draft, tokenizer: Tokenizer) -> bool:
        pieces = draft.pieces or [tokenizer.encode(text).ids for text in draft.texts]
        return any(len(ids) > self._options.max_tokens for ids in pieces)
