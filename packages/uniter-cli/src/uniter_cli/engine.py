"""The process group a run works in: accelerate, set up so that what was asked for is what runs."""

import os

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed

from uniter_cli.errors import RunError
from uniter_core import key_of

__all__ = ["build_accelerator", "seed_everything"]


def build_accelerator(precision: str = "fp32") -> Accelerator:
    """One process, or as many as torchrun started; DDP leaves heads that a step does not use without a gradient.

    Args:
        precision: `fp32`, `bf16` or `fp16`.

    Raises:
        RunError: the world size that was got is not the one that was asked for, or fp16 is asked of a CPU.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise RunError("fp16 needs a CUDA device: use --precision bf16 or fp32")
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
    """Seed what is left of global randomness: dropout, apart on every process. Masks and order have their own keys."""
    set_seed(key_of(seed, "dropout", accelerator.process_index) % 2**32)
    if accelerator.device.type == "cpu":
        # denormals in the transport solver's late sweeps can make a step ten times slower on a CPU
        torch.set_flush_denormal(True)
