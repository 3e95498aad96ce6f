"""Model folders: `config.json` and `model.safetensors`, as this library writes and reads them."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from uniter_core.checkpoints.files import find_folder, read_tensors
from uniter_core.checkpoints.loading import CheckpointError
from uniter_core.config import UniterConfig
from uniter_core.vocabulary import Vocabulary

__all__ = ["ModelFolder", "load_folder", "save_folder", "write_folder"]

CONFIG, WEIGHTS, FORMAT = "config.json", "model.safetensors", "uniter-1"


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """What a model folder holds.

    Attributes:
        config: sizes of the encoder.
        tensors: by name: `encoder.…` and `heads.…`.
        vocabulary: of the texts it was trained on, if known.
        task: what a fine-tuned model was made for, plain JSON values; None for others.
    """

    config: UniterConfig
    tensors: dict[str, Tensor]
    vocabulary: Vocabulary | None
    task: dict[str, Any] | None = None


def save_folder(
    folder: str | PathLike[str],
    module: nn.Module,
    config: UniterConfig,
    *,
    vocabulary: Vocabulary | None = None,
    task: Mapping[str, Any] | None = None,
) -> None:
    """Write a module's parameters as a model folder; see `write_folder`."""
    write_folder(folder, module.state_dict(), config, vocabulary=vocabulary, task=task)


def write_folder(
    folder: str | PathLike[str],
    tensors: Mapping[str, Tensor],
    config: UniterConfig,
    *,
    vocabulary: Vocabulary | None = None,
    task: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder beside its place and rename it: at no moment does `folder` hold half a model.

    A model folder that is already there is replaced.

    Raises:
        CheckpointError: `folder` exists and holds other things than a model.
        OSError: it cannot be written; what was there stays.
    """
    target = Path(folder).resolve()
    _check_replaceable(target)
    described: dict[str, Any] = {"format": FORMAT, **config.to_dict()}
    if vocabulary is not None:
        described["vocabulary"] = vocabulary.to_dict()
    if task is not None:
        described["task"] = dict(task)
    beside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    beside.mkdir(parents=True)
    try:
        own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(own, beside / WEIGHTS, metadata={"format": "pt"})
        (beside / CONFIG).write_text(json.dumps(described, indent=2) + "\n")
        _put_in_place(beside, target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def load_folder(source: str | PathLike[str]) -> ModelFolder:
    """Read a model folder, or the one under an id of the hub.

    Raises:
        CheckpointError: there is none, a file is missing or damaged, or another program wrote it.
    """
    folder = find_folder(source, files=(CONFIG, WEIGHTS))
    file = folder / CONFIG
    try:
        described = json.loads(file.read_text())
        kind = described.pop("format", None)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder} is not a model folder: {CONFIG} is missing or damaged") from error
    if kind != FORMAT:
        raise CheckpointError(
            f"{file} has format {kind!r}, expected {FORMAT!r}: `uniter convert` makes a model folder of an official "
            "checkpoint or of BERT's weights"
        )
    vocabulary, task = described.pop("vocabulary", None), described.pop("task", None)
    try:
        return ModelFolder(
            config=UniterConfig.from_dict(described),
            tensors=read_tensors(folder / WEIGHTS),
            vocabulary=None if vocabulary is None else Vocabulary.from_dict(vocabulary),
            task=task,
        )
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{file}: {error}") from error


# ---------------------------------------------------------------------------------------------------------------------


def _check_replaceable(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise CheckpointError(f"{target} is a file: choose another place for the model folder")
    foreign = sorted({file.name for file in target.iterdir()} - {CONFIG, WEIGHTS}) if target.exists() else []
    if foreign:
        raise CheckpointError(f"{target} exists and holds other things ({foreign[0]}): choose another place")


def _put_in_place(beside: Path, target: Path) -> None:
    if not target.exists():
        beside.rename(target)
        return
    old = beside.with_suffix(".old")
    target.rename(old)
    beside.rename(target)
    shutil.rmtree(old)
