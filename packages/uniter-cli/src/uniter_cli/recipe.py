"""Recipes: what a run does, as one frozen value read from TOML, overridden by the command line, written beside the run.

A key that no recipe has is an error that names the nearest one that exists.
"""

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w

from uniter_cli.errors import UsageError

__all__ = [
    "BatchRecipe",
    "DataRecipe",
    "MaskingRecipe",
    "ModelRecipe",
    "OptimizerRecipe",
    "Recipe",
    "SaveRecipe",
    "StageRecipe",
    "ValidationRecipe",
    "load_recipe",
    "override",
    "shipped_recipes",
    "to_toml",
]


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The encoder: a preset, fields of `UniterConfig` that differ from it, and a checkpoint to start from."""

    preset: str = "tiny"
    init: str = ""  # a model folder or hub id; empty = fresh weights
    attention: str = "auto"
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """One data set: a directory or URL, or `scenes:NAME` for a generated one."""

    path: str
    weight: float = 1.0
    tasks: dict[str, float] = field(
        default_factory=dict
    )  # weights that differ from the recipe's here; 0 = not on this set
    train: str = "train"
    val: str = "val"
    test: str = "test"


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """From the previous stage's end to `until` (a fraction of all steps) train on these data sets, by weight."""

    until: float = 1.0
    data: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BatchRecipe:
    """Batches in real input units (words + regions): paper A.2 counts padded ones."""

    units: int = 1024  # of one optimiser step, over all processes and accumulated parts
    accumulation: int = 1  # parts a process runs one after another in a step
    workers: int = 0  # loader processes of each process; the numbers of the run do not depend on it


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """AdamW with linear warm-up and linear decay to zero."""

    lr: float = 5e-5
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.01
    decayed: str = "matrices"  # "matrices": Linear and Embedding weights; "released": by name, as in 2020
    warmup: float = 0.1  # a fraction of the steps
    clip: float = 5.0  # global gradient norm; 0 = no clipping


@dataclass(frozen=True, kw_only=True)
class MaskingRecipe:
    """How units are corrupted, and how pairs are mismatched (paper, section 3.2)."""

    masking: str = "conditional"
    word_probability: float = 0.15
    region_probability: float = 0.15
    mismatch_probability: float = 0.5
    wra_weight: float = 0.1


@dataclass(frozen=True, kw_only=True)
class ValidationRecipe:
    """How often the validation split is measured, and on how much of it."""

    every: int = 1000  # steps; 0 = only before and after
    pairs: int = 2000  # a data set and objective; 0 = all
    units: int = 4096  # a batch


@dataclass(frozen=True, kw_only=True)
class SaveRecipe:
    """Checkpoints and the log."""

    every: int = 1000  # steps between checkpoints
    keep: int = 2
    log_every: int = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run's numbers, with the data."""

    name: str
    description: str = ""
    source: str = ""  # where the values come from
    seed: int = 1
    steps: int = 1000
    precision: str = "fp32"  # fp32, bf16 or fp16
    tasks: dict[str, float] = field(default_factory=dict)  # objective → weight in the mixture
    bars: dict[str, float] = field(default_factory=dict)  # metric of the test table → least value expected
    model: ModelRecipe = ModelRecipe()
    data: dict[str, DataRecipe] = field(default_factory=dict)
    stages: tuple[StageRecipe, ...] = ()
    batch: BatchRecipe = BatchRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    masking: MaskingRecipe = MaskingRecipe()
    validation: ValidationRecipe = ValidationRecipe()
    save: SaveRecipe = SaveRecipe()

    def __post_init__(self) -> None:
        _check(self)


def shipped_recipes() -> dict[str, Path]:
    """Names and files of the recipes in this package."""
    folder = Path(str(resources.files("uniter_cli") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_recipe(name_or_file: str) -> Recipe:
    """Read a shipped recipe by name, or any recipe file.

    Raises:
        UsageError: there is no such recipe, or a key in it is unknown or of the wrong type.
    """
    shipped = shipped_recipes()
    path = shipped.get(name_or_file, Path(name_or_file))
    if not path.is_file():
        raise UsageError(f"no recipe {name_or_file!r}: {_nearest(name_or_file, shipped)}, or name a TOML file")
    try:
        values = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file: {error}") from error
    built: Recipe = _build(Recipe, {"name": path.stem} | values, str(path))
    return built


def override(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with some values replaced, keys dotted as in `optimizer.lr`.

    A string value is read as TOML where it can be (`2e-4`, `[0.9, 0.98]`, `true`) and kept as it is elsewhere.

    Raises:
        UsageError: a key is unknown or a value has the wrong type.
    """
    values: dict[str, Any] = dataclasses.asdict(recipe)
    for key, value in settings.items():
        *parents, last = key.split(".")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {key}: {parent!r} is not a table")
        place[last] = _toml_value(value) if isinstance(value, str) else value
    built: Recipe = _build(Recipe, values, "--set")
    return built


def to_toml(recipe: Recipe) -> str:
    """The recipe as TOML that `load_recipe` reads back to an equal value."""
    return tomli_w.dumps(dataclasses.asdict(recipe))


# ---------------------------------------------------------------------------------------------------------------------


def _check(recipe: Recipe) -> None:
    wrong = {
        "steps": recipe.steps < 1,
        "precision": recipe.precision not in ("fp32", "bf16", "fp16"),
        "optimizer.decayed": recipe.optimizer.decayed not in ("matrices", "released"),
        "optimizer.warmup": not 0 <= recipe.optimizer.warmup <= 1,
        "optimizer.lr": recipe.optimizer.lr <= 0,
        "batch.units": recipe.batch.units < 2,
        "batch.accumulation": recipe.batch.accumulation < 1,
        "batch.workers": recipe.batch.workers < 0,
        "validation.every": recipe.validation.every < 0,
        "save.every": recipe.save.every < 1,
        "save.keep": recipe.save.keep < 1,
        "save.log_every": recipe.save.log_every < 1,
        "tasks": any(weight <= 0 for weight in recipe.tasks.values()),
        "data": any(source.weight <= 0 or min(source.tasks.values(), default=0) < 0 for source in recipe.data.values()),
        "masking.masking": recipe.masking.masking not in ("conditional", "joint"),
    }
    for key, is_wrong in wrong.items():
        if is_wrong:
            value: Any = recipe
            for part in key.split("."):
                value = getattr(value, part)
            raise UsageError(f"recipe {recipe.name}: {key} = {value!r} is out of range")
    for stage in recipe.stages:
        for name in stage.data:
            if name not in recipe.data:
                raise UsageError(
                    f"recipe {recipe.name}: a stage names data set {name!r}: {_nearest(name, recipe.data)}"
                )


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _build(cls: type, values: Mapping[str, Any], where: str) -> Any:
    """A dataclass from plain values, nested tables included; every key and type checked."""
    hints = _hints(cls)
    built: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise UsageError(f"{where}: unknown key {key!r}: {_nearest(key, hints)}")
        built[key] = _convert(hints[key], value, f"{where}: {key}")
    try:
        return cls(**built)
    except TypeError as error:
        raise UsageError(f"{where}: {error}") from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(kind, _table(value, where), where)  # type: ignore[arg-type]
    if kind == dict[str, DataRecipe]:
        return {
            name: _build(DataRecipe, _table(row, where), f"{where}.{name}")
            for name, row in _table(value, where).items()
        }
    if kind == tuple[StageRecipe, ...]:
        return tuple(_build(StageRecipe, _table(row, where), where) for row in value)
    if kind == dict[str, float]:
        return {name: _convert(float, weight, f"{where}.{name}") for name, weight in _table(value, where).items()}
    if kind == tuple[float, float]:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise UsageError(f"{where}: expected two numbers, got {value!r}")
        return (float(value[0]), float(value[1]))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = dict if kind == dict[str, Any] else kind
    if not isinstance(value, plain) or (plain is int and isinstance(value, bool)):
        raise UsageError(f"{where}: expected {plain.__name__}, got {value!r}")
    return value


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected a table, got {value!r}")
    return value


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
