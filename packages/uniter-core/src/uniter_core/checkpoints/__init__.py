"""Weights in and out: model folders, official UNITER checkpoints, BERT's weights."""

from uniter_core.checkpoints.official import official_name, our_name

__all__ = ["official_name", "our_name"]
