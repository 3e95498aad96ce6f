"""The CUDA backend: a solve is one launch of one Triton kernel, one program a pair, without a wait for the device.

Axes: B pairs, W words, R regions.

``TRITON_INTERPRET=1``, set before triton is first imported, runs the same kernel on CPU tensors, slowly, for tests.
"""

import math
import os
import shutil
from importlib.util import find_spec

import torch
from torch import Tensor

from uniter_ot.backends.solution import Solution, Steps

__all__ = ["LARGEST_TILE", "MOST_STAGES", "WARP", "solve", "supports", "tile", "warps", "why_not"]

LARGEST_TILE = 128 * 128
"""Entries of the padded tile: both parts of X and the plan take 3 registers an entry, and a program has 65,536."""

MOST_STAGES = 8
"""Stages of a schedule; they travel as arguments of the launch."""

WARP = 32
"""Threads of a warp, laid along the regions: a tile has at least as many."""

_FEWEST_WORDS = 8  # below this, another tile is only another kernel to compile


def supports(words: int, regions: int) -> bool:
    """Whether a tile of this many words and regions fits the registers."""
    padded_words, padded_regions = tile(words, regions)
    return padded_words * padded_regions <= LARGEST_TILE


def tile(words: int, regions: int) -> tuple[int, int]:
    """Both sides padded to a power of two; the kernel is compiled once for each tile and dtype.

    Example:
        >>> tile(60, 100)
        (64, 128)
    """
    return _padded(max(words, _FEWEST_WORDS)), _padded(max(regions, WARP))


def warps(words: int, regions: int, dtype: torch.dtype) -> int:
    """Warps of a program, given the padded sides.

    A thread gets at most 8 words, since what belongs to words costs it registers too, and 32 float32 or 16 float64
    entries.

    Example:
        >>> warps(64, 128, torch.float32)
        8
    """
    entries_a_warp = 32 * WARP * 4 // dtype.itemsize
    return min(max(words // 8, words * regions // entries_a_warp), words, 32)


def why_not(device: torch.device) -> str | None:
    """Why tensors on this device cannot be solved here; None if they can."""
    if find_spec("triton") is None:
        return "triton is not installed"
    if _interpreted():
        return None
    if device.type != "cuda":
        return f"it needs a CUDA tensor, got one on {device}"
    if not ("CC" in os.environ or shutil.which("gcc") or shutil.which("clang")):
        return "triton builds its launcher with a C compiler, and there is none (set CC)"
    return None


def solve(cost: Tensor, word_weights: Tensor, region_weights: Tensor, steps: Steps) -> Solution:
    """Solve a batch of pairs in one launch; the device is not waited for.

    Beside the distance, the plan, the errors and the potentials are NaN where a pair's cost is not finite or overflows
    (a range of 1e36 or more in units of beta / total power).

    Args:
        cost: (B, W, R) float32 or float64; anything where a weight is 0.
        word_weights: (B, W) at least 0; 0 = absent.
        region_weights: (B, R) likewise.
        steps: at most `MOST_STAGES` stages.

    Raises:
        ValueError: more stages, or a tile that `supports` refuses.
    """
    pairs, words, regions = cost.shape
    if len(steps.stages) > MOST_STAGES:
        raise ValueError(f"stages: expected at most {MOST_STAGES} with the triton backend, got {len(steps.stages)}")
    if not supports(words, regions):
        raise ValueError(f"cost: {words} x {regions} entries a pair do not fit the registers")
    solution = Solution(
        plan=cost.new_empty(cost.shape),
        distance=cost.new_empty(pairs),
        word_error=cost.new_empty(pairs),
        region_error=cost.new_empty(pairs),
        word_potential=cost.new_empty(pairs, words),
        region_potential=cost.new_empty(pairs, regions),
    )
    if cost.numel() == 0:
        return Solution(*(part.zero_() for part in solution))

    import triton.language as tl  # type: ignore[import-untyped]

    from uniter_ot.backends.triton.kernel import ipot_kernel

    padded_words, padded_regions = tile(words, regions)
    unused = (0.0,) * (MOST_STAGES - len(steps.stages))
    counts = (*(float(count) for count, _ in steps.stages), *unused)
    powers = (*(float(power) for _, power in steps.stages), *unused)
    with torch.cuda.device_of(cost):  # type: ignore[no-untyped-call]  # launches go to the current device
        ipot_kernel[(pairs,)](
            cost.detach().contiguous(),
            word_weights.contiguous(),
            region_weights.contiguous(),
            *solution,
            words,
            regions,
            steps.beta * math.log(2),
            steps.relaxation,
            steps.total_power,
            max(powers),
            len(steps.stages),
            counts,
            powers,
            steps.inner,
            WORDS=padded_words,
            CHUNKS=padded_regions // WARP,
            LANES=WARP,
            FLOAT=tl.float64 if cost.dtype == torch.float64 else tl.float32,
            num_warps=warps(padded_words, padded_regions, cost.dtype),
        )
    return solution


def _padded(side: int) -> int:
    return 1 << (side - 1).bit_length()


def _interpreted() -> bool:
    from triton import knobs

    return bool(knobs.runtime.interpret)
