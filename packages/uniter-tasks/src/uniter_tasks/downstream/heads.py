"""The heads that downstream tasks share.

K rows, H hidden.
"""

from torch import nn

from uniter_core import UniterConfig

__all__ = ["mlp"]


def mlp(config: UniterConfig, *, inner: int, outputs: int, activation: type[nn.Module] = nn.GELU) -> nn.Sequential:
    """(K, H) → (K, outputs): W₂ LN(activation(W₁ x + b₁)) + b₂; the activation comes before the normalisation.

    The parts' numbers are those of official checkpoints.
    """
    return nn.Sequential(
        nn.Linear(config.hidden_size, inner),
        activation(),
        nn.LayerNorm(inner, eps=config.layer_norm_eps),
        nn.Linear(inner, outputs),
    )
