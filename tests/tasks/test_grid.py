"""The full grid in blocks: every pair once, equal to pairs one by one, each image embedded once."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uniter_core import Sample
from uniter_tasks import PretrainingModel, score_grid
from uniter_tasks.downstream import DownstreamModel, group, match_scores
from uniter_tasks.grid import grid_blocks, match_scorer, score_blocks, share

Draw = Callable[..., list[Sample]]
Make = Callable[..., DownstreamModel]


class Drawn:
    """A gallery that counts what is read of it."""

    def __init__(self, texts: Sequence[Sample], images: Sequence[Sample]) -> None:
        self._texts = [
            replace(text, region_features=text.region_features[:0], region_boxes=text.region_boxes[:0],
                    region_labels=None, gold_regions=None)
            for text in texts
        ]  # fmt: skip
        self._images = [
            replace(image, token_ids=image.token_ids[:0], token_kinds=None, gold_regions=None) for image in images
        ]
        self.read: list[int] = []

    def texts(self, rows: slice) -> list[Sample]:
        return self._texts[rows]

    def images(self, columns: slice) -> list[Sample]:
        self.read += range(len(self._images))[columns]
        return self._images[columns]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_every_pair_stands_in_one_block_of_one_process(
    texts: int, images: int, height: int, width: int, processes: int
) -> None:
    blocks = grid_blocks(texts, images, height=height, width=width)
    seen = np.zeros((texts, images), dtype=int)
    for rank in range(processes):
        for block in share(blocks, rank=rank, world_size=processes):
            seen[block.texts, block.images] += 1
            assert block.pairs == seen[block.texts, block.images].size <= height * width
            assert (block.row * height, block.column * width) == (block.texts.start, block.images.start)
    assert (seen == 1).all()


def test_blocks_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="images: expected at least 1, got 0"):
        grid_blocks(3, 0, height=1, width=1)


@pytest.mark.parametrize(("height", "width", "units"), [(3, 2, 30), (2, 5, 1), (50, 50, 10_000)])
def test_blocks_make_the_grid_and_read_an_image_once(
    model: PretrainingModel, draw_pairs: Draw, height: int, width: int, units: int
) -> None:
    texts, images = draw_pairs(7, seed=1), draw_pairs(5, seed=2)
    gallery = Drawn(texts, images)
    scores = np.full((7, 5), np.nan, dtype=np.float32)
    embedded: list[int] = []
    model.encoder.region_embedding.register_forward_hook(lambda module, arguments, output: embedded.append(len(output)))
    for block, found in score_blocks(
        match_scorer(model), gallery, grid_blocks(7, 5, height=height, width=width), units=units
    ):
        assert torch.is_grad_enabled()
        assert model.training
        scores[block.texts, block.images] = found
    assert gallery.read == list(range(5))
    assert sum(embedded) == sum(image.num_regions for image in images)
    np.testing.assert_allclose(scores, score_grid(model, images, texts, units=200), atol=1e-5)


def test_a_fine_tuned_model_scores_by_its_ranking_logit(make_model: Make, draw_pairs: Draw) -> None:
    model = make_model("retrieval")
    texts, images = draw_pairs(4, seed=1), draw_pairs(3, seed=2)
    scores = score_grid(model, images, texts, units=60)
    vocabulary = model.settings.vocabulary
    for row, text in enumerate(texts):
        for column, image in enumerate(images):
            pair = replace(
                text,
                region_features=image.region_features,
                region_boxes=image.region_boxes,
                region_labels=None,
                gold_regions=None,
            )
            batch = model.task.collate([group(pair, vocabulary=vocabulary)], model.settings, training=False)
            expected = match_scores(model.encoder, model.head, batch.packed).item()
            assert scores[row, column] == pytest.approx(expected, abs=1e-5)


def test_a_model_of_another_task_is_refused(make_model: Make) -> None:
    with pytest.raises(ValueError, match="one of the heads rank or itm, the model has vqa"):
        match_scorer(make_model("vqa"))
