"""Retrieval: the grid against pairs one by one, recall against its definition, ties counted against the model."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uniter_core import Sample, pack
from uniter_tasks import PretrainingModel, recall_at, score_grid
from uniter_tasks.inference import unit_groups

Draw = Callable[..., list[Sample]]


def test_grid_is_text_by_image(model: PretrainingModel, draw_pairs: Draw) -> None:
    texts, images = draw_pairs(4, seed=1), draw_pairs(6, seed=2)
    calls: list[tuple[int, int]] = []
    scores = score_grid(model, images, texts, units=50, progress=lambda done, total: calls.append((done, total)))
    assert scores.shape == (4, 6)
    assert scores.dtype == np.float32
    assert model.training
    assert calls == [(number, len(calls)) for number in range(1, len(calls) + 1)]
    model.eval()
    for row, text in enumerate(texts):
        for column, image in enumerate(images):
            pair = Sample(
                token_ids=text.token_ids, region_features=image.region_features, region_boxes=image.region_boxes
            )
            packed = pack([pair])
            logits = model.heads["itm"](model.encoder.pool(model.encoder(packed), packed))[0].detach()
            assert scores[row, column] == pytest.approx(float(logits[1] - logits[0]), abs=1e-5)


def test_grid_does_not_depend_on_the_size_of_its_batches(model: PretrainingModel, draw_pairs: Draw) -> None:
    samples = draw_pairs(5)
    one, many = (score_grid(model, samples, samples, units=units) for units in (1, 10_000))
    np.testing.assert_allclose(one, many, atol=1e-5)


def test_grid_keeps_the_types_of_both_sides(model: PretrainingModel, draw_pairs: Draw) -> None:
    text, image = draw_pairs(2)
    typed = replace(image, region_types=torch.zeros(len(image.region_features), dtype=torch.int64))
    plain, other = (score_grid(model, [each], [text], units=100) for each in (image, typed))
    assert abs(plain - other).max() > 1e-6


def recall_by_definition(scores: NDArray[np.floating], truth: NDArray[np.bool_], k: int) -> float:
    found = 0
    for row, right in zip(scores, truth, strict=True):
        order = sorted(range(len(row)), key=lambda c: (-row[c], right[c]))  # the wrong one first among equals
        found += any(right[c] for c in order[:k])
    return found / len(scores)


@given(st.integers(1, 6), st.integers(1, 7), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_recall_by_definition_with_many_ties(queries: int, candidates: int, k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 3, (queries, candidates)).astype(np.float32)
    truth = generator.random((queries, candidates)) < 0.3
    truth[np.arange(queries), generator.integers(0, candidates, queries)] = True
    assert recall_at(scores, truth, k) == pytest.approx(recall_by_definition(scores, truth, k))


def test_one_score_for_everything_finds_nothing() -> None:
    truth = np.eye(5, dtype=bool)
    assert [recall_at(np.zeros((5, 5)), truth, k) for k in (1, 4, 5)] == [0.0, 0.0, 1.0]


def test_recall_counts_ranks_of_a_row_alone() -> None:
    """The released code compared row numbers with k as well, which put recall above what was found."""
    scores = np.tile(np.arange(5.0), (5, 1))
    truth = np.zeros((5, 5), dtype=bool)
    truth[:, 0] = True
    assert recall_at(scores, truth, 4) == 0.0


@pytest.mark.parametrize(
    ("scores", "truth", "k", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2), dtype=bool), 1, "truth: expected the"),
        (np.zeros((2, 2)), np.eye(2, dtype=bool), 0, "k: expected at least 1"),
        (np.full((2, 2), np.nan), np.eye(2, dtype=bool), 1, "finite"),
        (np.zeros((2, 2)), np.array([[True, False], [False, False]]), 1, "query 1 has no true"),
    ],
)
def test_recall_refuses(scores: NDArray[np.floating], truth: NDArray[np.bool_], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recall_at(scores, truth, k)


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(1, 30))
def test_groups_cover_everything_once_within_the_bound(lengths: list[int], units: int) -> None:
    groups = unit_groups(lengths, units)
    rows = [row for group in groups for row in range(len(lengths))[group]]
    assert rows == list(range(len(lengths)))
    for group in groups:
        assert sum(lengths[group]) <= units or group.stop - group.start == 1


def test_groups_refuse_no_units() -> None:
    with pytest.raises(ValueError, match="units: expected a positive"):
        unit_groups([1], 0)
