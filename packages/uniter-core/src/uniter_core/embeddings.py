"""From words and regions to the vectors that enter the first layer (paper, section 3.1).

Axes: W words, R regions, H hidden, D feature width.
"""

from torch import Tensor, nn

from uniter_core.config import UniterConfig
from uniter_core.dropout import Dropout
from uniter_core.packed import PackedBatch

__all__ = ["RegionEmbedding", "TextEmbedding"]


class TextEmbedding(nn.Module):
    """LN(word + position + type)."""

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_positions, config.hidden_size)
        self.types = nn.Embedding(config.num_types, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, batch: PackedBatch) -> Tensor:
        """(W, H)."""
        words, positions = self.words(batch.token_ids), self.positions(batch.token_positions)
        embedded: Tensor = self.dropout(self.norm(words + positions + self.types(batch.token_types)))
        return embedded


class RegionEmbedding(nn.Module):
    """LN( LN(W_f f + b_f) + LN(W_b box + b_b) + type ); the type's row comes from the text's table.

    A masked region's features, which the objective has set to zero, get row 1 of `mask` added before they are
    projected. Row 0 belongs to regions in sight and acts as zero whatever it holds; it is kept as checkpoints have it.
    """

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.feature = nn.Linear(config.region_dim, config.hidden_size)
        self.feature_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.box = nn.Linear(7, config.hidden_size)
        self.box_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mask = nn.Embedding(2, config.region_dim)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, batch: PackedBatch, types: Tensor) -> Tensor:
        """(R, H), from the batch and the type row of each region (R, H)."""
        dtype = self.feature.weight.dtype
        features = self.feature(batch.region_features.to(dtype))
        if batch.any_masked:  # elsewhere the mask vector keeps no gradient, so that no optimiser moves it
            # W (f + m) = W f + W m: one product for the mask vector instead of a gradient for all features
            features = features + batch.region_masked[:, None] * (self.feature.weight @ self.mask.weight[1])
        features = self.feature_norm(features)
        boxes = self.box_norm(self.box(batch.region_boxes.to(dtype)))
        embedded: Tensor = self.dropout(self.norm(features + boxes + types))
        return embedded
