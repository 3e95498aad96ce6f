"""Recall over grids read in blocks: by definition with ties, several texts an image and folds; the released numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uniter_tasks.metrics import recall_at, retrieval_ranks, score_retrieval


def draw_grid(images: int, extra: int, levels: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores with many ties, and the image of each text: each has one at least."""
    generator = np.random.default_rng(seed)
    gold = generator.permutation(np.concatenate([np.arange(images), generator.integers(0, images, extra)]))
    return generator.integers(0, levels, (len(gold), images)).astype(np.float32), gold


def place(scores: list[float], right: list[bool]) -> int:
    """Where the first right candidate comes to stand when equals are sorted with the wrong ones first."""
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], right[row]))
    return next(place for place, row in enumerate(order) if right[row])


grids = st.builds(draw_grid, st.integers(1, 8), st.integers(0, 10), st.integers(1, 6), st.integers(0, 2**32 - 1))


@given(grids, st.integers(1, 40))
def test_ranks_by_definition_whatever_the_block(
    grid: tuple[NDArray[np.float32], NDArray[np.int64]], block: int
) -> None:
    scores, gold = grid
    texts, images = scores.shape
    image_ranks, text_ranks = retrieval_ranks(scores, gold, block=block)
    for text in range(texts):
        right = [image == gold[text] for image in range(images)]
        assert image_ranks[text] == place(scores[text].tolist(), right)
    for image in range(images):
        assert text_ranks[image] == place(scores[:, image].tolist(), (gold == image).tolist())


@given(grids, st.integers(1, 6))
def test_recall_equals_that_of_a_truth_matrix(grid: tuple[NDArray[np.float32], NDArray[np.int64]], k: int) -> None:
    scores, gold = grid
    truth = gold[:, None] == np.arange(scores.shape[1])
    score = score_retrieval(scores, gold, ks=(k,))
    assert score.image_recall[k] == pytest.approx(recall_at(scores, truth, k))
    assert score.text_recall[k] == pytest.approx(recall_at(scores.T, truth.T, k))


@given(grids, st.integers(1, 4), st.integers(1, 3))
def test_folds_are_galleries_of_their_own(
    grid: tuple[NDArray[np.float32], NDArray[np.int64]], folds: int, k: int
) -> None:
    scores, gold = grid
    images = scores.shape[1]
    folds = min(folds, images)
    score = score_retrieval(scores, gold, ks=(k,), folds=folds)
    parts = []
    for fold in range(folds):
        columns = np.array([image for image in range(images) if image * folds // images == fold])
        rows = np.isin(gold, columns)
        parts.append(score_retrieval(scores[rows][:, columns], gold[rows] - columns[0], ks=(k,)))
    assert score.image_recall[k] == pytest.approx(np.mean([part.image_recall[k] for part in parts]))
    assert score.text_recall[k] == pytest.approx(np.mean([part.text_recall[k] for part in parts]))


def test_any_of_several_texts_is_right() -> None:
    """Image 0 has texts 0 and 2; text 2 stands first in its column, text 0 last."""
    scores = np.array([[0.1, 0.9], [0.5, 0.4], [0.8, 0.2]])
    score = score_retrieval(scores, [0, 1, 0], ks=(1,))
    assert score.text_ranks.tolist() == [0, 1]
    assert score.image_ranks.tolist() == [1, 1, 0]


def test_one_score_for_everything_finds_nothing() -> None:
    score = score_retrieval(np.zeros((6, 3)), [0, 0, 1, 1, 2, 2], ks=(1, 2, 3))
    assert score.image_recall == {1: 0.0, 2: 0.0, 3: 1.0}
    assert score.text_recall == {1: 0.0, 2: 0.0, 3: 0.0}  # four wrong texts stand before
    assert score.mean == pytest.approx(1 / 6)


class Rows:
    """A matrix on disk: rows only, and never many of them at a time."""

    def __init__(self, scores: NDArray[np.float32]) -> None:
        self.scores, self.shape, self.most = scores, scores.shape, 0

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        self.most = max(self.most, rows.stop - rows.start)
        return self.scores[rows]


def test_memory_stays_flat() -> None:
    rows = Rows(np.random.default_rng(0).random((500, 20), dtype=np.float32))
    gold = np.arange(500) % 20
    image_ranks, text_ranks = retrieval_ranks(rows, gold, block=100)
    assert rows.most == 5
    whole = retrieval_ranks(rows.scores, gold)
    np.testing.assert_array_equal(image_ranks, whole[0])
    np.testing.assert_array_equal(text_ranks, whole[1])


@pytest.mark.parametrize(
    ("scores", "gold", "options", "message"),
    [
        (np.zeros(3), [0, 0, 0], {}, r"\(T, I\) matrix"),
        (np.zeros((2, 2)), [0], {}, "text_images: expected 2 columns from 0 to 1"),
        (np.zeros((2, 2)), [0, 2], {}, "text_images: expected 2 columns"),
        (np.zeros((2, 2)), [0, 0], {}, "image 1 has no text"),
        (np.array([[0, 0], [0, np.nan]]), [0, 1], {}, "text 1 with image 1: expected a finite number"),
        (np.zeros((2, 2)), [0, 1], {"folds": 3}, "folds: expected 1 to 2"),
        (np.zeros((2, 2)), [0, 1], {"ks": (0,)}, "ks: expected numbers of at least 1"),
    ],
)
def test_refusals(scores: NDArray[np.float64], gold: list[int], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_retrieval(scores, gold, **options)


@pytest.mark.golden
def test_released_code(golden_dir: Path) -> None:
    """Text retrieval as released; image retrieval as corrected (it compared row numbers with k as well)."""
    case = json.loads((golden_dir / "model/metrics.json").read_text())["retrieval"]
    column = {name: row for row, name in enumerate(case["img_ids"])}
    gold = [column[case["txt2img"][name]] for name in case["txt_ids"]]
    score = score_retrieval(np.array(case["scores"]), gold)
    assert score.text_recall == pytest.approx({k: case["official"][f"txt_r{k}"] for k in (1, 5, 10)})
    assert score.image_recall == pytest.approx({k: case["corrected_image_retrieval"][f"img_r{k}"] for k in (1, 5, 10)})
