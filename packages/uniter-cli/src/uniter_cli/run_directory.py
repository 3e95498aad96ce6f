"""A run's directory: the resolved recipe, environment, metrics as JSON lines, checkpoints, model, summary."""

import json
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from uniter_cli.errors import UsageError
from uniter_cli.recipe import Recipe
from uniter_cli.recipe_files import load_recipe, to_toml

__all__ = ["RunDirectory", "model_folder", "write_text"]

PACKAGES = (
    "uniter-ot",
    "uniter-core",
    "uniter-data",
    "uniter-tasks",
    "uniter-cli",
    "torch",
    "accelerate",
    "zarr",
    "tokenizers",
)


@dataclass(frozen=True)
class RunDirectory:
    """Names of what lies in a run's directory.

    Attributes:
        path: the directory.
    """

    path: Path

    recipe = property(lambda self: self.path / "recipe.toml")
    environment = property(lambda self: self.path / "environment.json")
    metrics = property(lambda self: self.path / "metrics.jsonl")
    tensorboard = property(lambda self: self.path / "tensorboard")
    checkpoints = property(lambda self: self.path / "checkpoints")
    mined = property(lambda self: self.path / "mined")
    model = property(lambda self: self.path / "model")
    best = property(lambda self: self.path / "best")
    summary = property(lambda self: self.path / "summary.md")
    curves = property(lambda self: self.path / "curves.png")
    results = property(lambda self: self.path / "results.json")

    def begin(self, recipe: Recipe) -> None:
        """Make the directory and write what the run is.

        Raises:
            UsageError: there is a run here already.
        """
        if self.recipe.exists():
            raise UsageError(f"{self.path} holds a run: go on with --resume {self.path}, or choose another --out")
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.environment, json.dumps(_environment(), indent=2) + "\n")
        write_text(self.recipe, to_toml(recipe))

    def resume(self) -> Recipe:
        """The recipe of the run that lies here.

        Raises:
            UsageError: there is none.
        """
        if not self.recipe.is_file():
            raise UsageError(f"{self.path} holds no run to resume: it has no recipe.toml")
        return load_recipe(str(self.recipe))

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to the metrics."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All lines of the metrics; a last one cut short by a kill is left out."""
        if not self.metrics.is_file():
            return []
        lines = self.metrics.read_text().splitlines()
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                if number < len(lines):
                    raise
        return found

    def rewind(self, step: int) -> None:
        """Forget the metrics of step `step` and later: the resumed run writes them again. At 0, all that there are."""
        kept = [record for record in self.records() if step and record["step"] < step]
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))


def model_folder(source: str) -> str:
    """The model of a run's directory; a model folder or hub id as it is."""
    run = RunDirectory(Path(source).expanduser())
    return str(run.model) if run.recipe.is_file() and run.model.is_dir() else source


def write_text(path: Path, text: str) -> None:
    """Write beside and rename: a reader sees the old file or the new one, never a half."""
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(text)
    beside.replace(path)


def _environment() -> dict[str, Any]:
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "packages": packages,
    }
