"""Every backend gives what the torch reference gives, whatever a pair stands beside; and how one is chosen.

Axes: B pairs, W words, R regions.
"""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot import TransportPlan, alignment_loss, alignment_loss_packed, ipot
from uniter_ot.backends import BACKENDS, cpp, plain, solver, triton

SETTINGS = [{}, {"schedule": "staged"}, {"inner": 3}, {"relaxation": 1.25}, {"schedule": "staged", "relaxation": 1.1}]
SHAPES = [(1, 1), (1, 9), (9, 1), (3, 5), (8, 8), (17, 33), (64, 128), (65, 129), (2, 200), (150, 3)]


def assert_same(got: TransportPlan, expected: TransportPlan, *, atol: float) -> None:
    for name in ("plan", "distance", "word_error", "region_error"):
        torch.testing.assert_close(getattr(got, name), getattr(expected, name), atol=atol, rtol=atol, msg=None)
    # Potentials may differ by a constant that goes from one side to the other.
    for solved in (got, expected):
        assert solved.word_potential is not None
        assert solved.region_potential is not None
    sums = [
        (solved.word_potential[:, :, None] + solved.region_potential[:, None, :]) * solved.problem.real  # type: ignore[index]
        for solved in (got, expected)
    ]
    torch.testing.assert_close(sums[0], sums[1], atol=max(atol, 1e-7), rtol=1e-5)


# Equality.


@settings(max_examples=200)
@given(
    data=st.data(),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16]),
    beta=st.sampled_from([0.5, 0.1, 0.02, 0.005]),
    arguments=st.sampled_from(SETTINGS),
    weighted=st.booleans(),
)
def test_equal_to_the_reference(
    problems: Callable,
    backend: str,
    data: st.DataObject,
    dtype: torch.dtype,
    beta: float,
    arguments: dict,
    weighted: bool,
) -> None:
    """Float64 of the reference on the same rounded costs; empty pairs, holes, NaN under masks."""
    problem = data.draw(problems())
    cost = problem.cost.to(dtype)
    garbage = cost.masked_fill(~problem.real, float("nan"))
    arguments = arguments | problem.masks | {"beta": beta, "iterations": 20} | (problem.weights if weighted else {})
    got = ipot(garbage, backend=backend, **arguments)
    expected = ipot(cost.double(), backend="torch", **arguments)
    atol = 1e-11 if dtype == torch.float64 else 2e-6 if beta == 0.5 else 2e-5
    if "relaxation" in arguments:  # it magnifies what weights lose in float32
        atol *= 10
    for name in ("plan", "distance", "word_error", "region_error"):
        torch.testing.assert_close(getattr(got, name).double(), getattr(expected, name), atol=atol, rtol=atol)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("arguments", SETTINGS)
def test_sizes(ragged: Callable, backend: str, shape: tuple[int, int], dtype: torch.dtype, arguments: dict) -> None:
    for beta in (0.5, 0.02):
        problem = ragged(sum(shape), (3, *shape), kind="uniform", keep=0.8)
        arguments = arguments | problem.masks | {"beta": beta, "iterations": 20}
        got = ipot(problem.cost.to(dtype), backend=backend, **arguments)
        expected = ipot(problem.cost.to(dtype), backend="torch", **arguments)
        assert_same(got, expected, atol=1e-11 if dtype == torch.float64 else 2e-6)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (17, 33), (60, 100)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("schedule", ["constant", "staged"])
def test_losses_and_their_gradients(
    ragged: Callable, backend: str, shape: tuple[int, int], dtype: torch.dtype, schedule: str
) -> None:
    problem = ragged(3, (4, *shape), keep=0.7)
    generator = torch.Generator().manual_seed(0)
    words = torch.randn(4, shape[0], 16, generator=generator, dtype=torch.float64).to(dtype)
    regions = torch.randn(4, shape[1], 16, generator=generator, dtype=torch.float64).to(dtype)

    def run(backend: str) -> tuple[Tensor, ...]:
        x, y = words.clone().requires_grad_(), regions.clone().requires_grad_()
        padded = alignment_loss(x, y, **problem.masks, schedule=schedule, backend=backend)
        counts = torch.tensor([1, 0, shape[0], 2 * shape[0] - 1]), torch.tensor([shape[1]] * 4)
        flat = x.reshape(-1, 16)[: int(counts[0].sum())], y.reshape(-1, 16)
        packed = alignment_loss_packed(*flat, *counts, schedule=schedule, backend=backend)
        return padded, packed, *torch.autograd.grad(padded.sum() - packed.sum(), (x, y))

    atol = 1e-11 if dtype == torch.float64 else 2e-6
    torch.testing.assert_close(run(backend), run("torch"), atol=atol, rtol=atol)


@settings(max_examples=200)
@given(data=st.data(), dtype=st.sampled_from([torch.float64, torch.float32]), beta=st.sampled_from([0.5, 0.02]))
def test_a_pair_does_not_feel_its_company(
    problems: Callable, backend: str, data: st.DataObject, dtype: torch.dtype, beta: float
) -> None:
    problem = data.draw(problems(longest=(20, 30)))
    cost = problem.cost.to(dtype)
    arguments = {"beta": beta, "iterations": 20, "backend": backend}
    together = ipot(cost, **problem.masks, **arguments)  # type: ignore[arg-type]
    for pair in range(len(cost)):
        only = slice(pair, pair + 1)
        masks = {name: mask[only] for name, mask in problem.masks.items()}
        alone = ipot(cost[only], **masks, **arguments)  # type: ignore[arg-type]
        if backend == "cpp":
            assert torch.equal(alone.plan[0], together.plan[pair])
            assert torch.equal(alone.distance[0], together.distance[pair])
        atol = 1e-12 if dtype == torch.float64 else 1e-7
        torch.testing.assert_close(alone.plan[0], together.plan[pair], atol=atol, rtol=0)
        torch.testing.assert_close(alone.distance[0], together.distance[pair], atol=10 * atol, rtol=0)


def test_threads_do_not_matter(ragged: Callable, backend: str) -> None:
    problem = ragged(0, (40, 20, 30), dtype=torch.float32)
    threads = torch.get_num_threads()
    plans = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            plans.append(ipot(problem.cost, **problem.masks, backend=backend).plan)
    finally:
        torch.set_num_threads(threads)
    for plan in plans[1:]:
        assert torch.equal(plan, plans[0])


def test_large_batches_are_solved_in_parts(ragged: Callable, backend: str) -> None:
    problem = ragged(0, (300, 30, 50), keep=0.5)
    together = ipot(problem.cost, **problem.masks, iterations=5, backend=backend)
    for part in (slice(0, 1), slice(100, 130), slice(299, 300)):
        masks = {name: mask[part] for name, mask in problem.masks.items()}
        alone = ipot(problem.cost[part], **masks, iterations=5, backend=backend)
        torch.testing.assert_close(alone.plan, together.plan[part], atol=1e-12, rtol=0)


# Choice.


def test_auto_takes_the_compiled_kernel_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = torch.zeros(1, 2, 2)
    monkeypatch.setattr(cpp, "why_not", lambda: None)
    assert solver("auto", cost) is cpp.solve
    monkeypatch.setattr(cpp, "why_not", lambda: "no C++ compiler found")
    assert solver("auto", cost) is plain.solve
    assert solver("auto", cost.to("meta")) is plain.solve


def test_a_backend_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = torch.zeros(1, 2, 2)
    monkeypatch.setattr(cpp, "why_not", lambda: "no C++ compiler found")
    with pytest.raises(RuntimeError, match="backend 'cpp' cannot run: no C\\+\\+ compiler found"):
        ipot(cost, backend="cpp")
    with pytest.raises(RuntimeError, match="backend 'cpp' cannot run: no C\\+\\+ compiler found"):
        alignment_loss(cost, cost, backend="cpp")
    torch.testing.assert_close(ipot(cost).plan, torch.full((1, 2, 2), 0.25))  # auto goes on without
    with pytest.raises(RuntimeError, match="backend 'triton' cannot run: it needs a CUDA tensor, got one on cpu"):
        ipot(cost, backend="triton")
    with pytest.raises(RuntimeError, match="backend 'cpp' cannot run: it needs a CPU tensor, got one on meta"):
        solver("cpp", cost.to("meta"))


def test_names() -> None:
    assert BACKENDS == ("auto", "torch", "cpp", "triton")
    assert solver("torch", torch.zeros(1, 2, 2)) is plain.solve
    with pytest.raises(ValueError, match="backend: expected one of auto, torch, cpp, triton, got 'cuda'"):
        ipot(torch.zeros(1, 2, 2), backend="cuda")


# CUDA, where there is one.


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("backend_", ["torch", "triton", "auto"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("schedule", ["constant", "staged"])
def test_cuda(ragged: Callable, backend_: str, dtype: torch.dtype, schedule: str) -> None:
    problem = ragged(0, (20, 33, 47), dtype=dtype)
    if triton.why_not(torch.device("cuda")) is None and backend_ == "auto":
        assert solver("auto", problem.cost.cuda()) is triton.solve
    words, regions = torch.randn(2, 20, 47, 16, generator=problem.generator, dtype=torch.float64).to(dtype)

    def run(device: str, backend: str) -> tuple[Tensor, ...]:
        masks = {name: mask.to(device) for name, mask in problem.masks.items()}
        arguments = {"schedule": schedule, "backend": backend}
        solved = ipot(problem.cost.to(device), **masks, **arguments)  # type: ignore[arg-type]
        x, y = words[:, :33].to(device).requires_grad_(), regions.to(device).requires_grad_()
        distance = alignment_loss(x, y, **masks, **arguments)  # type: ignore[arg-type]
        gradients = torch.autograd.grad(distance.sum(), (x, y))
        results = solved.plan, solved.distance, solved.region_error, distance, *gradients
        return tuple(result.cpu() for result in results)

    atol = 1e-10 if dtype == torch.float64 else 5e-6
    torch.testing.assert_close(run("cuda", backend_), run("cpu", "torch"), atol=atol, rtol=atol)
