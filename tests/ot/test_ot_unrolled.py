"""The gradient through the iterations: equal values, right slopes after any number of them, to the second order."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot import AlignmentLoss, alignment_loss, ipot
from uniter_ot.backends.solution import Steps
from uniter_ot.ipot import proximal_steps
from uniter_ot.problem import pose
from uniter_ot.unrolled import unrolled_plan

SETTINGS = [{}, {"schedule": "staged"}, {"inner": 3, "relaxation": 1.3}, {"beta": 0.02}]


def points(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=200)
@given(data=st.data(), iterations=st.integers(1, 12), arguments=st.sampled_from(SETTINGS))
def test_plan_is_that_of_the_loops(
    problems: Callable, backend: str, data: st.DataObject, iterations: int, arguments: dict
) -> None:
    problem = data.draw(problems(longest=(12, 16)))
    steps = proximal_steps(iterations=iterations, **arguments)
    plan = unrolled_plan(pose(problem.cost, **problem.masks, **problem.weights), steps)
    solved = ipot(problem.cost, **problem.masks, **problem.weights, iterations=iterations, backend=backend, **arguments)
    torch.testing.assert_close(plan, solved.plan, atol=1e-11, rtol=0)


@pytest.mark.parametrize("iterations", [1, 2, 7])
@pytest.mark.parametrize("arguments", SETTINGS)
def test_plan_has_the_slope_of_its_iterations(ragged: Callable, iterations: int, arguments: dict) -> None:
    problem = ragged(1, (2, 3, 4), keep=0.7)
    steps = proximal_steps(iterations=iterations, **({"beta": 0.3} | arguments))
    weights = pose(problem.cost, **problem.masks)

    def plan(cost: Tensor) -> Tensor:
        return unrolled_plan(pose(cost, **problem.masks), steps)

    assert weights.real.any()
    assert torch.autograd.gradcheck(plan, problem.cost.requires_grad_(), atol=1e-6)


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)),
    keep=st.sampled_from([0.4, 1.0]),
    iterations=st.integers(1, 8),
    schedule=st.sampled_from(["constant", "staged"]),
)
def test_loss_has_the_slope_of_its_iterations(
    ragged: Callable, seed: int, shape: tuple[int, int, int], keep: float, iterations: int, schedule: str
) -> None:
    """At any number of iterations, which the gradient with the plan held has not: along a random direction."""
    problem = ragged(seed, shape, keep=keep)
    words, regions = points(shape[0], shape[1], 4, seed=seed), points(shape[0], shape[2], 4, seed=seed + 1)
    direction = points(*words.shape, seed=seed + 2), points(*regions.shape, seed=seed + 3)
    at = torch.zeros((), dtype=torch.float64, requires_grad=True)

    def distance(step: Tensor) -> Tensor:
        x, y = words + step * direction[0], regions + step * direction[1]
        arguments = {"iterations": iterations, "schedule": schedule, "grad": "unrolled"}
        return alignment_loss(x, y, **problem.masks, **arguments).sum()  # type: ignore[arg-type]

    (slope,) = torch.autograd.grad(distance(at), at)
    h = 1e-4
    numeric = (8 * (distance(at + h) - distance(at - h)) - (distance(at + 2 * h) - distance(at - 2 * h))) / (12 * h)
    torch.testing.assert_close(slope, numeric, atol=1e-6, rtol=1e-6)


def test_loss_and_its_slope_are_right_to_the_second_order() -> None:
    words, regions = points(2, 3, 3).requires_grad_(), points(2, 2, 3, seed=1).requires_grad_()
    mask = torch.tensor([[True, False, True], [True, True, True]])
    loss = AlignmentLoss(iterations=3, grad="unrolled")
    assert torch.autograd.gradcheck(lambda x, y: loss(x, y, word_mask=mask), (words, regions))
    assert torch.autograd.gradgradcheck(lambda x, y: loss(x, y, word_mask=mask), (words, regions))


def test_converged_it_is_the_envelope_gradient() -> None:
    """Where the plan no longer moves, it does not matter whether one differentiates it."""
    words = points(2, 4, 8).requires_grad_()
    regions = words.detach()[:, [2, 0, 3, 1]] + 0.1 * points(2, 4, 8, seed=1)
    held, through = (
        torch.autograd.grad(alignment_loss(words, regions, iterations=100, grad=grad).sum(), words)[0]
        for grad in ("envelope", "unrolled")
    )
    torch.testing.assert_close(through, held, atol=1e-9, rtol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_stands_under_masks_reaches_no_gradient(value: float) -> None:
    words, regions = points(2, 3, 3), points(2, 4, 3, seed=1)
    word_mask = torch.tensor([[True, False, True], [False, False, False]])
    words = words.masked_fill(~word_mask[:, :, None], value).requires_grad_()
    distance = alignment_loss(words, regions, word_mask=word_mask, iterations=5, grad="unrolled")
    (gradient,) = torch.autograd.grad(distance.sum(), words)
    assert distance[1] == 0
    assert (gradient[~word_mask] == 0).all()
    assert (gradient[0, [0, 2]] != 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast(dtype: torch.dtype) -> None:
    words, regions = points(2, 3, 8).to(dtype), points(2, 4, 8, seed=1).to(dtype)
    expected = alignment_loss(words.float(), regions.float(), iterations=10, grad="unrolled")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = alignment_loss(words, regions, iterations=10, grad="unrolled")
    assert got.dtype == torch.float32
    assert torch.equal(got, expected)


def test_empty_sides_and_weights_of_zero() -> None:
    steps = Steps(beta=0.5, stages=((3, 1),))
    for shape in (0, 2, 3), (2, 0, 3), (2, 3, 0):
        assert unrolled_plan(pose(torch.zeros(shape)), steps).shape == shape
    weights = torch.tensor([[0.0, 1.0]])
    plan = unrolled_plan(pose(torch.tensor([[[float("nan"), 0.0], [3.0, 1.0]]]), word_weights=weights), steps)
    torch.testing.assert_close(plan, torch.tensor([[[0.0, 0.0], [0.5, 0.5]]]))
