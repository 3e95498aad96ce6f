"""uniter-core alone: two samples through the tiny encoder."""

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
print(f"encoder: {units.shape[0]} units")
