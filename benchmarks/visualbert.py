"""HuggingFace's VisualBERT on the same pairs, padded as its users run it."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import VisualBertConfig, VisualBertForPreTraining

from uniter_core import Sample, UniterConfig

__all__ = ["build_visualbert", "visualbert_inputs"]


def build_visualbert(config: UniterConfig) -> VisualBertForPreTraining:
    """A model of the same width, depth and dropouts; its encoder is `.visual_bert`."""
    return VisualBertForPreTraining(
        VisualBertConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            visual_embedding_dim=config.region_dim,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=config.max_positions,
            hidden_dropout_prob=config.hidden_dropout,
            attention_probs_dropout_prob=config.attention_dropout,
        )
    )


def visualbert_inputs(samples: list[Sample]) -> dict[str, Tensor]:
    """Words (B, W) and features (B, R, D) filled up to the longest, with their masks; features in float32."""
    words = pad_sequence([sample.token_ids for sample in samples], batch_first=True)
    features = pad_sequence([sample.region_features.float() for sample in samples], batch_first=True)
    word_mask = pad_sequence([torch.ones_like(sample.token_ids) for sample in samples], batch_first=True)
    region_mask = pad_sequence(
        [torch.ones(sample.num_regions, dtype=torch.int64) for sample in samples], batch_first=True
    )
    return {
        "input_ids": words,
        "attention_mask": word_mask,
        "token_type_ids": torch.zeros_like(words),
        "visual_embeds": features,
        "visual_attention_mask": region_mask,
        "visual_token_type_ids": torch.ones_like(region_mask),
    }
