"""Hands tensors to the compiled kernel."""

import ctypes
import functools

import torch
from torch import Tensor

from uniter_ot.backends.cpp.build import Request, library, why_not
from uniter_ot.backends.solution import Solution, Steps

__all__ = ["solve"]


def solve(cost: Tensor, word_weights: Tensor, region_weights: Tensor, steps: Steps) -> Solution:
    """Solve all pairs on the CPU, one in the cache of a core at a time, with up to ``torch.get_num_threads()`` threads.

    Args:
        cost: (B, W, R) float32 or float64 on the CPU. Entries of absent words or regions may hold anything.
        word_weights: (B, W) of the same dtype, at least 0; 0 = absent.
        region_weights: (B, R) likewise.
        steps: how to iterate.

    Raises:
        RuntimeError: there is no kernel on this machine (the message says why), or no memory for its work.
        TypeError: tensors of another dtype or device.
        ValueError: weights of another shape.

    Source: the algorithm in `uniter_ot.backends.solution`; the kernel begins in ``ipot.cpp``.
    """
    kernel = library()
    if kernel is None:
        raise RuntimeError(f"the cpp backend is not available here: {why_not()}")
    inputs = [tensor.detach().contiguous() for tensor in (cost, word_weights, region_weights)]
    dtype, pairs, words, regions = cost.dtype, *cost.shape
    for tensor in inputs:
        if tensor.dtype != dtype or dtype not in (torch.float32, torch.float64) or tensor.device.type != "cpu":
            raise TypeError(f"expected float32 or float64 tensors on the CPU, got {tensor.dtype} on {tensor.device}")
    if inputs[1].shape != (pairs, words) or inputs[2].shape != (pairs, regions):
        raise ValueError(
            f"weights: expected {(pairs, words)} and {(pairs, regions)}, got "
            f"{tuple(inputs[1].shape)} and {tuple(inputs[2].shape)}"
        )
    solution = Solution(
        plan=cost.new_empty((pairs, words, regions)),
        distance=cost.new_empty(pairs),
        word_error=cost.new_empty(pairs),
        region_error=cost.new_empty(pairs),
        word_potential=cost.new_empty((pairs, words)),
        region_potential=cost.new_empty((pairs, regions)),
    )
    counts, powers = _stage_arrays(steps.stages)
    request = Request(
        *(tensor.data_ptr() for tensor in inputs),
        *(pairs, words, regions, steps.beta),
        *(ctypes.addressof(counts), ctypes.addressof(powers), len(steps.stages), steps.inner, steps.relaxation),
        torch.get_num_threads(),
        *(tensor.data_ptr() for tensor in solution),
    )
    function = kernel.uniter_ipot_float if dtype == torch.float32 else kernel.uniter_ipot_double
    if function(request):
        raise RuntimeError("the cpp backend found no memory for its work")
    return solution


@functools.lru_cache(maxsize=64)
def _stage_arrays(stages: tuple[tuple[int, int], ...]) -> tuple[ctypes.Array[ctypes.c_int64], ...]:
    """Counts and powers as the kernel reads them."""
    return tuple((ctypes.c_int64 * len(stages))(*column) for column in zip(*stages, strict=True))
