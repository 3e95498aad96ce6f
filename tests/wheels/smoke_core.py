"""uniter-core alone: two samples through the tiny encoder, which is saved and loaded again."""

import tempfile
from pathlib import Path

import torch

from uniter_core import Sample, UniterConfig, UniterEncoder, pack

samples = [
    Sample(
        token_ids=torch.arange(2, 2 + words),
        region_features=torch.randn(regions, 16),
        region_boxes=torch.rand(regions, 7),
    )
    for words, regions in ((5, 3), (4, 2))
]
encoder = UniterEncoder(UniterConfig.tiny(vocab_size=100, region_dim=16))
units = encoder(pack(samples))
assert units.shape == (14, 128)
with tempfile.TemporaryDirectory() as folder:
    encoder.save_pretrained(Path(folder) / "model")
    again = UniterEncoder.from_pretrained(Path(folder) / "model")
assert torch.equal(again(pack(samples)), units)
print(f"encoder: {units.shape[0]} units")
