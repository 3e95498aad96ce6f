"""Where a run's data come from: `--data` arguments, generated scenes, and whether sets and model fit together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uniter_cli.errors import UsageError
from uniter_cli.example_pairs import ExamplePairs
from uniter_cli.nearest import nearest
from uniter_cli.pair_source import PairSource
from uniter_cli.recipe import DataRecipe
from uniter_core import UniterConfig, Vocabulary
from uniter_data import PairDataset, dataset_splits
from uniter_data.examples import holds_examples, task_splits
from uniter_data.scenes import PAIR_DATA, ensure_scenes
from uniter_data.scenes.annotations import TASK_DATA, ensure_task_data
from uniter_data.splits import check_leaks

__all__ = ["Sources", "check_fit", "locate", "open_sources", "parse_data_arguments"]

SCENES = "scenes:"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The opened splits of every data set of a run, by its name in the recipe; a set may lack `val` or `test`.

    Attributes:
        train, val, test: by name.
        notes: what a person should know of them, a line each.
    """

    train: dict[str, PairSource] = field(default_factory=dict)
    val: dict[str, PairSource] = field(default_factory=dict)
    test: dict[str, PairSource] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def named(self) -> list[tuple[str, PairSource]]:
        """Every split with the name of its data set."""
        return [*self.train.items(), *self.val.items(), *self.test.items()]

    @property
    def any(self) -> PairSource:
        """One of the training sets: they agree in vocabulary, feature width and classes."""
        return next(iter(self.train.values()))

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return max(int(split.text_lengths.max()) for _, split in self.named)

    @property
    def type_sources(self) -> tuple[int, ...]:
        """For every row of the type table that is needed beyond the usual two, where it starts from; see `widen`."""
        needed = (split.type_sources for _, split in self.named if isinstance(split, ExamplePairs))
        return max(needed, key=len, default=())


def parse_data_arguments(arguments: Iterable[str], known: Mapping[str, DataRecipe]) -> dict[str, DataRecipe]:
    """Data sets from `--data PATH[,weight=2][,train=SPLIT][,val=SPLIT][,test=SPLIT]`, named by their last path part.

    A set whose name the recipe has (`known`) keeps what the recipe says of it, but for its path and the options given.

    Raises:
        UsageError: an option after the comma is unknown, or a weight is not a positive number.
    """
    found: dict[str, DataRecipe] = {}
    for argument in arguments:
        path, *options = argument.split(",")
        values: dict[str, Any] = {}
        for option in options:
            key, _, value = option.partition("=")
            if key not in ("weight", "train", "val", "test") or not value:
                raise UsageError(f"--data {argument}: {option!r} is not one of weight=, train=, val=, test=")
            values[key] = value
        if "weight" in values:
            values["weight"] = _weight(values["weight"], argument)
        name = path.removeprefix(SCENES).rstrip("/").rsplit("/", 1)[-1]
        while name in found:
            name += "+"
        found[name] = replace(known.get(name, DataRecipe(path=path)), path=path, **values)
    return found


def open_sources(
    data: Mapping[str, DataRecipe],
    *,
    allow_leaks: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Sources:
    """Open every data set's splits, generating scenes where one is asked for, and check that they fit together.

    Args:
        data: the data sets by name.
        allow_leaks: train also on what an audit says to hold pictures of evaluation splits.
        progress: called while scenes are generated.

    Raises:
        UsageError: two sets differ in vocabulary, feature width or classes, or there is nothing to train on in one.
        ValueError, OSError: a store is missing, foreign or damaged, or leaks; the message names it.
    """
    sources = Sources()
    for name, recipe in data.items():
        directory = locate(recipe.path, progress)
        if not recipe.path.startswith(SCENES):  # those are drawn, no evaluation split can have them
            sources.notes.extend(check_leaks(directory, recipe.train, allow=allow_leaks))
        of_a_task = holds_examples(directory)
        splits = (task_splits if of_a_task else dataset_splits)(directory)
        for role, split in (("train", recipe.train), ("val", recipe.val), ("test", recipe.test)):
            default = getattr(DataRecipe(path=""), role)
            if role == "train" or split in splits or split != default:
                if of_a_task:
                    _open_examples(sources, name, role, directory, split)
                else:
                    getattr(sources, role)[name] = PairDataset.open(directory, split)
    _check_agreement(sources.named)
    return sources


def locate(path: str, progress: Callable[[str, int, int], None] | None = None) -> str:
    """The directory or URL of a data set; `scenes:NAME` is generated into the cache directory on first use.

    Raises:
        UsageError: no data set of that name is generated.
    """
    if not path.startswith(SCENES):
        return path if "://" in path else str(Path(path).expanduser())
    name = path.removeprefix(SCENES)
    if name in PAIR_DATA:
        return str(ensure_scenes(progress=progress) / name)
    known = ["refexp", *TASK_DATA]  # the first is short for one of the others
    if name not in known:
        raise UsageError(f"{path}: {nearest(name, [*PAIR_DATA, *known])}")
    return str(ensure_task_data(name, progress=progress))


def check_fit(config: UniterConfig, vocabulary: Vocabulary | None, dataset: PairSource, *, origin: str) -> None:
    """Refuse a checkpoint that does not fit the data.

    Raises:
        UsageError: feature width, class count or vocabulary differ; the message names both sides.
    """
    pairs = (
        ("region features", config.region_dim, dataset.region_dim, "values wide"),
        ("soft labels", config.num_classes, dataset.num_classes or config.num_classes, "classes"),
        ("vocabulary", config.vocab_size, dataset.vocabulary.size, "entries"),
    )
    for what, of_model, of_data, unit in pairs:
        if of_model != of_data:
            raise UsageError(
                f"{origin} expects {what} of {of_model} {unit}, {dataset.name} has {of_data}: "
                "choose a checkpoint made for such data, or write the store anew to match"
            )
    if vocabulary and vocabulary.digest and vocabulary.digest != dataset.vocabulary.digest:
        raise UsageError(
            f"{origin} and {dataset.name} have vocabularies of equal size but other words: "
            "import the texts again with the checkpoint's tokenizer.json"
        )


# ---------------------------------------------------------------------------------------------------------------------


def _open_examples(sources: Sources, name: str, role: str, directory: str, split: str) -> None:
    """Add a split of a task's data set to the sources: its labelled examples, if it has any."""
    pairs = ExamplePairs.open(directory, split)
    unlabelled = len(pairs.dataset) - len(pairs)
    if unlabelled:
        sources.notes.append(
            f"{name} ({split}): {unlabelled:,} of {len(pairs.dataset):,} examples have no label and are left out"
        )
    if len(pairs):
        getattr(sources, role)[name] = pairs
    elif role == "train":
        raise UsageError(f"{directory}: no example of {split} has a label, and pre-training shows the true choices")


def _weight(text: str, argument: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise UsageError(f"--data {argument}: weight must be a positive number")
    return weight


def _check_agreement(named: list[tuple[str, PairSource]]) -> None:
    first_name, first = named[0]
    for name, dataset in named[1:]:
        for what, ours, theirs in (
            ("region feature width", first.region_dim, dataset.region_dim),
            ("class count", first.num_classes, dataset.num_classes),
            ("vocabulary", first.vocabulary.digest, dataset.vocabulary.digest),
        ):
            if ours != theirs:
                raise UsageError(
                    f"data sets {first_name!r} and {name!r} ({dataset.split}) differ in {what} ({ours} and {theirs}): "
                    "they cannot be mixed in one run"
                )
