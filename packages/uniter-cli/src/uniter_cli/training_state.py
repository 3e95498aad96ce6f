"""What a step leaves behind, as tensors by name: parameters, the optimiser's moments, the generators of dropout.

Written by torch.distributed.checkpoint in safetensors: each process writes what it holds, nothing is pickled, and
another number of processes, or another way to spread the model, reads the same files.
"""

import warnings
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from uniter_cli.parallel import Spread

__all__ = ["load_generators", "load_tensors", "save_generators", "save_tensors"]

PARAMETER = "model."
MOMENT = "optimizer."


def save_tensors(folder: Path, spread: Spread) -> None:
    """Write parameters and moments; every process takes part."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in spread.named_parameters():
        tensors[PARAMETER + name] = parameter.detach()
        for key, value in spread.optimizer.state.get(parameter, {}).items():  # none before its first gradient
            tensors[f"{MOMENT}{name}.{key}"] = value
    with _quiet():
        save(tensors, storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True), no_dist=_alone())


def load_tensors(folder: Path, spread: Spread) -> None:
    """Read them into the model and its optimiser, however they were spread; every process takes part.

    Raises:
        KeyError, ValueError, RuntimeError: a tensor is missing or of another shape.
    """
    reader = HuggingFaceStorageReader(str(folder))
    saved = reader.read_metadata().state_dict_metadata
    tensors: dict[str, Tensor] = {}
    moments: list[tuple[torch.nn.Parameter, str, str]] = []
    for name, parameter in spread.named_parameters():
        tensors[PARAMETER + name] = parameter.detach()
        for key in ("step", "exp_avg", "exp_avg_sq"):
            stored = f"{MOMENT}{name}.{key}"
            if stored in saved:
                like = torch.zeros((), device=parameter.device) if key == "step" else torch.zeros_like(parameter)
                tensors[stored] = like.detach()
                moments.append((parameter, key, stored))
    with _quiet():
        load(tensors, storage_reader=reader, no_dist=_alone())
    spread.optimizer.state.clear()
    for parameter, key, stored in moments:
        spread.optimizer.state[parameter][key] = tensors[stored]


def save_generators(folder: Path, accelerator: Accelerator) -> None:
    """Write where this process's generators of random numbers stand."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    save_file(states, _generators(folder, accelerator.process_index))


def load_generators(folder: Path, accelerator: Accelerator) -> None:
    """Go on with this process's random numbers.

    Raises:
        OSError: there is no such process in the checkpoint.
    """
    states = load_file(_generators(folder, accelerator.process_index))
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available() and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])


# ---------------------------------------------------------------------------------------------------------------------


def _generators(folder: Path, process: int) -> Path:
    return folder / "generators" / f"{process}.safetensors"


def _alone() -> bool:
    return not torch.distributed.is_initialized()


def _quiet() -> warnings.catch_warnings:
    return warnings.catch_warnings(action="ignore")  # torch warns that a single process is one
