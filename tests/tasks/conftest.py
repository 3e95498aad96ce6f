"""Small synthetic pairs in which words and regions are related, and a model for them.

B pairs, W words, R regions, D feature width, C classes.
"""

from collections.abc import Callable

import pytest
import torch

from uniter_core import Sample, UniterConfig, Vocabulary, key_of
from uniter_tasks import ObjectiveSettings, PretrainingModel

REGION_DIM, NUM_CLASSES = 12, 7
FIRST_NOUN, FUNCTION_WORDS = 10, (5, 6, 7, 8)
VOCABULARY = Vocabulary(size=40, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, random_range=(5, 40))


def draw_pair(generator: torch.Generator, number: int, *, seed: int) -> Sample:
    """A sentence that names some of the image's regions: [CLS] (function word, noun)* [SEP]."""
    prototypes = torch.randn(NUM_CLASSES, REGION_DIM, generator=torch.Generator().manual_seed(5))

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    regions = integer(2, 7)
    classes = torch.randint(1, NUM_CLASSES, (regions,), generator=generator)
    named = torch.randperm(regions, generator=generator)[: integer(1, regions + 1)].tolist()
    tokens, gold, kinds = [VOCABULARY.cls_id], [-1], [0]
    for region in named:
        tokens += [FUNCTION_WORDS[integer(0, len(FUNCTION_WORDS))], FIRST_NOUN + int(classes[region])]
        gold += [-1, region]
        kinds += [0, 1]
    corners = torch.rand(regions, 2, 2, generator=generator).sort(dim=1).values
    sides = corners[:, 1] - corners[:, 0]
    labels = torch.rand(regions, NUM_CLASSES, generator=generator)
    labels[torch.arange(regions), classes] += 1.0
    labels[:, 0] += 2.0 * (torch.rand(regions, generator=generator) < 0.3)  # sometimes the background is likeliest
    labels = labels.masked_fill(labels < 0.3, 0.0)  # exact zeros
    return Sample(
        token_ids=torch.tensor([*tokens, VOCABULARY.sep_id]),
        region_features=(prototypes[classes] + 0.3 * torch.randn(regions, REGION_DIM, generator=generator)).half(),
        region_boxes=torch.cat((corners.flatten(1), sides, sides.prod(1, keepdim=True)), dim=1),
        region_labels=(labels / labels.sum(1, keepdim=True)).half(),
        gold_regions=torch.tensor([*gold, -1]),
        token_kinds=torch.tensor([*kinds, 0]),
        matched=number % 2 == 0,
        key=key_of(seed, number),
        id=f"pair-{number}",
    )


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return VOCABULARY


@pytest.fixture(scope="session")
def settings() -> ObjectiveSettings:
    return ObjectiveSettings(vocabulary=VOCABULARY)


@pytest.fixture(scope="session")
def draw_pairs() -> Callable[..., list[Sample]]:
    """draw_pairs(count, seed=0): every second pair is matched."""

    def draw(count: int, seed: int = 0) -> list[Sample]:
        generator = torch.Generator().manual_seed(key_of("pairs", seed))
        return [draw_pair(generator, number, seed=seed) for number in range(count)]

    return draw


@pytest.fixture(scope="session")
def tiny_config() -> UniterConfig:
    return UniterConfig.tiny(
        vocab_size=VOCABULARY.size, region_dim=REGION_DIM, num_classes=NUM_CLASSES, hidden_size=32, intermediate_size=64
    )


@pytest.fixture
def model(tiny_config: UniterConfig, settings: ObjectiveSettings) -> PretrainingModel:
    return PretrainingModel(tiny_config, settings, seed=3)
