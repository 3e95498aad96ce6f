"""Files of weights, read without running code in them."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["HUB_TIMEOUT", "describe_weights", "digest_of", "read_tensors", "reason_of"]

HUB_TIMEOUT = 10.0  # seconds until a server of weights counts as out of reach


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, by name. No code in it is run.

    Args:
        path: .safetensors, or torch's format without pickled code; what lies under "state_dict" or "model" is taken.

    Raises:
        ValueError: it is missing, damaged, holds more than tensors, or no mapping of them.
    """
    if not path.is_file():
        raise ValueError(f"weights: there is no file {path}: expected one, or hub, or random")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors, and code in it is not run: save them as .safetensors"
        ) from error
    # damaged files make the readers raise all sorts of errors
    except Exception as error:
        raise ValueError(
            f"{path} is not a readable file of weights ({reason_of(error)}): expected .safetensors or .pt"
        ) from error
    for wrapped in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapped), Mapping):
            loaded = loaded[wrapped]
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{path}: expected a mapping from names to tensors, got {type(loaded).__name__}")
    return {str(name): tensor for name, tensor in loaded.items() if isinstance(tensor, Tensor)}


def describe_weights(identity: Mapping[str, Any]) -> str:
    """The weights of a model's identity, for people.

    >>> describe_weights({"weights": "random", "seed": 3})
    'random weights, seed 3'
    """
    if identity["weights"] == "random":
        return f"random weights, seed {identity['seed']}"
    return f"weights {identity['weights']}"


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason_of(error: Exception) -> str:
    """What another library's error says, on one line.

    >>> reason_of(OSError("503 for this url\\nFor more information …")), reason_of(EOFError())
    ('503 for this url', 'EOFError')
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
