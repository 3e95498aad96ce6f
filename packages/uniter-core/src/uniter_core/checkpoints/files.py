"""State dicts in files, and folders of the hub: only tensors are read, never pickled code."""

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from uniter_core.checkpoints.loading import CheckpointError

__all__ = ["find_folder", "read_tensors"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def find_folder(source: str | PathLike[str], *, files: Sequence[str]) -> Path:
    """A local folder, or the local copy of what the hub holds under this id.

    Args:
        source: a folder, or an id such as `google-bert/bert-base-cased`.
        files: names (or patterns) of the files to fetch from the hub.

    Raises:
        CheckpointError: there is no such folder, or the hub does not give it.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or not HUB_ID.fullmatch(str(source)):
        raise CheckpointError(f"{source} is neither a folder nor an id of the hub (owner/name)")
    from huggingface_hub import snapshot_download  # imports for a third of a second, rarely needed

    try:
        return Path(snapshot_download(str(source), allow_patterns=list(files)))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"there is no folder {source}, and the hub does not give it: {reason}") from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file, or of a state dict that `torch.save` wrote; on the CPU.

    Raises:
        CheckpointError: the file is absent, damaged, or holds anything but tensors by name.
    """
    if not file.is_file():
        raise CheckpointError(f"{file} is not a file")
    try:
        if file.suffix == ".safetensors":
            tensors = load_file(file)
        else:
            tensors = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{file} holds more than tensors, or is damaged: it is not read, as it could run code"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{file} is damaged: {str(error).partition(chr(10))[0]}") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise CheckpointError(f"{file} is not a state dict: expected tensors by name")
    return tensors
