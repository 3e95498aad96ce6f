"""The released combination of distances."""

import pytest
import torch

from uniter_ot import wra_loss


def test_matched_minus_mismatched() -> None:
    distances = torch.tensor([0.1, 0.7, 0.3, 0.5], requires_grad=True)
    loss = wra_loss(distances, torch.tensor([True, False, True, False]))
    assert loss.item() == pytest.approx((0.1 + 0.3 - 0.7 - 0.5) / 4)
    loss.backward()
    assert distances.grad.tolist() == [0.25, -0.25, 0.25, -0.25]


@pytest.mark.parametrize(("matched", "expected"), [(True, 0.4), (False, -0.4)])
def test_one_empty_side_counts_zero(matched: bool, expected: float) -> None:
    loss = wra_loss(torch.tensor([0.1, 0.7]), torch.tensor([matched, matched]))
    assert loss.item() == pytest.approx(expected)


def test_no_pairs() -> None:
    distances = torch.zeros(0, requires_grad=True)
    loss = wra_loss(distances, torch.zeros(0, dtype=torch.bool))
    assert loss.item() == 0
    loss.backward()


def test_sums_in_float32() -> None:
    assert wra_loss(torch.ones(3, dtype=torch.bfloat16), torch.ones(3, dtype=torch.bool)).dtype == torch.float32


@pytest.mark.parametrize(
    ("distances", "matched", "error", "message"),
    [
        (torch.zeros(2), torch.zeros(3, dtype=torch.bool), ValueError, r"matched: expected shape \(2,\).*got \(3,\)"),
        (torch.zeros(2), torch.zeros(2), TypeError, "matched: expected a boolean tensor, got torch.float32"),
        (torch.zeros(2), [True, False], TypeError, "matched: expected a boolean tensor, got list"),
        (torch.zeros(2, 1), torch.zeros(2, 1, dtype=torch.bool), ValueError, "distances: expected shape"),
        (torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.bool), TypeError, "distances: .*torch.int64"),
    ],
)
def test_wrong_arguments(distances, matched, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        wra_loss(distances, matched)
