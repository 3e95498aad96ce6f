"""Wrong arguments are named, with what was expected and what came."""

import math
import subprocess
import sys

import pytest
import torch

from uniter_ot import AlignmentLoss, alignment_loss, cosine_cost, ipot, squared_euclidean_cost

COST = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cost": COST[0]}, ValueError, r"cost: expected shape \(B, W, R\), got \(3, 4\)"),
        ({"cost": COST.long()}, TypeError, "cost: expected a floating-point dtype, got torch.int64"),
        ({"cost": COST.numpy()}, TypeError, "cost: expected a torch.Tensor .* got ndarray"),
        ({"beta": 0}, ValueError, "beta: expected a finite number above 0, got 0"),
        ({"beta": -0.5}, ValueError, "beta: .* got -0.5"),
        ({"beta": math.nan}, ValueError, "beta: .* got nan"),
        ({"beta": math.inf}, ValueError, "beta: .* got inf"),
        ({"beta": 1e-320}, ValueError, "beta: 1e-320 is too small"),
        ({"iterations": 0}, ValueError, "iterations: expected at least 1, got 0"),
        ({"iterations": 2.0}, TypeError, "iterations: expected an int, got float"),
        ({"inner": 0}, ValueError, "inner: expected at least 1, got 0"),
        ({"inner": True}, TypeError, "inner: expected an int, got bool"),
        ({"word_mask": torch.ones(2, 3)}, TypeError, "word_mask: expected a boolean tensor .* got torch.float32"),
        ({"word_mask": [True]}, TypeError, "word_mask: expected a boolean tensor .* got list"),
        ({"word_mask": torch.ones(2, 4).bool()}, ValueError, r"word_mask: expected shape \(2, 3\), got \(2, 4\)"),
        ({"region_mask": torch.ones(4).bool()}, ValueError, r"region_mask: expected shape \(2, 4\), got \(4,\)"),
        (
            {"region_mask": torch.ones(2, 4, dtype=torch.bool, device="meta")},
            ValueError,
            "region_mask: expected device",
        ),
    ],
)
def test_ipot(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ipot(**({"cost": COST} | arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("beta", [0.5, 1e-3])
def test_a_cost_that_is_not_finite(value: float, beta: float) -> None:
    cost = COST.clone()
    cost[1, 2, 3] = value
    with pytest.raises(ValueError, match=f"cost: expected finite numbers, got {value} for pair 1, word 2, region 3"):
        ipot(cost, beta=beta)
    kept = torch.tensor([[True, True, True], [True, True, False]])
    assert ipot(cost, word_mask=kept, beta=beta).plan.isfinite().all()


WORDS, REGIONS = torch.ones(2, 3, 5), torch.ones(2, 4, 5)


@pytest.mark.parametrize("function", [alignment_loss, cosine_cost, squared_euclidean_cost])
@pytest.mark.parametrize(
    ("words", "regions", "error", "message"),
    [
        (WORDS, torch.ones(2, 4, 6), ValueError, "regions: expected features of width 5 as in words, got 6"),
        (WORDS, torch.ones(3, 4, 5), ValueError, "regions: expected 2 pairs as in words, got 3"),
        (WORDS[0], REGIONS, ValueError, r"words: expected shape \(B, W, H\), got \(3, 5\)"),
        (WORDS, REGIONS.int(), TypeError, "regions: expected a floating-point dtype, got torch.int32"),
        (WORDS, REGIONS.to("meta"), ValueError, "regions: expected device cpu as words, got meta"),
    ],
)
def test_points(function, words, regions, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        function(words, regions)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_vectors_that_are_not_finite(value: float) -> None:
    words, regions = WORDS.clone(), REGIONS.clone()
    words[0, 2, 1] = value
    with pytest.raises(ValueError, match=f"words: expected finite vectors, got norm {value} for pair 0, row 2"):
        alignment_loss(words, REGIONS)
    regions[1, 3, 0] = value
    with pytest.raises(ValueError, match=f"regions: expected finite vectors, got norm {value} for pair 1, row 3"):
        alignment_loss(WORDS, regions)


def test_loss_settings() -> None:
    with pytest.raises(ValueError, match="beta"):
        alignment_loss(WORDS, REGIONS, beta=0)
    with pytest.raises(TypeError, match="iterations"):
        alignment_loss(WORDS, REGIONS, iterations=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="word_mask"):
        alignment_loss(WORDS, REGIONS, word_mask=torch.ones(2, 3))
    with pytest.raises(ValueError, match="region_mask"):
        alignment_loss(WORDS, REGIONS, region_mask=torch.ones(2, 3).bool())
    with pytest.raises(ValueError, match="beta"):
        AlignmentLoss(beta=-1)
    with pytest.raises(ValueError, match="eps"):
        cosine_cost(WORDS, REGIONS, eps=0)


def test_importing_it_imports_nothing_but_torch() -> None:
    """Fast to import, and installable with torch alone."""
    code = (
        "import sys, torch; before = set(sys.modules); import uniter_ot;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert names == ["uniter_ot"]
