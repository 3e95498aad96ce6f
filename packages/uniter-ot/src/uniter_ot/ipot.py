"""IPOT, the inexact proximal point method for optimal transport: Algorithm 1 of UNITER (Xie et al. 2018), batched.

Axes: B pairs, W words, R regions. The loops below keep the pairs *last*, (W, R, B): sums over words or regions then run
over leading axes and vectorise over the pairs, which is 2 to 5 times faster than batched matrix-vector products here.

The problem, for one pair with m words, n regions and costs C::

    min <T, C>   over T >= 0 with   T 1 = 1/m,   T' 1 = 1/n

The method is a sequence of entropic problems, each staying close to the last plan: from T = 1 and sigma = 1/m repeat

    Q = exp(-C / beta) * T;   delta = 1 / (n Q' sigma);   sigma = 1 / (m Q delta);   T = diag(sigma) Q diag(delta)

(the paper's Q is region x word, ours word x region). The released code updates the words' sigma last, which we follow:
the word marginal is then exact, the region marginal approximate. The paper's last formula can be read the other way.

Two loops compute the same plan. Entries of T underflow during the iterations and may have to come back later, so
Algorithm 1 as printed fails silently in float32 once (range of C) / beta passes about 8. `_scaling_plan` keeps the
scalings apart from the kernel and absorbs them every few sweeps. Beyond its reach `_log_plan` iterates on log T, in
float64, because the logarithms grow with range times sweeps while the plan hangs on their small differences.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from uniter_ot.arguments import check_count, check_mask, check_positive, check_real, working_dtype
from uniter_ot.plan import TransportPlan, measured_plan

__all__ = ["ipot"]

LARGEST_SCALING_RANGE = 24.0
"""exp(-24) is 4e-11: kernels down to there lose nothing that float32 could show."""


def ipot(
    cost: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    beta: float = 0.5,
    iterations: int = 50,
    inner: int = 1,
) -> TransportPlan:
    """Transport every pair's words to its regions, uniform weights over the real entries (UNITER, Algorithm 1).

    Args:
        cost: (B, W, R) any floating dtype; computed in float32 or wider. Masked entries may hold anything.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        beta: generalised step size is 1/beta: smaller is greedier and harder on the numbers.
        iterations: proximal steps (t in Algorithm 1).
        inner: scaling updates within a step (K in Algorithm 1).

    Returns:
        A `TransportPlan`. The plan is held fixed: only ``distance`` carries a gradient, to ``cost`` alone. A pair
        without words or without regions has plan 0 and distance 0.

    Raises:
        TypeError: integer cost, masks that are not boolean, counts that are not ints.
        ValueError: wrong shapes, beta not above 0, counts below 1, a real entry of the cost that is not finite, or
            costs so large against beta that their ratio overflows.

    Example:
        >>> import torch
        >>> swap = ipot(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))
        >>> swap.plan.round(decimals=4)
        tensor([[[0.0000, 0.5000],
                 [0.5000, 0.0000]]])
    """
    check_real("cost", cost, "(B, W, R)")
    check_positive("beta", beta)
    check_count("iterations", iterations)
    check_count("inner", inner)
    pairs, words, regions = cost.shape
    word_mask = check_mask("word_mask", word_mask, pairs, words, cost.device)
    region_mask = check_mask("region_mask", region_mask, pairs, regions, cost.device)

    dtype = working_dtype(cost)
    real = word_mask[:, :, None] & region_mask[:, None, :]
    cost = cost.to(dtype).masked_fill(~real, 0)
    # A pair that lacks one side has nowhere to carry the mass of the other: it demands nothing.
    word_weights = _uniform(real.any(2), dtype)
    region_weights = _uniform(real.any(1), dtype)
    plan = _solve(cost.detach(), real, word_weights, region_weights, beta=beta, iterations=iterations, inner=inner)
    return measured_plan(plan, cost, word_weights, region_weights, iterations=iterations)


class _Reduced(NamedTuple):
    """A problem in units of beta whose every region and every word has a kernel entry of 1; pairs last."""

    exponents: Tensor  # (W, R, B) at least 0, at masked entries 0
    word_shift: Tensor  # (W, 1, B) what was taken from each word's row; sigma starts at exp(-word_shift)
    real: Tensor  # (W, R, B) bool
    word_weights: Tensor  # (W, 1, B) 1/m; at masked words 1
    region_weights: Tensor  # (1, R, B) 1/n; at masked regions 1


def _uniform(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Equal weights over the True entries of each row: (B, L) -> (B, L), rows without any stay 0."""
    return mask.to(dtype) / mask.sum(1, keepdim=True).clamp_min(1)


@torch.no_grad()
def _solve(
    cost: Tensor,
    real: Tensor,
    word_weights: Tensor,
    region_weights: Tensor,
    *,
    beta: float,
    iterations: int,
    inner: int,
) -> Tensor:
    if cost.numel() == 0:
        return torch.zeros_like(cost)
    wide = cost.dtype if cost.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    problem = _reduce(cost.to(wide), real, word_weights.to(wide), region_weights.to(wide), beta)
    peak = problem.exponents.max().item()
    if not peak < float("inf"):
        raise _not_finite(cost, beta)
    if peak <= LARGEST_SCALING_RANGE:
        absorb_every = int(min(LARGEST_SCALING_RANGE // max(peak, 1.0), 16))
        plan = _scaling_plan(problem, cost.dtype, iterations=iterations, inner=inner, absorb_every=absorb_every)
    else:
        plan = _log_plan(problem, iterations=iterations, inner=inner)
    return plan.permute(2, 0, 1).to(cost.dtype, memory_format=torch.contiguous_format)


def _reduce(cost: Tensor, real: Tensor, word_weights: Tensor, region_weights: Tensor, beta: float) -> _Reduced:
    """Take each region's and then each word's smallest cost away: plans do not change, exponents become small.

    Algorithm 1 absorbs a region's constant in delta at once; a word's constant r it would meet as sigma = exp(-r)/m, so
    that is where sigma has to start for the iterates to stay the published ones.
    """
    real = real.permute(1, 2, 0)
    exponents = (cost / beta).permute(1, 2, 0).contiguous()
    exponents = exponents - _smallest(exponents, real, 0)
    word_shift = _smallest(exponents, real, 1)
    exponents = (exponents - word_shift).masked_fill_(~real, 0)
    word_weights = word_weights.masked_fill(word_weights == 0, 1).T[:, None, :].contiguous()
    region_weights = region_weights.masked_fill(region_weights == 0, 1).T[None, :, :].contiguous()
    return _Reduced(exponents, word_shift, real, word_weights, region_weights)


def _smallest(exponents: Tensor, real: Tensor, dim: int) -> Tensor:
    """Smallest real entry along an axis, kept as size 1; 0 where there is none."""
    nothing = ~real.any(dim, keepdim=True)
    return exponents.masked_fill(~real, float("inf")).amin(dim, keepdim=True).masked_fill_(nothing, 0)


def _scaling_plan(problem: _Reduced, dtype: torch.dtype, *, iterations: int, inner: int, absorb_every: int) -> Tensor:
    """Algorithm 1 on T = S * Q * D: Q holds powers of the kernel, S and D the scalings since Q last absorbed them.

    Runs in ``dtype`` and returns the plan (W, R, B).
    """
    # The sweeps raise the kernel to a power, and its rounding error with it: it is rounded once, and not through X.
    kernel = problem.exponents.neg().exp_().mul_(problem.real).to(dtype)
    exponents, word_shift = problem.exponents.to(dtype), problem.word_shift.to(dtype)
    word_weights, region_weights = problem.word_weights.to(dtype), problem.region_weights.to(dtype)
    # Kernel entries of masked rows are 0, and so would be their denominators; these make them 1.
    no_word, no_region = ~problem.real.any(1, keepdim=True), ~problem.real.any(0, keepdim=True)
    word_pad, region_pad = no_word.to(dtype), no_region.to(dtype)
    product = torch.empty_like(kernel)

    def update(weights: Tensor) -> tuple[Tensor, Tensor]:  # Algorithm 1, line 7
        d = region_weights / torch.mul(q, weights, out=product).sum(0, keepdim=True).add_(region_pad)
        s = word_weights / torch.mul(q, d, out=product).sum(1, keepdim=True).add_(word_pad)
        return s, d

    q, s_before = torch.ones_like(kernel), torch.ones_like(word_weights)
    sigma_s = word_shift.clamp_max(60).neg().exp()  # sigma * S
    word_log, region_log = torch.zeros_like(word_weights), torch.zeros_like(region_weights)
    for t in range(1, iterations + 1):
        q *= kernel  # line 5
        s, d = update(sigma_s)
        for _ in range(inner - 1):  # line 6
            s, d = update(s)
        if t == iterations:
            break
        if (t - 1) % absorb_every:
            # T, and so the next Q, holds S once (line 9); line 7 multiplies by sigma = S / S_before once more.
            sigma_s, s_before = s * s / s_before, s
        else:
            # A common factor of sigma only moves scale from D to S, sweep after sweep: keep the largest at 1.
            sigma = s / s_before
            sigma_s = sigma / sigma.masked_fill(no_word, 0).amax(0, keepdim=True).clamp_min_(1e-30)
            s_before = torch.ones_like(s)
            word_log += s.log()
            region_log += d.log()
            # Entries that underflow may have to come back: they are revived from log T = F + G - t X.
            revived = (word_log + region_log - t * exponents).clamp_(-60, -32).exp_()
            q.mul_(s).mul_(d)
            q = torch.where(q < 1e-15, revived, q)
    return q.mul_(s).mul_(d)  # line 9


def _log_plan(problem: _Reduced, *, iterations: int, inner: int) -> Tensor:
    """Algorithm 1 on log T, for costs whose kernel would underflow. Returns the plan (W, R, B)."""
    exponents, word_shift, real, word_weights, region_weights = problem
    # A finite stand-in for log 0: infinities would breed NaN in differences, and very small numbers are slow.
    log_plan = torch.zeros_like(exponents).masked_fill_(~real, -1e30)
    no_word, no_region = ~real.any(1, keepdim=True), ~real.any(0, keepdim=True)
    word_target, region_target = word_weights.log(), region_weights.log()
    log_sigma = -word_shift
    for _ in range(iterations):
        log_plan -= exponents  # line 5
        for _ in range(inner):  # line 6
            log_delta = (region_target - _log_sum_exp(log_plan + log_sigma, 0)).masked_fill_(no_region, 0)  # line 7
            log_sigma = (word_target - _log_sum_exp(log_plan + log_delta, 1)).masked_fill_(no_word, 0)
        log_plan += log_delta + log_sigma  # line 9
    return log_plan.exp_()


def _log_sum_exp(logits: Tensor, dim: int) -> Tensor:
    largest = logits.amax(dim, keepdim=True)
    return (logits - largest).clamp_min_(-80).exp_().sum(dim, keepdim=True).log_().add_(largest)


def _not_finite(cost: Tensor, beta: float) -> ValueError:
    bad = (~cost.isfinite()).nonzero()
    if len(bad):
        pair, word, region = bad[0].tolist()
        value = cost[pair, word, region].item()
        return ValueError(f"cost: expected finite numbers, got {value} for pair {pair}, word {word}, region {region}")
    return ValueError(f"beta: {beta} is too small for costs of this range; cost / beta overflows {cost.dtype}")
