"""The process group a run works in: accelerate, set up so that what was asked for is what runs."""

import os
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list, set_seed
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from uniter_cli.errors import RunError
from uniter_core import key_of

__all__ = ["agreed", "build_accelerator", "seed_dropout", "seed_everything", "was_restarted"]

T = TypeVar("T")


def build_accelerator(precision: str = "fp32") -> Accelerator:
    """One process, or as many as torchrun started; DDP leaves heads that a step does not use without a gradient.

    Args:
        precision: `fp32`, `bf16` or `fp16`.

    Raises:
        RunError: the world size that was got is not the one that was asked for, or fp16 is asked of a CPU.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise RunError("fp16 needs a CUDA device: use --precision bf16 or fp32")
    if was_restarted():
        _join_again()
    accelerator = Accelerator(
        mixed_precision={"fp32": "no"}.get(precision, precision),
        # without `cpu`, a bare Accelerator under torchrun on a machine without CUDA becomes one process in every rank
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True, gradient_as_bucket_view=True)],
    )
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != asked:
        raise RunError(f"torchrun started {asked} processes, but they joined a group of {accelerator.num_processes}")
    return accelerator


def seed_everything(seed: int, accelerator: Accelerator) -> None:
    """Seed what is left of global randomness. Masks and order have their own keys."""
    seed_dropout(seed, accelerator)
    if accelerator.device.type == "cpu":
        # denormals in the transport solver's late sweeps can make a step ten times slower on a CPU
        torch.set_flush_denormal(True)


def seed_dropout(seed: int, accelerator: Accelerator, *, step: int = 0) -> None:
    """Seed dropout, apart on every process; from a later `step` on for processes that never came so far."""
    since = (step,) if step else ()
    set_seed(key_of(seed, "dropout", accelerator.process_index, *since) % 2**32)


def agreed(accelerator: Accelerator, value: T) -> T:
    """The main process's value, on every process."""
    known = [value]
    if accelerator.num_processes > 1:
        broadcast_object_list(known)
    return known[0]


def was_restarted() -> bool:
    """Whether torchrun started these processes again (`--max-restarts`), after one of them died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


# ---------------------------------------------------------------------------------------------------------------------


def _join_again() -> None:
    """Form the process group of a restart: torchrun's store still holds the addresses of the group that died."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    torch.distributed.init_process_group(
        "cuda:nccl,cpu:gloo" if torch.cuda.is_available() else "gloo",
        store=PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
    )
