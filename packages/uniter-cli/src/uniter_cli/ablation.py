"""What pre-training is worth: every task fine-tuned from fresh weights and from a pre-trained model."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uniter_cli.display import console
from uniter_cli.errors import UsageError
from uniter_cli.finetuning import finetune
from uniter_cli.nearest import nearest
from uniter_cli.pretraining import pretrain
from uniter_cli.recipe import Recipe
from uniter_cli.recipe_files import load_recipe, override
from uniter_cli.run_directory import RunDirectory
from uniter_cli.summary import RunResult

__all__ = [
    "ORIGINS",
    "SUBJECTS",
    "Run",
    "Subject",
    "choose_subjects",
    "complete",
    "pretrained_model",
    "runs_of",
]

ORIGINS = ("scratch", "pretrained")
SCRATCH_RATE = 2.0  # times the recipe's learning rate: fresh weights want larger steps than pre-trained ones


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A task in one of its settings: a few lines of the table.

    Attributes:
        name: of its lines and folder.
        task: whose quickstart recipe it follows.
        changes: what differs from that recipe, by dotted key.
        metrics: of its lines, as the scorer names them.
    """

    name: str
    task: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ("accuracy",)


def _nlvr2(setting: str, **changes: Any) -> Subject:
    return Subject(name=f"nlvr2-{setting}", task="nlvr2", changes={"task.setting": setting, **changes})


SUBJECTS = (
    Subject(name="vqa", task="vqa"),
    Subject(name="snli-ve", task="snli-ve"),
    # A triplet shows its text once, a pair twice: with fewer units, a step of either has as many examples.
    _nlvr2("triplet", **{"batch.units": 1040}),
    _nlvr2("pair"),
    _nlvr2("pair-biattn"),
    Subject(name="vcr", task="vcr", metrics=("q_a", "qa_r", "q_ar")),
    Subject(name="refexp-1500", task="refexp", changes={"task.examples": 1500}),
    Subject(name="refexp", task="refexp"),
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One of the runs.

    Attributes:
        subject: what is learned.
        origin: "scratch" or "pretrained".
        seed: of everything random but the pre-training.
        recipe: which follows from these.
        path: its directory.
    """

    subject: Subject
    origin: str
    seed: int
    recipe: Recipe
    path: Path


def choose_subjects(names: str | None) -> tuple[Subject, ...]:
    """Those that are named, as subjects or as tasks, separated by commas; all without names.

    Raises:
        UsageError: there is none of that name.

    >>> [subject.name for subject in choose_subjects("nlvr2,vqa")]
    ['vqa', 'nlvr2-triplet', 'nlvr2-pair', 'nlvr2-pair-biattn']
    """
    if names is None:
        return SUBJECTS
    wanted = {name.strip() for name in names.split(",")}
    known = {name for subject in SUBJECTS for name in (subject.name, subject.task)}
    for name in sorted(wanted - known):
        raise UsageError(f"--tasks {name}: {nearest(name, known)}")
    return tuple(subject for subject in SUBJECTS if wanted & {subject.name, subject.task})


def runs_of(
    subjects: Sequence[Subject], out: Path, *, init: str, seeds: Iterable[int], steps: int | None = None
) -> Iterator[Run]:
    """Every run, one seed of all before the next: whoever stops early has a whole table of fewer seeds.

    Args:
        subjects: what is learned.
        out: each run has `out/SUBJECT/ORIGIN-SEED`.
        init: the pre-trained model.
        seeds: one run each.
        steps: of a run; None = the recipe's.
    """
    for seed in seeds:
        for subject in subjects:
            recipe = load_recipe(f"{subject.task}-quickstart")
            changes = {**subject.changes, "seed": seed, "steps": steps or recipe.steps}
            of_origin: dict[str, dict[str, Any]] = {
                "scratch": {"optimizer.lr": SCRATCH_RATE * recipe.optimizer.lr},
                "pretrained": {"model.init": init},
            }
            for origin in ORIGINS:
                yield Run(
                    subject=subject,
                    origin=origin,
                    seed=seed,
                    recipe=override(recipe, changes | of_origin[origin]),
                    path=out / subject.name / f"{origin}-{seed}",
                )


def complete(run: Run) -> dict[str, Any]:
    """What the run measured; it is trained if it was not, from its last checkpoint if it was stopped.

    Raises:
        UsageError: its directory holds a run by another recipe.
    """
    directory = RunDirectory(run.path)
    if directory.recipe.is_file():
        found = directory.resume()
        if found != run.recipe:
            raise UsageError(
                f"{run.path} holds a run with another {_difference(found, run.recipe)}: choose another --out"
            )
    return _finished(directory, run.recipe, finetune)


def pretrained_model(init: str | None, out: Path) -> str:
    """The model folder to start from: that of `init`, or of the quickstart's run in `out`, trained if it was not.

    A folder is made absolute, so that the recipes of the runs do not depend on where the command is called.
    """
    if init is None:
        directory = RunDirectory(out)
        known = directory.recipe.is_file()
        _finished(directory, directory.resume() if known else load_recipe("quickstart"), pretrain)
        return str(directory.model.resolve())
    directory = RunDirectory(Path(init).expanduser())
    if directory.recipe.is_file() and not directory.model.is_dir():
        raise UsageError(f"--init {init}: the run is not finished: go on with uniter pretrain --resume {init}")
    folder = directory.model if directory.recipe.is_file() else directory.path
    return str(folder.resolve()) if folder.is_dir() else init


# ---------------------------------------------------------------------------------------------------------------------


def _finished(directory: RunDirectory, recipe: Recipe, train: Callable[..., RunResult]) -> dict[str, Any]:
    """The results of a run, trained to its end where there are none."""
    if not directory.results.is_file():
        resume = directory.recipe.is_file()
        console.print(f"{'going on with' if resume else 'starting'} {directory.path}", highlight=False)
        train(recipe, directory.path, resume=resume)
    results: dict[str, Any] = json.loads(directory.results.read_text())
    return results


def _difference(found: Recipe, expected: Recipe) -> str:
    """The first value in which two recipes differ: `steps (700, not 2)`."""
    ours, theirs = dict(_flat(asdict(expected))), dict(_flat(asdict(found)))
    key = next(key for key in [*ours, *theirs] if ours.get(key) != theirs.get(key))
    return f"{key} ({theirs.get(key)!r}, not {ours.get(key)!r})"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
