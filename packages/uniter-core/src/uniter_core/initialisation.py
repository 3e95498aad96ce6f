"""Fresh parameters as a pure function of a seed."""

import torch
from torch import nn

from uniter_core.randomness import key_of

__all__ = ["initialise"]


def initialise(module: nn.Module, *, deviation: float, seed: int) -> None:
    """BERT's initial values: matrices and tables N(0, deviation²), biases 0, layer normalisations 1 and 0.

    Every parameter has its own generator, keyed by the seed and its name; so the values of one do not depend on which
    others the module has. Other kinds of module and parameters on the meta device stay as they are.

    Args:
        module: whose Linear, Embedding and LayerNorm parts are set.
        deviation: standard deviation of matrices and tables.
        seed: any integer.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Embedding) and not part.weight.is_meta:
            generator = torch.Generator().manual_seed(key_of(seed, name))
            fresh = torch.empty(part.weight.shape).normal_(0.0, deviation, generator=generator)
            part.weight.data.copy_(fresh)
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
        if isinstance(part, nn.Linear | nn.LayerNorm) and part.bias is not None:
            nn.init.zeros_(part.bias)
