"""The exact solver: Kantorovich's linear programme by the network simplex of POT (Bonneel et al. 2011), on the CPU.

The problem and its dual, for one pair with costs C and demands a of the words and b of the regions::

    min <T, C>    over T >= 0 with   T 1 = a,   T' 1 = b
    max a.f + b.g   over f_i + g_j <= C_ij

For tests, for tables, and for a few large problems; `ipot` is the solver to train with. POT solves one problem at a
time and lets go of Python's lock meanwhile, so that threads solve several at once.

Axes: B pairs, W words, R regions.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from uniter_ot.arguments import check_count
from uniter_ot.balance import balanced_weights
from uniter_ot.plan import TransportPlan, measured_plan
from uniter_ot.problem import pose
from uniter_ot.range_check import checked_cost

__all__ = ["exact"]

LARGEST_PIVOTS = 1_000_000
"""Pivots of the simplex before it gives up; POT's own limit is a tenth of this."""


def exact(
    cost: Tensor,
    *,
    word_mask: Tensor | None = None,
    region_mask: Tensor | None = None,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    threads: int | None = None,
) -> TransportPlan:
    """Transport every pair's words to its regions at the least possible cost.

    Args:
        cost: (B, W, R) any floating dtype, on any device; solved in float64 on the CPU. Absent entries may hold
            anything.
        word_mask: (B, W) bool, True = real, holes allowed; None = all real.
        region_mask: (B, R) bool likewise.
        word_weights: (B, W) mass of each word, adding up to 1 over a pair's real words, 0 = absent; None = equal.
        region_weights: (B, R) likewise.
        threads: how many problems are solved at once; None = as many as torch computes with.

    Returns:
        A `TransportPlan` in the cost's dtype (float32 or wider) and on its device, a vertex of the polytope: at most
        words + regions - 1 entries of a pair are not 0. Its potentials are optimal for the dual. `iterations` is 0: the
        simplex does not report its pivots. `converged` says whether it proved the optimum; where it did not, POT warns
        too. Only ``distance`` carries a gradient, to ``cost`` alone. An empty pair has plan 0 and distance 0.

    Raises:
        ImportError: POT is not installed (``pip install 'uniter-ot[exact]'``).
        TypeError: integer cost or weights, masks that are not boolean, threads not an int.
        ValueError: wrong shapes, threads below 1, weights that are negative or do not add up to 1, a real cost that
            is not finite.

    Example:
        >>> import torch
        >>> solved = exact(torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]))
        >>> solved.plan, solved.lower_bound.item()
        (tensor([[[0.0000, 0.5000],
                 [0.5000, 0.0000]]]), 0.0)
    """
    threads = torch.get_num_threads() if threads is None else threads
    check_count("threads", threads)
    emd = _network_simplex()
    problem = pose(
        cost,
        word_mask=word_mask,
        region_mask=region_mask,
        word_weights=word_weights,
        region_weights=region_weights,
    )
    costs = checked_cost(problem).cpu().double()
    a, b = balanced_weights(problem.word_weights.cpu(), problem.region_weights.cpu())
    plan, f, g = torch.zeros_like(costs), torch.zeros_like(a), torch.zeros_like(b)
    optimal = torch.ones(len(costs), dtype=torch.bool)

    def solve(pair: int) -> None:
        words, regions = a[pair].nonzero()[:, 0], b[pair].nonzero()[:, 0]
        if not len(words):
            return
        real = pair, words[:, None], regions[None, :]
        marginals = a[pair, words].numpy(), b[pair, regions].numpy()
        lowest = costs[real].min()  # POT calls problems with negative costs infeasible
        vertex, log = emd(*marginals, (costs[real] - lowest).numpy(), numItermax=LARGEST_PIVOTS, log=True)
        plan[real], optimal[pair] = torch.from_numpy(vertex), log["warning"] is None
        f[pair, words], g[pair, regions] = torch.from_numpy(log["u"]) + lowest, torch.from_numpy(log["v"])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(solve, range(len(costs))))  # going through the results raises what a thread raised
    return measured_plan(
        plan.to(problem.cost),
        problem,
        iterations=0,
        converged=optimal.to(cost.device),
        word_potential=f.to(problem.cost),
        region_potential=g.to(problem.cost),
    )


def _network_simplex() -> Any:
    """POT's `ot.emd`.

    Raises:
        ImportError: POT is not installed.
    """
    try:
        import ot
    except ImportError as error:
        raise ImportError("exact needs POT, which is not installed: pip install 'uniter-ot[exact]'") from error
    return ot.emd
