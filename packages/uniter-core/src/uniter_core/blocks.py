"""The transformer layer: attention and feed-forward, each followed by a layer normalisation (post-norm, as BERT).

Axes: N units, H hidden, heads, d = H / heads.
"""

from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from uniter_core.attention import Attend, attend_first, attention_weights
from uniter_core.config import UniterConfig
from uniter_core.dropout import Dropout
from uniter_core.segments import Segments

__all__ = ["FeedForward", "SelfAttention", "TransformerLayer"]


class SelfAttention(nn.Module):
    """Multi-head attention among the units of each sample."""

    def __init__(self, config: UniterConfig, attend: Attend) -> None:
        super().__init__()
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.num_heads = config.num_heads
        self.dropout = config.attention_dropout
        self.attend = attend

    def forward(self, units: Tensor, segments: Segments) -> Tensor:
        """(N, H) from (N, H)."""
        query, key, value = self._project(units)
        attended = self.attend(query, key, value, segments, self.dropout if self.training else 0.0)
        mixed: Tensor = self.output(rearrange(attended, "n heads d -> n (heads d)"))
        return mixed

    def first(self, units: Tensor, segments: Segments) -> Tensor:
        """(B, H), what `forward` gives the first unit of each sample, for a fraction of the work."""
        query = self._heads(self.query(units.index_select(0, segments.first)))
        key, value = (self._heads(part(units)) for part in (self.key, self.value))
        attended = attend_first(query, key, value, segments, self.dropout if self.training else 0.0)
        mixed: Tensor = self.output(rearrange(attended, "b heads d -> b (heads d)"))
        return mixed

    def maps(self, units: Tensor, segments: Segments) -> list[Tensor]:
        """The attention weights (heads, L, L) of each sample, in the order of `segments`."""
        return attention_weights(self._heads(self.query(units)), self._heads(self.key(units)), segments)

    def _project(self, units: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self._heads(self.query(units)), self._heads(self.key(units)), self._heads(self.value(units))

    def _heads(self, units: Tensor) -> Tensor:
        split: Tensor = rearrange(units, "n (heads d) -> n heads d", heads=self.num_heads)
        return split


class FeedForward(nn.Module):
    """W₂ GELU(W₁ x), with the exact GELU."""

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.expand = nn.Linear(config.hidden_size, config.intermediate_size)
        self.reduce = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, units: Tensor) -> Tensor:
        """(N, H) from (N, H)."""
        reduced: Tensor = self.reduce(functional.gelu(self.expand(units)))
        return reduced


class TransformerLayer(nn.Module):
    """x ← LN(x + attention(x)); x ← LN(x + feed_forward(x))."""

    def __init__(self, config: UniterConfig, attend: Attend) -> None:
        super().__init__()
        self.attention = SelfAttention(config, attend)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, units: Tensor, segments: Segments) -> Tensor:
        """(N, H) from (N, H)."""
        return self._add(units, self.attention(units, segments))

    def first(self, units: Tensor, segments: Segments) -> Tensor:
        """(B, H), what `forward` gives the first unit of each sample: its [CLS]."""
        return self._add(units.index_select(0, segments.first), self.attention.first(units, segments))

    def compile_unitwise(self, *, backend: str) -> None:
        """Compile what is done to each unit by itself: the projections, and all that follows attention.

        The number of units is a symbol in what is compiled: batches of any size share it.
        """
        compiled = partial(torch.compile, dynamic=True, fullgraph=True, backend=backend)
        self.attention._project = compiled(self.attention._project)  # type: ignore[method-assign]
        self._add = compiled(self._add)  # type: ignore[method-assign]

    def _add(self, units: Tensor, attended: Tensor) -> Tensor:
        units = self.attention_norm(units + self.dropout(attended))
        units = self.feed_forward_norm(units + self.dropout(self.feed_forward(units)))
        return units
