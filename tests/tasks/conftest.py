"""Small synthetic pairs in which words and regions are related, examples of every downstream task, models for both.

B pairs, W words, R regions, D feature width, C classes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from uniter_core import Example, ImageRegions, Sample, UniterConfig, Vocabulary, key_of
from uniter_tasks import ObjectiveSettings, PretrainingModel
from uniter_tasks.downstream import DownstreamModel, TaskSettings

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


# ---------------------------------------------------------------------------------------- examples of downstream tasks

ANSWERS = ("yes", "no", "red", "2", "dog")
Draw = Callable[..., list[Example]]


def draw_image(generator: torch.Generator, name: str) -> ImageRegions:
    regions = int(torch.randint(2, 7, (), generator=generator))
    return ImageRegions(
        features=torch.randn(regions, REGION_DIM, generator=generator).half(),
        boxes=torch.rand(regions, 7, generator=generator),
        id=name,
    )


def draw_example(generator: torch.Generator, task: str, number: int) -> Example:
    """Texts and images of other sizes each, with labels."""

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    num_texts = {"vcr": 9, "retrieval": integer(1, 4)}.get(task, 1)
    num_images = {"nlvr2": 2, "retrieval": integer(2, 4)}.get(task, 1)
    images = tuple(draw_image(generator, f"image-{number}-{place}") for place in range(num_images))
    annotations = {
        "vqa": {"answers": [(*ANSWERS, "rare")[integer(0, 6)] for _ in range(10)]},
        "snli-ve": {"label": ("entailment", "neutral", "contradiction")[integer(0, 3)]},
        "nlvr2": {"label": bool(integer(0, 2))},
        "vcr": {"answer_label": integer(0, 4), "rationale_label": integer(0, 4)},
        "refexp": {"target": integer(0, images[0].num_regions)},
        "retrieval": {},
    }
    return Example(
        id=f"{task}-{number}",
        texts=tuple(torch.randint(5, 40, (integer(1, 6),), generator=generator) for _ in range(num_texts)),
        images=images,
        annotation=annotations[task],
        key=number,
    )


@pytest.fixture(scope="session")
def draw_examples() -> Draw:
    """draw_examples(task, count, seed=0)."""

    def draw(task: str, count: int, seed: int = 0) -> list[Example]:
        generator = torch.Generator().manual_seed(key_of("examples", seed))
        return [draw_example(generator, task, number) for number in range(count)]

    return draw


@pytest.fixture(scope="session")
def make_model(tiny_config: UniterConfig) -> Callable[..., DownstreamModel]:
    """make_model(task, seed=3, **settings): in evaluation mode, with a head that does not start near zero."""

    def make(task: str, *, seed: int = 3, config: UniterConfig = tiny_config, **settings: Any) -> DownstreamModel:
        answers = ANSWERS if task == "vqa" else ()
        told = TaskSettings(vocabulary=VOCABULARY, **({"answers": answers} | settings))
        return DownstreamModel(replace(config, initializer_range=0.3), task, told, seed=seed).eval()

    return make
