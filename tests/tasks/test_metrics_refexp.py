"""Boxes: IoU by counting pixels and at its edges, the strict half, the released code's numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_tasks.metrics import box_iou, score_refexp

sides = st.integers(0, 6)
boxes = st.tuples(sides, sides, sides, sides)


@given(boxes, boxes)
def test_iou_counts_pixels(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    def pixels(box: tuple[int, ...]) -> set[tuple[int, int]]:
        x, y, width, height = box
        return {(column, row) for column in range(x, x + width) for row in range(y, y + height)}

    shared, either = pixels(first) & pixels(second), pixels(first) | pixels(second)
    assert box_iou(first, second) == pytest.approx(len(shared) / len(either) if either else 0.0)


@given(boxes, boxes, st.floats(0.1, 10), st.floats(-50, 50))
def test_iou_knows_no_scale_place_or_order(
    first: tuple[int, ...], second: tuple[int, ...], scale: float, shift: float
) -> None:
    moved = [np.array(box) * scale + [shift, shift, 0, 0] for box in (first, second)]
    assert box_iou(*moved) == pytest.approx(box_iou(second, first), abs=1e-9)


@pytest.mark.parametrize(
    ("box", "iou"),
    [
        ((0, 0, 10, 10), 1.0),
        ((10, 0, 10, 10), 0.0),  # edge on edge
        ((10, 10, 10, 10), 0.0),  # corner on corner
        ((2, 2, 5, 5), 0.25),  # inside
        ((0, 0, 10, 5), 0.5),
        ((9, 0, 10, 10), 10 / 190),  # one pixel wide: the released code says 0
        ((0, 0, 0, 0), 0.0),
    ],
)
def test_iou_by_hand(box: tuple[int, ...], iou: float) -> None:
    assert box_iou((0, 0, 10, 10), box) == pytest.approx(iou)


def test_half_is_not_enough() -> None:
    gold = [[0, 0, 10, 10]] * 3
    score = score_refexp([[0, 0, 10, 5], [0, 0, 10, 5.01], [0, 0, 10, 10]], gold)
    assert score.examples.tolist() == [False, True, True]
    assert score.accuracy == pytest.approx(2 / 3)
    assert score.mean_iou == pytest.approx((0.5 + 0.501 + 1) / 3)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="sides of at least 0"):
        box_iou([0, 0, -1, 1], [0, 0, 1, 1])
    with pytest.raises(ValueError, match="finite x, y, width, height"):
        box_iou([0, 0, 1], [0, 0, 1, 1])
    with pytest.raises(ValueError, match="at least one, got"):
        score_refexp(np.zeros((0, 4)), np.zeros((0, 4)))


@pytest.mark.golden
def test_released_code(golden_dir: Path) -> None:
    """Equal but where the boxes share at most one pixel in x or y, which the released code calls nothing."""
    cases = json.loads((golden_dir / "model/metrics.json").read_text())["re_iou"]
    corrected = 0
    for case in cases:
        a, b = np.array(case["box1_xywh"]), np.array(case["box2_xywh"])
        shared = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
        ours = float(box_iou(a, b))
        if (shared > 1).all() or (shared <= 0).any():
            assert ours == pytest.approx(case["iou"], abs=1e-12)
        else:
            assert case["iou"] == 0 < ours
            corrected += 1
    assert corrected < len(cases)
