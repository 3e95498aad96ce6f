"""The C++ kernel against the algorithm in `backends/solution.py`, written out pair by pair in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot.backends.cpp import library, solve, why_not
from uniter_ot.backends.solution import Solution, Steps

pytestmark = pytest.mark.skipif(library() is None, reason=f"no C++ kernel: {why_not()}")

STAGED = ((5, 1), (5, 2), (5, 4), (10, 8))


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def reference(cost: Tensor, a: Tensor, b: Tensor, steps: Steps) -> Tensor:
    """The plan (W, R) of one pair, all of whose entries are real."""
    exponents, log_a, log_b = cost.double() / steps.beta, a.double().log()[:, None], b.double().log()[None, :]
    log_plan, log_sigma, log_delta = torch.zeros_like(exponents), torch.zeros_like(log_a), torch.zeros_like(log_b)
    first, done, power_before = True, 0, steps.stages[0][1]
    for count, power in steps.stages:
        log_sigma, log_delta = log_sigma * (power / power_before), log_delta * (power / power_before)
        power_before = power
        for _ in range(count):
            done += 1
            log_plan = log_plan - power * exponents
            for k in range(steps.inner):
                plainly = first or (done == steps.iterations and k == steps.inner - 1)
                fresh = log_b - torch.logsumexp(log_plan + log_sigma, 0, keepdim=True)
                log_delta = fresh if first else log_delta + steps.relaxation * (fresh - log_delta)
                fresh = log_a - torch.logsumexp(log_plan + log_delta, 1, keepdim=True)
                log_sigma = fresh if plainly else log_sigma + steps.relaxation * (fresh - log_sigma)
                first = False
            log_plan = log_plan + log_sigma + log_delta
    return log_plan.exp()


def check(cost: Tensor, a: Tensor, b: Tensor, steps: Steps, *, plan_error: float, distance_error: float) -> Solution:
    """Solve, compare every field with the reference (absolute; the distance relative to the largest cost's share)."""
    solution = solve(cost, a, b, steps)
    for pair in range(len(cost)):
        words, regions = a[pair] != 0, b[pair] != 0
        plan, real_cost = torch.zeros_like(cost[pair], dtype=torch.float64), cost[pair][words][:, regions].double()
        rows, columns = a[pair].double(), b[pair].double()
        if not words.any() or not regions.any():
            assert all(not field[pair].any() for field in solution)
            continue
        exact = reference(real_cost, rows[words], columns[regions], steps)
        plan[words[:, None] & regions] = exact.flatten()
        got = [field[pair].double() for field in solution]
        assert torch.allclose(got[0], plan, rtol=0, atol=plan_error)
        assert (got[0] >= 0).all()
        assert not got[0][~(words[:, None] & regions)].any()
        scale = real_cost.abs().max().item() + 1e-30
        assert abs(got[1].item() - (exact * real_cost).sum().item()) <= distance_error * scale
        tiny = 1e-6 if cost.dtype == torch.float32 else 1e-13
        assert torch.allclose(got[0].sum(1)[words], rows[words], rtol=tiny, atol=0)
        assert got[2].item() == pytest.approx((got[0].sum(1) - rows).abs().sum().item(), abs=tiny)
        assert got[3].item() == pytest.approx((got[0].sum(0) - columns).abs().sum().item(), abs=tiny)
        assert not got[4][~words].any()
        assert not got[5][~regions].any()
        log_plan = got[4][words][:, None] + got[5][regions] - real_cost
        # float32 potentials carry their own rounding times total_power / beta
        rounding = scale * torch.finfo(cost.dtype).eps * steps.total_power / steps.beta
        bound = plan_error + 8 * rounding + 1e-12
        assert ((log_plan * steps.total_power / steps.beta).exp() - exact).abs().max() <= bound
    return solution


def weights(generator: torch.Generator, pairs: int, size: int, dtype: torch.dtype, *, uniform: bool) -> Tensor:
    """Positive on a random subset that may be empty, sums 1."""
    keep = torch.rand(pairs, size, generator=generator) < torch.rand(pairs, 1, generator=generator).add(0.3)
    mass = torch.ones(pairs, size) if uniform else torch.rand(pairs, size, generator=generator).pow(3) + 1e-3
    mass = mass.double() * keep
    return (mass / mass.sum(1, keepdim=True).clamp_min(1e-9)).to(dtype)


def costs(generator: torch.Generator, shape: tuple[int, int, int], kind: str) -> Tensor:
    """Of range about 1."""
    pairs, words, regions = shape
    if kind == "line":
        points = torch.rand(pairs, words + regions, generator=generator)
        return (points[:, :words, None] - points[:, None, words:]).abs().double()
    if kind == "blocks":
        return ((torch.rand(shape, generator=generator) < 0.5) + 0.01 * torch.rand(shape, generator=generator)).double()
    noise = torch.rand(shape, generator=generator).double()
    if kind == "far word":
        return 0.1 * noise + 0.9 * torch.rand(pairs, words, 1, generator=generator)
    return noise


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 130), st.integers(1, 130)),
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["uniform", "line", "blocks", "far word"]),
    ratio=st.sampled_from([0.1, 1.0, 4.0, 8.0, 16.0, 23.9, 25.0, 60.0, 400.0]),
    stages=st.sampled_from([((1, 1),), ((2, 1),), ((20, 1),), ((12, 3),), STAGED, ((5, 4), (5, 1))]),
    inner=st.integers(1, 3),
    relaxation=st.sampled_from([1.0, 1.0, 1.2]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    uniform=st.booleans(),
    masked=st.sampled_from([float("nan"), float("inf"), 0.0]),
)
def test_equals_the_algorithm(shape, seed, kind, ratio, stages, inner, relaxation, dtype, uniform, masked):
    generator = torch.Generator().manual_seed(seed)
    pairs, words, regions = shape
    a = weights(generator, pairs, words, dtype, uniform=uniform)
    b = weights(generator, pairs, regions, dtype, uniform=uniform)
    cost = (costs(generator, shape, kind) * 3).to(dtype)
    cost = cost.masked_fill((a == 0)[:, :, None] | (b == 0)[:, None, :], masked)
    steps = Steps(beta=3 / ratio, stages=stages, inner=inner, relaxation=relaxation)
    plan_error = 3e-6 if dtype == torch.float32 else 1e-10
    check(cost, a, b, steps, plan_error=plan_error, distance_error=4 * plan_error)


@pytest.mark.parametrize("shape", [(8, 2, 2), (8, 3, 5), (8, 20, 36), (4, 60, 100), (4, 61, 17), (2, 130, 129)])
def test_float32_accuracy_at_the_defaults(shape):
    generator = torch.Generator().manual_seed(0)
    pairs, words, regions = shape
    cost = 1 - torch.randn(shape, generator=generator).mul(0.2).clamp(-1, 1)
    a, b = torch.full((pairs, words), 1 / words), torch.full((pairs, regions), 1 / regions)
    steps = Steps(beta=0.5, stages=((50, 1),))
    solution = check(cost, a, b, steps, plan_error=2e-7, distance_error=1e-6)
    exact = torch.stack([(reference(*pair, steps) * pair[0]).sum() for pair in zip(cost, a, b, strict=True)])
    assert ((solution.distance - exact) / exact).abs().max() <= 1e-6


@pytest.mark.parametrize(("ratio", "iterations", "error"), [(400, 50, 2e-5), (100, 50, 2e-5), (8, 500, 1e-4)])
@pytest.mark.parametrize("kind", ["uniform", "line", "blocks", "far word"])
def test_float32_accuracy_at_hard_costs(ratio, iterations, error, kind):
    generator = torch.Generator().manual_seed(1)
    for words, regions in ((2, 2), (5, 3), (33, 40)):
        cost = costs(generator, (3, words, regions), kind).float()
        a, b = torch.full((3, words), 1 / words), torch.full((3, regions), 1 / regions)
        steps = Steps(beta=1 / ratio, stages=((iterations, 1),))
        check(cost, a, b, steps, plan_error=error, distance_error=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_real_entry_that_is_not_finite_spoils_its_pair_alone(dtype, bad):
    cost = torch.rand(3, 5, 19, dtype=dtype)
    good = solve(cost, *uniform(cost), Steps(beta=0.5, stages=((20, 1),)))
    cost[1, 4, 18] = bad
    solution = solve(cost, *uniform(cost), Steps(beta=0.5, stages=((20, 1),)))
    assert solution.distance.isnan().tolist() == [False, True, False]
    assert not solution.plan[1].any()
    assert not solution.word_potential[1].any()
    assert not solution.region_potential[1].any()
    assert solution.word_error[1].item() == pytest.approx(1)
    for before, after in zip(good, solution, strict=True):
        assert torch.equal(before[[0, 2]], after[[0, 2]])


def test_overflow_of_cost_over_beta_is_reported():
    cost = torch.tensor([[[1e300, 0.0], [0.0, 1e300]]], dtype=torch.float64)
    solution = solve(cost, *uniform(cost), Steps(beta=1e-20, stages=((5, 1),)))
    assert solution.distance.isnan().all()
    assert not solution.plan.any()


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_extreme_costs_and_weights_stay_finite(scale):
    generator = torch.Generator().manual_seed(2)
    cost = torch.rand(2, 7, 9, generator=generator) * scale
    a, b = uniform(cost)
    a[:, 0], b[:, 1] = 1e-30, 1e-25
    a[1, 2:], b[1, 3] = 1e-20, 1e-38
    a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
    for beta in (0.5, scale / 5, scale * 100):
        for field in solve(cost, a, b, Steps(beta=beta, stages=((30, 1),))):
            assert field.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("relaxation", [1.5, 1.9])
def test_a_relaxation_that_diverges_gives_no_nan(dtype, relaxation):
    cost = torch.rand(2, 20, 30, generator=torch.Generator().manual_seed(3)).to(dtype) * 10
    a, b = uniform(cost)
    plan = solve(cost, a, b, Steps(beta=1.0, stages=((200, 1),), relaxation=relaxation)).plan
    assert torch.allclose(plan.sum(2), a, rtol=1e-5, atol=0)


@pytest.mark.parametrize("beta", [0.5, 0.01])
def test_any_number_of_threads_gives_the_same(beta):
    generator = torch.Generator().manual_seed(4)
    cost = torch.rand(300, 30, 50, generator=generator)
    a = weights(generator, 300, 30, torch.float32, uniform=True)
    b = weights(generator, 300, 50, torch.float32, uniform=True)
    answers = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        answers.append(solve(cost, a, b, Steps(beta=beta, stages=((30, 1),))))
    for other in answers[1:]:
        assert all(torch.equal(one, two) for one, two in zip(answers[0], other, strict=True))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
def test_empty_batches_and_sides(shape):
    cost = torch.ones(shape)
    solution = solve(cost, torch.ones(shape[:2]), torch.ones(shape[0], shape[2]), Steps(beta=0.5, stages=((5, 1),)))
    assert solution.plan.shape == shape
    assert all(not field.any() for field in solution)


def test_padding_and_strides_change_nothing():
    generator = torch.Generator().manual_seed(5)
    cost = torch.rand(3, 21, 37, generator=generator)
    steps = Steps(beta=0.1, stages=((20, 1),))
    a, b = uniform(cost)
    alone = solve(cost, a, b, steps)
    wide = torch.full((3, 50, 64), float("nan"))
    wide[:, 3:24, 5:42] = cost
    wide_a, wide_b = torch.zeros(3, 50), torch.zeros(3, 64)
    wide_a[:, 3:24], wide_b[:, 5:42] = a, b
    strided = wide.mT.contiguous().mT
    assert not strided.is_contiguous()
    padded = solve(strided, wide_a, wide_b, steps)
    assert torch.equal(padded.plan[:, 3:24, 5:42], alone.plan)
    assert torch.equal(padded.distance, alone.distance)
    assert padded.plan.count_nonzero() == alone.plan.count_nonzero()


def test_other_dtypes_and_shapes_are_refused():
    cost = torch.rand(2, 3, 4)
    a, b = uniform(cost)
    steps = Steps(beta=0.5, stages=((5, 1),))
    with pytest.raises(TypeError, match="float32 or float64"):
        solve(cost.half(), a.half(), b.half(), steps)
    with pytest.raises(TypeError, match="float64"):
        solve(cost, a.double(), b, steps)
    with pytest.raises(ValueError, match="weights"):
        solve(cost, b, a, steps)


def uniform(cost: Tensor) -> tuple[Tensor, Tensor]:
    pairs, words, regions = cost.shape
    return cost.new_full((pairs, words), 1 / max(words, 1)), cost.new_full((pairs, regions), 1 / max(regions, 1))
