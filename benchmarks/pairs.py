"""Pairs with the lengths of captions and detections, and contents drawn at random."""

import torch

from uniter_core import Sample, UniterConfig, Vocabulary

__all__ = ["VOCABULARY", "random_pairs"]

VOCABULARY = Vocabulary(
    size=28_996, pad_id=0, unk_id=100, cls_id=101, sep_id=102, mask_id=103, random_range=(106, 28_996)
)


def random_pairs(config: UniterConfig, *, units: int, seed: int) -> list[Sample]:
    """As many pairs as have at most `units` words and regions together.

    Words log-normal with mean 14, from 5 to 60, [CLS] and [SEP] counted; regions log-normal with mean 46, from 10 to
    100; features like a detector's, sparse and not negative, in float16.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs: list[Sample] = []
    left = units
    while True:
        words, regions = (
            int((mean * (0.5 * torch.randn((), generator=generator) - 0.125).exp()).round().clamp(least, most))
            for mean, least, most in ((14, 5, 60), (46, 10, 100))
        )
        left -= words + regions
        if left < 0:
            return pairs
        ids = torch.randint(*VOCABULARY.random_range, (words,), generator=generator)
        ids[0], ids[-1] = VOCABULARY.cls_id, VOCABULARY.sep_id
        corner, size = (torch.rand(regions, 2, generator=generator) / 2 for _ in range(2))
        boxes = torch.cat([corner, corner + size, size, size.prod(1, keepdim=True)], dim=1)
        pairs.append(
            Sample(
                token_ids=ids,
                region_features=torch.randn(regions, config.region_dim, generator=generator).clamp(min=0).half(),
                region_boxes=boxes,
                region_labels=torch.rand(regions, config.num_classes, generator=generator).pow(8).half()
                if config.num_classes
                else None,
                matched=bool(torch.rand((), generator=generator) < 0.5),
                key=len(pairs) + seed,
                id=f"pair {len(pairs)}",
            )
        )
