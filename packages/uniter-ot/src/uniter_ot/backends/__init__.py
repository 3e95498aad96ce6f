"""The loops that solve: plain torch on any device, a compiled C++ kernel on the CPU, a Triton kernel on CUDA.

All take and give what `uniter_ot.backends.solution` says, and agree to rounding.
"""

from collections.abc import Callable

from torch import Tensor

from uniter_ot.backends.solution import Solution, Steps

__all__ = ["BACKENDS", "Solver", "check_backend", "solver"]

BACKENDS = ("auto", "torch", "cpp", "triton")
"""What the argument `backend` may be; "auto" takes the fastest that can run."""

Solver = Callable[[Tensor, Tensor, Tensor, Steps], Solution]


def check_backend(backend: str) -> None:
    """Demand a known name.

    Raises:
        ValueError: another name; lists the known ones.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}")


def solver(backend: str, cost: Tensor) -> Solver:
    """The function that solves problems of this cost (B, W, R).

    Raises:
        RuntimeError: a backend asked for by name that cannot run here; says why.
    """
    if backend == "auto":
        backend = next(name for name in ("triton", "cpp", "torch") if _why_not(name, cost) is None)
    elif reason := _why_not(backend, cost):
        raise RuntimeError(f"backend {backend!r} cannot run: {reason}")
    if backend == "triton":
        from uniter_ot.backends import triton

        return triton.solve
    if backend == "cpp":
        from uniter_ot.backends import cpp

        return cpp.solve
    from uniter_ot.backends import plain

    return plain.solve


def _why_not(backend: str, cost: Tensor) -> str | None:
    """Why a backend cannot solve problems of this cost; None if it can."""
    if backend == "triton":
        if cost.device.type != "cuda":
            return f"it needs a CUDA tensor, got one on {cost.device}"
        from uniter_ot.backends import triton

        if not triton.supports(*cost.shape[1:]):
            return f"{cost.shape[1]} x {cost.shape[2]} entries a pair do not fit the registers"
        return triton.why_not(cost.device)
    if backend == "cpp":
        if cost.device.type != "cpu":
            return f"it needs a CPU tensor, got one on {cost.device}"
        from uniter_ot.backends import cpp

        return cpp.why_not()
    return None
