"""uniter-tasks alone: one step of MLM."""

import torch

from uniter_core import Sample, UniterConfig, Vocabulary
from uniter_tasks import ObjectiveSettings, PretrainingModel, objective

vocabulary = Vocabulary(size=100, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, random_range=(5, 100))
samples = [
    Sample(
        token_ids=torch.tensor([2, 9, 10, 11, 3]),
        region_features=torch.randn(3, 16),
        region_boxes=torch.rand(3, 7),
        key=key,
    )
    for key in range(4)
]
settings = ObjectiveSettings(vocabulary=vocabulary)
model = PretrainingModel(UniterConfig.tiny(vocab_size=100, region_dim=16, num_classes=5), settings)
loss = model("mlm", objective("mlm").collate(samples, settings))
(loss.sum / loss.count).backward()
print(f"mlm: {loss.count} masked words")
