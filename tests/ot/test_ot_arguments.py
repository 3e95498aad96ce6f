"""Wrong arguments are named, with what was expected and what came."""

import math
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from uniter_ot import AlignmentLoss, alignment_loss, cosine_cost, ipot, squared_euclidean_cost, wra_loss

COST = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
THIRDS = torch.full((2, 3), 1 / 3)


def changed(tensor: Tensor, value: float, *place: int) -> Tensor:
    tensor = tensor.clone()
    tensor[place] = value
    return tensor


WEIGHTS = [
    ({"word_weights": THIRDS * 1.01}, ValueError, "word_weights: expected weights that add up to 1, got a sum of 1.01"),
    ({"word_weights": changed(THIRDS, 0, 1, 2)}, ValueError, "word_weights: .* got a sum of 0.666.* for pair 1"),
    (
        {"word_weights": changed(THIRDS, -0.1, 1, 2)},
        ValueError,
        "word_weights: expected finite numbers of at least 0, got -0.1.* for pair 1, point 2",
    ),
    ({"word_weights": changed(THIRDS, math.nan, 0, 1)}, ValueError, "word_weights: .* got nan for pair 0, point 1"),
    ({"region_weights": torch.full((2, 4), math.inf)}, ValueError, "region_weights: .* got inf for pair 0, point 0"),
    ({"region_weights": THIRDS}, ValueError, r"region_weights: expected shape \(2, 4\), got \(2, 3\)"),
    ({"region_weights": THIRDS[0]}, ValueError, r"region_weights: expected shape \(B, L\), got \(3,\)"),
    (
        {"word_weights": torch.ones(2, 3).long()},
        TypeError,
        "word_weights: expected a floating-point dtype, got torch.int64",
    ),
    ({"word_weights": [1, 2, 3]}, TypeError, "word_weights: expected a torch.Tensor .* got list"),
    ({"word_weights": THIRDS.to("meta")}, ValueError, "word_weights: expected device cpu, got meta"),
]

SETTINGS = [
    ({"beta": 0}, ValueError, "beta: expected a finite number above 0, got 0"),
    ({"beta": -0.5}, ValueError, "beta: .* got -0.5"),
    ({"beta": math.nan}, ValueError, "beta: .* got nan"),
    ({"beta": math.inf}, ValueError, "beta: .* got inf"),
    ({"iterations": 0}, ValueError, "iterations: expected at least 1, got 0"),
    ({"iterations": 2.0}, TypeError, "iterations: expected an int, got float"),
    ({"schedule": "linear"}, ValueError, "schedule: expected one of constant, staged, got 'linear'"),
    ({"backend": "numpy"}, ValueError, "backend: expected one of auto, torch, cpp, triton, got 'numpy'"),
]

MASKS = [
    ({"word_mask": torch.ones(2, 3)}, TypeError, "word_mask: expected a boolean tensor .* got torch.float32"),
    ({"word_mask": [True]}, TypeError, "word_mask: expected a boolean tensor .* got list"),
    ({"word_mask": torch.ones(2, 4).bool()}, ValueError, r"word_mask: expected shape \(2, 3\), got \(2, 4\)"),
    ({"region_mask": torch.ones(4).bool()}, ValueError, r"region_mask: expected shape \(2, 4\), got \(4,\)"),
    ({"region_mask": torch.ones(2, 4).bool().to("meta")}, ValueError, "region_mask: expected device cpu, got meta"),
]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cost": COST[0]}, ValueError, r"cost: expected shape \(B, W, R\), got \(3, 4\)"),
        ({"cost": COST.long()}, TypeError, "cost: expected a floating-point dtype, got torch.int64"),
        ({"cost": COST > 0}, TypeError, "cost: expected a floating-point dtype, got torch.bool"),
        ({"cost": COST + 0j}, TypeError, "cost: expected a floating-point dtype, got torch.complex64"),
        ({"cost": COST.tolist()}, TypeError, r"cost: expected a torch.Tensor of shape \(B, W, R\), got list"),
        ({"beta": 1e-320}, ValueError, "beta: 1e-320 is too small"),
        ({"inner": 0}, ValueError, "inner: expected at least 1, got 0"),
        ({"inner": True}, TypeError, "inner: expected an int, got bool"),
        ({"relaxation": 0.9}, ValueError, r"relaxation: expected a number in \[1, 1.333\), got 0.9"),
        ({"relaxation": 4 / 3}, ValueError, r"relaxation: expected a number in \[1, 1.333\), got 1.333"),
        ({"relaxation": 1.6, "inner": 2}, ValueError, r"relaxation: expected a number in \[1, 1.577\), got 1.6"),
        ({"relaxation": math.nan}, ValueError, "relaxation: .* got nan"),
        *SETTINGS,
        *MASKS,
        *WEIGHTS,
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


@pytest.mark.parametrize("grad", ["envelope", "unrolled"])
@pytest.mark.parametrize(("arguments", "error", "message"), [*SETTINGS, *MASKS, *WEIGHTS])
def test_alignment_loss(grad: str, arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        alignment_loss(WORDS, REGIONS, grad=grad, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("arguments", "error", "message"), SETTINGS)
def test_the_module_says_so_when_it_is_made(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AlignmentLoss(**arguments)


def test_other_settings() -> None:
    with pytest.raises(ValueError, match="grad: expected one of envelope, unrolled, got 'implicit'"):
        alignment_loss(WORDS, REGIONS, grad="implicit")
    with pytest.raises(ValueError, match="grad: expected one of envelope, unrolled, got 'implicit'"):
        AlignmentLoss(grad="implicit")
    with pytest.raises(ValueError, match="eps"):
        cosine_cost(WORDS, REGIONS, eps=0)
    with pytest.raises(TypeError, match="matched: expected a boolean tensor"):
        wra_loss(torch.ones(2), torch.ones(2).long())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_may_be_as_coarse_as_their_dtype(dtype: torch.dtype) -> None:
    """A third in half precision is no third; what sums to 1 up to that is made to, exactly."""
    weights = torch.full((2, 3), 1 / 3, dtype=torch.float64).to(dtype)
    solved = ipot(COST.double(), word_weights=weights)
    torch.testing.assert_close(solved.plan.sum((1, 2)), torch.ones(2, dtype=torch.float64), atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="word_weights: expected weights that add up to 1"):
        ipot(COST, word_weights=weights * 1.02)


def test_what_stands_under_a_mask_is_not_looked_at() -> None:
    mask = torch.tensor([[True, True, False], [True, False, True]])
    weights = torch.tensor([[0.4, 0.6, math.nan], [0.1, -3.0, 0.9]])
    cost = COST.masked_fill(~mask[:, :, None], math.inf)
    assert ipot(cost, word_mask=mask, word_weights=weights).plan.isfinite().all()


def fresh(code: str) -> str:
    """What a process of its own prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_it_imports_nothing_but_torch() -> None:
    """Installable with torch alone, and no compiler, plot or solver is loaded before it is asked for."""
    code = (
        "import sys, torch; before = set(sys.modules); import uniter_ot;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}));"
        "print(*sorted({'triton', 'matplotlib', 'ot', 'rich', 'scipy'} & set(sys.modules) - before))"
    )
    names, heavy = fresh(code).split("\n")[:2]
    assert names == "uniter_ot"
    assert heavy == ""


def test_importing_it_is_quick() -> None:
    """0.2 s beyond torch at most; a shared machine may stall, so one of three has to stay below 0.5."""
    code = "import time, torch; start = time.perf_counter(); import uniter_ot; print(time.perf_counter() - start)"
    assert any(float(fresh(code)) < 0.5 for _ in range(3))
