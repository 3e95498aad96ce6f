"""How a model is spread over the processes: a copy on each (DDP), or a share on each (FSDP2)."""

import copy
import math
from dataclasses import dataclass
from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from uniter_cli.errors import UsageError
from uniter_cli.optim import build_optimizer
from uniter_cli.recipe import Recipe
from uniter_core import UniterEncoder

__all__ = ["Spread", "clip_gradients", "spread"]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A model as the processes train it, and as each of them measures and saves it.

    Attributes:
        trained: called in training.
        optimizer: of its parameters.
        whole: the model in one piece; after `gather`, with the parameters of `trained`.
        measured: `whole` in the run's precision.
    """

    trained: nn.Module
    optimizer: torch.optim.Optimizer
    whole: nn.Module
    measured: nn.Module

    def gather(self) -> None:
        """Bring `whole` up to date; every process takes part. Nothing to do where it is what is trained."""
        own = dict(self.whole.named_parameters())
        with torch.no_grad():
            for name, parameter in self.trained.named_parameters():
                if isinstance(parameter, DTensor):
                    own[name].copy_(parameter.full_tensor())

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Of the trained model, by the names that they have in one piece."""
        return [(name.removeprefix("module."), parameter) for name, parameter in self.trained.named_parameters()]


def spread(model: nn.Module, recipe: Recipe, accelerator: Accelerator) -> Spread:
    """Place a model on the processes as the recipe says (`batch.parallel`).

    Raises:
        UsageError: the recipe shards a run in float16, whose scaler does not know shards.
    """
    if recipe.batch.parallel == "ddp" or accelerator.num_processes == 1:
        _tune(model, recipe)
        trained, optimizer = accelerator.prepare(model, build_optimizer(model, recipe.optimizer))
        return Spread(trained=trained, optimizer=optimizer, whole=model, measured=trained)
    if recipe.precision == "fp16":
        raise UsageError("batch.parallel=fsdp runs in fp32 or bf16, not in fp16: choose another --precision")
    measured = accelerator.prepare_model(model, evaluation_mode=True)
    trained = _sharded(model, accelerator)
    _tune(trained, recipe)
    return Spread(trained=trained, optimizer=build_optimizer(trained, recipe.optimizer), whole=model, measured=measured)


def clip_gradients(model: nn.Module, accelerator: Accelerator, limit: float) -> Tensor:
    """Scale the gradients down to a global norm of `limit` (0 = leave them); the norm before."""
    norm = accelerator.clip_grad_norm_(model.parameters(), limit or math.inf)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


# ---------------------------------------------------------------------------------------------------------------------


def _tune(model: nn.Module, recipe: Recipe) -> None:
    """How the encoder runs in training."""
    encoder = cast(UniterEncoder, model.encoder)
    encoder.recompute = recipe.model.recompute
    if recipe.model.compile:
        encoder.compile_layers()


def _sharded(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """A sharded twin: a layer is put together when it is its turn; embeddings and heads, which share tables, at once.

    torch's own `fully_shard`: accelerate shards only on accelerators, and silently copies elsewhere.
    """
    twin = copy.deepcopy(model).to(accelerator.device)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for layer in cast(UniterEncoder, twin.encoder).layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(twin, mesh=mesh)
    return twin
