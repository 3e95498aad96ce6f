"""The Triton backend against Algorithm 1 on logarithms in float64. B pairs, W words, R regions.

Every function `check_*` below takes a device. They run in Triton's interpreter, and on a GPU where there is one. The
interpreter has to be chosen before triton is first imported, which other tests of this process may have done: so this
file runs itself as a script, `python test_ot_triton.py`, once, and prints a line of JSON for each check.
"""

import json
import math
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
import torch
from torch import Tensor

from uniter_ot.backends import triton as backend
from uniter_ot.backends.solution import Solution, Steps

CPU = torch.device("cpu")
STAGED = ((3, 1), (3, 2), (4, 8))


class Case(NamedTuple):
    cost: Tensor
    word_weights: Tensor
    region_weights: Tensor

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Case":
        return Case(*(part.to(device, dtype) for part in self))

    @property
    def real(self) -> Tensor:
        return (self.word_weights > 0)[:, :, None] & (self.region_weights > 0)[:, None, :]


def draw(shape: tuple[int, int, int], *, seed: int = 0, keep: float = 1.0, uniform: bool = True) -> Case:
    """Costs in [0, 2]; a share `keep` of the points present, the others with NaN costs; weights that add up to 1."""
    generator = torch.Generator().manual_seed(seed)
    pairs, words, regions = shape
    cost = 2 * torch.rand(shape, generator=generator)
    weights = []
    for length in (words, regions):
        present = torch.rand(pairs, length, generator=generator) <= keep
        raw = present.double() * (1 if uniform else 0.05 + torch.rand(pairs, length, generator=generator).double())
        weights.append(raw / raw.sum(1, keepdim=True).clamp_min(1e-9))
    case = Case(cost.double(), *weights)
    return case._replace(cost=case.cost.masked_fill(~case.real, math.nan))


def log_plan(cost: Tensor, a: Tensor, b: Tensor, steps: Steps) -> Tensor:
    """Algorithm 1 as `uniter_ot.backends.solution` says it, for one pair (W, R) of present points, in float64."""
    log_t, log_sigma, log_delta = torch.zeros_like(cost), torch.zeros_like(a), torch.zeros_like(b)
    updates, last_power = 0, steps.stages[0][1]
    for count, power in steps.stages:
        log_sigma, log_delta, last_power = log_sigma * power / last_power, log_delta * power / last_power, power
        for _ in range(count):
            log_t = log_t - power * cost / steps.beta
            for _ in range(steps.inner):
                first, last = updates == 0, updates == steps.iterations * steps.inner - 1
                new = b.log() - torch.logsumexp(log_t + log_sigma[:, None], 0)
                log_delta = new if first else log_delta + steps.relaxation * (new - log_delta)
                new = a.log() - torch.logsumexp(log_t + log_delta, 1)
                log_sigma = new if first or last else log_sigma + steps.relaxation * (new - log_sigma)
                updates += 1
            log_t = log_t + log_sigma[:, None] + log_delta
    return log_t


def solve(case: Case, steps: Steps) -> Solution:
    """The backend's answer on the CPU, after what must hold of every answer to a finite problem."""
    solved = Solution(*(part.cpu() for part in backend.solve(*case, steps)))
    real, dtype, (a, b) = case.real.cpu(), case.cost.dtype, (part.cpu().double() for part in case[1:])
    assert all(part.dtype == dtype for part in solved), "dtype"
    assert all(part.isfinite().all() for part in solved), "finite"
    assert (solved.plan >= 0).all()
    assert (solved.plan[~real] == 0).all(), "plan where there is nothing"
    assert (solved.word_potential[~real.any(2)] == 0).all()
    assert (solved.region_potential[~real.any(1)] == 0).all()
    plan, cost, tolerance = solved.plan.double(), case.cost.cpu().double(), 1e-6 if dtype == torch.float32 else 1e-13
    a, b = a * real.any(2), b * real.any(1)
    assert_close("word marginal", plan.sum(2) / a.clamp_min(1e-30), (a > 0).double(), tolerance)
    assert_close("word error", solved.word_error, (plan.sum(2) - a).abs().sum(1), tolerance)
    assert_close("region error", solved.region_error, (plan.sum(1) - b).abs().sum(1), tolerance)
    products = plan * cost.masked_fill(~real, 0)
    assert_close(
        "distance", solved.distance, products.sum((1, 2)), tolerance * max(1, products.sum((1, 2)).abs().max())
    )
    return solved


def compare(case: Case, steps: Steps, tolerance: float) -> None:
    """Hold plan, distance and potentials against the reference."""
    solved = solve(case, steps)
    cost, real = case.cost.cpu().double(), case.real.cpu()
    for pair in range(len(cost)):
        words, regions = real[pair].any(1), real[pair].any(0)
        if not words.any():
            assert all((part[pair] == 0).all() for part in solved), "an empty pair"
            continue
        alone = cost[pair][words][:, regions]
        a, b = case.word_weights[pair].cpu()[words].double(), case.region_weights[pair].cpu()[regions].double()
        expected = log_plan(alone, a, b, steps)
        assert_close(f"plan {pair}", solved.plan[pair][words][:, regions], expected.exp(), tolerance)
        distance = (expected.exp() * alone).sum()
        assert_close(f"distance {pair}", solved.distance[pair] / distance, torch.ones(()), 10 * tolerance)
        f, g = solved.word_potential[pair][words].double(), solved.region_potential[pair][regions].double()
        seen, scale = expected > -15, steps.total_power / steps.beta
        # Potentials are rounded to their dtype, and log T is a large multiple of their difference.
        rounding = torch.finfo(solved.plan.dtype).eps * scale * 4 * alone.abs().max().item()
        potentials = (f[:, None] + g - alone) * scale
        assert_close(f"potentials {pair}", potentials[seen], expected[seen], rounding + 100 * tolerance)


def assert_close(what: str, found: Tensor, expected: Tensor, tolerance: float) -> None:
    error = (found.double() - expected.double()).abs().max().item() if found.numel() else 0.0
    assert error <= tolerance, f"{what}: off by {error:.2e}, allowed {tolerance:.2e}"


# The checks.


def check_odd_sizes(device: torch.device) -> None:
    for shape in [(1, 1, 1), (1, 1, 9), (1, 9, 1), (2, 5, 33), (1, 13, 70), (1, 33, 31)]:
        compare(draw(shape).to(device), Steps(beta=0.5, stages=((8, 1),)), 2e-7)


def check_holes_and_empty_pairs(device: torch.device) -> None:
    case = draw((7, 4, 5), seed=3, keep=0.5)
    assert not case.real.any((1, 2)).all(), "the case lacks an empty pair"
    assert case.real.any((1, 2)).any()
    compare(case.to(device), Steps(beta=0.5, stages=((8, 1),)), 2e-7)
    one_sided = Case(case.cost, torch.full((7, 4), 0.25), torch.zeros(7, 5)).to(device)
    assert all((part == 0).all() for part in solve(one_sided, Steps(beta=0.5, stages=((2, 1),))))


def check_weights_that_differ(device: torch.device) -> None:
    compare(draw((2, 6, 11), keep=0.8, uniform=False).to(device), Steps(beta=0.3, stages=((10, 1),)), 2e-7)
    tiny = draw((1, 4, 3))
    tiny.word_weights[0] = torch.tensor([1e-20, 0.5, 0.5, 1e-6])
    compare(tiny.to(device), Steps(beta=0.3, stages=((10, 1),)), 2e-7)


def check_inner_updates(device: torch.device) -> None:
    for inner in (1, 2, 3):
        compare(draw((1, 5, 7)).to(device), Steps(beta=0.5, stages=((6, 1),), inner=inner), 2e-7)


def check_stages_and_relaxation(device: torch.device) -> None:
    for stages in (((10, 1),), STAGED, ((1, 4), (2, 1)), ((1, 1),) * backend.MOST_STAGES):
        for relaxation in (1.0, 1.3):
            for inner in (1, 2):
                steps = Steps(beta=0.5, stages=stages, inner=inner, relaxation=relaxation)
                compare(draw((1, 5, 7)).to(device), steps, 2e-7)


def check_float64(device: torch.device) -> None:
    case = draw((2, 5, 7), keep=0.8, uniform=False).to(device, torch.float64)
    for beta, tolerance in ((20.0, 1e-14), (0.5, 1e-14), (0.005, 1e-12)):
        compare(case, Steps(beta=beta, stages=STAGED, inner=2, relaxation=1.2), tolerance)


def check_ranges(device: torch.device) -> None:
    for ratio, tolerance in ((0.1, 2e-7), (4, 2e-7), (8, 2e-7), (24, 1e-6), (60, 2e-5), (400, 2e-5)):
        compare(draw((1, 14, 7)).to(device), Steps(beta=2 / ratio, stages=((50, 1),)), tolerance)
        compare(draw((1, 5, 9)).to(device), Steps(beta=2 / ratio, stages=((10, 1), (10, 2), (20, 8))), tolerance)
    # Float32 would not do here: the iteration magnifies what is rounded.
    compare(draw((1, 9, 14), seed=2).to(device), Steps(beta=2 / 400, stages=((300, 1),)), 1e-6)


def check_structured_costs(device: torch.device) -> None:
    """Outliers, blocks, ramps and single cheap cells: entries that underflow and come back."""
    words, regions = 6, 8
    outlier = 0.01 * draw((1, words, regions)).cost[0]
    outlier[3], outlier[:, 5] = 1, 1
    blocks = 1 - torch.block_diag(*[torch.ones(3, 4)] * 2)
    ramp = torch.linspace(0, 1, words)[:, None] * torch.linspace(1, 0, regions)
    cheap = torch.ones(words, regions)
    cheap[2, 7] = 1e-3
    cost = torch.stack([outlier.float(), blocks + 0.1, ramp, cheap, 5 + ramp**8])
    case = Case(cost, torch.full((5, words), 1 / words), torch.full((5, regions), 1 / regions)).to(device)
    for ratio in (8, 100, 400):
        compare(case, Steps(beta=1 / ratio, stages=((20, 1),)), 2e-5)


def check_costs_far_from_zero(device: torch.device) -> None:
    """Constants of rows and columns are taken away: a cost of 1000 with a range of 2 is solved as well as its dtype."""
    case = draw((1, 6, 5))
    case.cost.add_(1000).add_(torch.arange(6)[:, None] * 100)
    compare(case.to(device)._replace(cost=case.cost.float().to(device)), Steps(beta=0.5, stages=((20, 1),)), 1e-6)
    compare(draw((1, 6, 5)).to(device), Steps(beta=1e-4, stages=((20, 1),)), 2e-5)


def check_costs_that_are_not_finite(device: torch.device) -> None:
    case, steps = draw((4, 4, 5)).to(device), Steps(beta=0.5, stages=((5, 1),))
    clean = solve(case, steps)
    spoilt = case._replace(cost=case.cost.clone())
    spoilt.cost[0, 1, 2], spoilt.cost[1, 3, 4], spoilt.cost[3, 0, 0] = math.nan, math.inf, -math.inf
    solved = Solution(*(part.cpu() for part in backend.solve(*spoilt, steps)))
    assert solved.distance.isnan().tolist() == [True, True, False, True]
    assert solved.plan[:2].isnan().all()
    assert all(torch.equal(found[2], expected[2]) for found, expected in zip(solved, clean, strict=True))
    for cost, beta in ((1e38, 0.01), (3e38, 1.0), (1.0, 1e-38)):
        spoilt.cost.fill_(0).diagonal(dim1=1, dim2=2).fill_(cost)
        assert backend.solve(*spoilt, Steps(beta=beta, stages=((5, 1),))).distance.isnan().all(), (cost, beta)
    spoilt.cost.mul_(1e20)
    solve(spoilt, Steps(beta=1e-5, stages=((5, 1),)))


def check_no_dimension(device: torch.device) -> None:
    for pairs, words, regions in [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)]:
        case = Case(torch.ones(pairs, words, regions), torch.ones(pairs, words), torch.ones(pairs, regions)).to(device)
        solved = backend.solve(*case, Steps(beta=0.5, stages=((2, 1),)))
        shapes = [tuple(part.shape) for part in solved]
        assert shapes == [(pairs, words, regions), (pairs,), (pairs,), (pairs,), (pairs, words), (pairs, regions)]
        assert all((part == 0).all() for part in solved)


def check_pairs_stand_alone_and_repeat(device: torch.device) -> None:
    case, steps = draw((4, 6, 9), keep=0.7).to(device), Steps(beta=0.2, stages=STAGED)
    together = solve(case, steps)
    assert all(torch.equal(x, y) for x, y in zip(together, solve(case, steps), strict=True)), "two runs differ"
    for pair in range(4):
        alone = solve(Case(*(part[pair : pair + 1] for part in case)), steps)
        assert all(torch.equal(x[pair], y[0]) for x, y in zip(together, alone, strict=True)), pair
    strided = Case(case.cost.mT.contiguous().mT, case.word_weights.T.contiguous().T, case.region_weights)
    assert torch.equal(solve(strided, steps).plan, together.plan), "strides"


def check_writes_stay_inside(device: torch.device) -> None:
    buffers, plain = [], Tensor.new_empty

    def guarded(self: Tensor, *shape: Any, **others: Any) -> Tensor:
        if others:  # the interpreter's own
            return plain(self, *shape, **others)
        size = shape if isinstance(shape[0], int) else shape[0]
        buffers.append(torch.full((math.prod(size) + 8192,), 7, dtype=self.dtype, device=self.device))
        return buffers[-1][4096:-4096].view(size)

    with mock.patch.object(Tensor, "new_empty", guarded):
        solve(draw((3, 5, 35), keep=0.8).to(device), Steps(beta=0.5, stages=((2, 1),)))
    assert len(buffers) == len(Solution._fields)
    assert all((buffer[:4096] == 7).all() and (buffer[-4096:] == 7).all() for buffer in buffers)


CHECKS: dict[str, Callable[[torch.device], None]] = {
    name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")
}


# How they are run.


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    """What each check said in the interpreter: seconds and, where it failed, a traceback."""
    pytest.importorskip("triton")
    pytest.importorskip("numpy")  # the interpreter computes with it
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"the interpreter's process ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", CHECKS)
def test_in_the_interpreter(interpreted: dict[str, Any], name: str) -> None:
    failure = interpreted[name]["failure"]
    assert not failure, f"\n{failure}"


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: the kernel ran interpreted only")


@needs_cuda
@pytest.mark.parametrize("name", CHECKS)
def test_on_cuda(name: str) -> None:
    CHECKS[name](torch.device("cuda"))


@needs_cuda
def test_a_solve_is_one_launch_that_nothing_waits_for() -> None:
    case, steps = draw((64, 60, 100)).to(torch.device("cuda")), Steps(beta=0.5, stages=((50, 1),))
    backend.solve(*case, steps)
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        with no_waiting():
            backend.solve(*case, steps)
        torch.cuda.synchronize()
    kernels = [event.name for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    assert len(kernels) == 1, kernels
    assert "ipot_kernel" in kernels[0]


@needs_cuda
def test_other_steps_take_no_new_kernel() -> None:
    from triton import knobs

    case = draw((2, 20, 40)).to(torch.device("cuda"))
    backend.solve(*case, Steps(beta=0.5, stages=((50, 1),)))
    compiled = []
    with mock.patch.object(knobs.runtime, "jit_post_compile_hook", lambda **said: compiled.append(said)):
        backend.solve(*case, Steps(beta=0.1, stages=STAGED, inner=16, relaxation=1.2))
        backend.solve(*draw((3, 17, 33)).to(torch.device("cuda")), Steps(beta=1.0, stages=((1, 1),)))
    assert not compiled


@contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiles_for_hopper_without_one(dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from uniter_ot.backends.triton.kernel import ipot_kernel

    if not any((Path(triton.__file__).parent / "backends/nvidia/bin").glob("ptxas*")):
        pytest.skip("this triton comes without ptxas")
    if triton.knobs.runtime.interpret:
        pytest.skip("TRITON_INTERPRET is set: nothing is compiled")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    name = "fp32" if dtype == torch.float32 else "fp64"
    words, regions = backend.tile(1, 1)
    at_run_time = {"unit": "fp64", "relaxation": "fp64", "total_power": "fp32", "largest_power": "fp32"}
    at_run_time |= dict.fromkeys(("counts", "powers"), ("fp32",) * backend.MOST_STAGES)
    compiled_in = {
        "WORDS": words,
        "CHUNKS": regions // backend.WARP,
        "LANES": backend.WARP,
        "FLOAT": getattr(triton.language, str(dtype).removeprefix("torch.")),
    }
    signature = {
        argument: f"*{name}"
        if argument.endswith("pointer")
        else "constexpr"
        if argument in compiled_in
        else at_run_time.get(argument, "i32")
        for argument in ipot_kernel.arg_names
    }
    source = ASTSource(fn=ipot_kernel, signature=signature, constexprs=compiled_in)
    options = {"num_warps": backend.warps(words, regions, dtype)}
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    assert ".target sm_90" in compiled.asm["ptx"]
    assert compiled.asm["cubin"]


# What it says of itself.


@pytest.mark.parametrize(
    ("words", "regions", "fits"), [(1, 1, True), (64, 128, True), (128, 128, True), (129, 128, False), (8, 4096, False)]
)
def test_supports(words: int, regions: int, fits: bool) -> None:
    assert backend.supports(words, regions) == fits


def test_refuses_what_does_not_fit() -> None:
    case = Case(torch.zeros(1, 300, 300), torch.ones(1, 300), torch.ones(1, 300))
    with pytest.raises(ValueError, match="300 x 300"):
        backend.solve(*case, Steps(beta=0.5, stages=((2, 1),)))
    with pytest.raises(ValueError, match="at most 8"):
        backend.solve(*draw((1, 2, 2)), Steps(beta=0.5, stages=((1, 1),) * 9))


def test_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("TRITON_INTERPRET") != "1":
        why = backend.why_not(CPU)
        assert why is not None
        assert "CUDA" in why or "not installed" in why
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert backend.why_not(torch.device("cuda")) == "triton is not installed"


def test_importing_the_backend_does_not_import_triton() -> None:
    code = "import sys, uniter_ot.backends.triton; assert 'triton' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def main() -> None:
    warnings.simplefilter("ignore")  # numpy's, where the quick loop overflows and the careful one takes over
    for name, check in CHECKS.items():
        began, failure = time.perf_counter(), ""
        try:
            check(CPU)
        except Exception:
            failure = traceback.format_exc()
        print(json.dumps({"name": name, "failure": failure, "seconds": round(time.perf_counter() - began, 2)}))


if __name__ == "__main__":
    main()
