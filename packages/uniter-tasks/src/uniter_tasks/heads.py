"""The heads of the pre-training model; their decoders are tied to the encoder's embeddings.

K selected units, H hidden, V vocabulary, D feature width, C classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import UniterConfig, initialise

__all__ = ["RegionClassificationHead", "RegionRegressionHead", "Transform", "WordHead", "build_heads"]


class Transform(nn.Module):
    """LayerNorm(GELU(W x + b)), in front of every decoder."""

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, units: Tensor) -> Tensor:
        """(K, H) → (K, H)."""
        hidden: Tensor = self.norm(F.gelu(self.dense(units)))
        return hidden


class WordHead(nn.Module):
    """Scores of every word of the vocabulary (MLM); the decoder is the word table."""

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.transform = Transform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, units: Tensor, word_table: Tensor) -> Tensor:
        """Hidden vectors (K, H) and the word table (V, H) → logits (K, V)."""
        return F.linear(self.transform(units), word_table, self.bias)


class RegionRegressionHead(nn.Module):
    """Features of a region (MRFR); the decoder is the transposed projection of the features."""

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.transform = Transform(config)
        self.bias = nn.Parameter(torch.zeros(config.region_dim))

    def forward(self, units: Tensor, region_projection: Tensor) -> Tensor:
        """Hidden vectors (K, H) and the projection (H, D) → features (K, D)."""
        return F.linear(self.transform(units), region_projection.t(), self.bias)


class RegionClassificationHead(nn.Module):
    """Scores of every object class, background (class 0) included (MRC and MRC-kl)."""

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.transform = Transform(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_classes)

    def forward(self, units: Tensor) -> Tensor:
        """Hidden vectors (K, H) → logits (K, C)."""
        logits: Tensor = self.classifier(self.transform(units))
        return logits


def build_heads(config: UniterConfig, *, seed: int) -> nn.ModuleDict:
    """The heads `mlm`, `mrfr`, `mrc` and `itm`, initialised as a function of `seed` alone.

    Matrices are drawn from N(0, `config.initializer_range`), biases are 0, LayerNorms the identity.
    """
    heads = nn.ModuleDict(
        {
            "mlm": WordHead(config),
            "mrfr": RegionRegressionHead(config),
            "mrc": RegionClassificationHead(config),
            "itm": nn.Linear(config.hidden_size, 2),  # row 1 = the pair matches
        }
    )
    initialise(heads, deviation=config.initializer_range, seed=seed)
    return heads
