"""Two samples that look at each other: the head of NLVR²'s pair-biattn. Paper, appendix A.2 and figure 6.

Each side attends to the other's whole sequence, words included; what it found and what it was are fused, pooled by
learned weights, and both pooled vectors classified. Samples 2e and 2e + 1 of a batch are the two sides of example e.

E examples, L units of the longest sample, H hidden, d width of an attention head.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import Dropout, PackedBatch, UniterConfig, UniterEncoder, key_of
from uniter_tasks.downstream.padding import pad_samples

__all__ = ["BiattentionHead", "CrossAttention"]


class CrossAttention(nn.Module):
    """Multi-head attention from one sequence to another (Vaswani et al., 2017, section 3.2.2).

    The projections of query, key and value are one matrix, as official checkpoints have them.
    """

    def __init__(self, config: UniterConfig, *, seed: int) -> None:
        super().__init__()
        # As released: Xavier-uniform, not normal like the other matrices.
        joint = torch.empty(3 * config.hidden_size, config.hidden_size)
        nn.init.xavier_uniform_(joint, generator=torch.Generator().manual_seed(seed))
        self.in_proj_weight = nn.Parameter(joint)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * config.hidden_size))
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.num_heads = config.num_heads
        self.dropout = config.attention_dropout

    def forward(self, own: Tensor, other: Tensor, real: Tensor) -> Tensor:
        """(E, L, H): what each unit of `own` (E, L, H) finds in `other` (E, L, H), of which `real` (E, L) are there."""
        of_query, of_rest = self.in_proj_weight.tensor_split((own.shape[-1],))
        query_bias, rest_bias = self.in_proj_bias.tensor_split((own.shape[-1],))
        query = rearrange(F.linear(own, of_query, query_bias), "e l (heads d) -> e heads l d", heads=self.num_heads)
        key, value = rearrange(
            F.linear(other, of_rest, rest_bias), "e l (two heads d) -> two e heads l d", two=2, heads=self.num_heads
        )
        found = F.scaled_dot_product_attention(
            query, key, value, attn_mask=real[:, None, None, :], dropout_p=self.dropout if self.training else 0.0
        )
        mixed: Tensor = self.out_proj(rearrange(found, "e heads l d -> e l (heads d)"))
        return mixed


class BiattentionHead(nn.Module):
    """Attention both ways, fusion, pooling and classification."""

    def __init__(self, config: UniterConfig, *, seed: int) -> None:
        super().__init__()
        self.left = CrossAttention(config, seed=key_of(seed, "left"))
        self.right = CrossAttention(config, seed=key_of(seed, "right"))
        self.fusion = nn.Linear(2 * config.hidden_size, config.hidden_size)
        self.fusion_dropout = Dropout(config.hidden_dropout)
        self.pool = nn.Linear(config.hidden_size, 1)
        self.pool_dropout = Dropout(config.attention_dropout)
        self.output = nn.Linear(2 * config.hidden_size, 2)

    def forward(self, encoder: UniterEncoder, packed: PackedBatch) -> Tensor:
        """(E, 2), row 1 = the sentence is true."""
        padded, real = pad_samples(encoder(packed), packed)
        left, right = rearrange(padded, "(e side) l h -> side e l h", side=2)
        left_real, right_real = rearrange(real, "(e side) l -> side e l", side=2)
        seen_by_left = self.left(left, right, right_real)
        seen_by_right = self.right(right, left, left_real)
        pooled = [
            self._pooled(self._fused(seen_by_left, left), left_real),
            self._pooled(self._fused(seen_by_right, right), right_real),
        ]
        logits: Tensor = self.output(torch.cat(pooled, dim=-1))
        return logits

    def _fused(self, seen: Tensor, own: Tensor) -> Tensor:
        """ReLU(W [seen; own] + b), (E, L, H); both sides share it."""
        fused: Tensor = self.fusion_dropout(F.relu(self.fusion(torch.cat([seen, own], dim=-1))))
        return fused

    def _pooled(self, units: Tensor, real: Tensor) -> Tensor:
        """Σ softmax(ReLU(w u + b)) u over the units that are there, (E, H); the ReLU comes before the softmax."""
        scores = F.relu(self.pool(units)).float().squeeze(-1).masked_fill(~real, -torch.inf)
        weights = self.pool_dropout(scores.softmax(-1)).to(units.dtype)
        return torch.einsum("el,elh->eh", weights, units)
