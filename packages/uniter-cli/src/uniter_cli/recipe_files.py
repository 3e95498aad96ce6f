"""Recipes as TOML: read by name or from a file, overridden by the command line, written beside the run.

A key that no recipe has is an error that names the nearest one that exists.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w

from uniter_cli.errors import UsageError
from uniter_cli.nearest import nearest
from uniter_cli.recipe import DataRecipe, Recipe, StageRecipe

__all__ = ["load_recipe", "override", "shipped_recipes", "to_toml"]


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
        raise UsageError(f"no recipe {name_or_file!r}: {nearest(name_or_file, shipped)}, or name a TOML file")
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


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _build(cls: type, values: Mapping[str, Any], where: str) -> Any:
    """A dataclass from plain values, nested tables included; every key and type checked."""
    hints = _hints(cls)
    built: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise UsageError(f"{where}: unknown key {key!r}: {nearest(key, hints)}")
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


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
