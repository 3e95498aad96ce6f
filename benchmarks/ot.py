"""uniter-ot against what people use instead: ``python benchmarks/ot.py``.

Three sizes of ragged batches, B pairs of at most W words by R regions, beta 0.5, 50 sweeps. Rivals: the textbook loop
of Algorithm 1 (UNITER) in torch, as dozens of projects paste it; POT's batched log-domain Sinkhorn; a loop over POT's
exact solver; GeomLoss. Candidates take turns within one run; the tables hold medians and their ratios.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from timing import machine, medians
from torch import Tensor

from uniter_ot import alignment_loss, cosine_cost, ipot

# This file has the name of POT's package: its folder must not come first where that is looked for.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

SIZES = ((32, 20, 36), (128, 30, 50), (256, 60, 100))
WIDTH = 768


@dataclass(frozen=True)
class Pairs:
    """A ragged batch: words (B, W, H), regions (B, R, H), masks, True = real."""

    words: Tensor
    regions: Tensor
    word_mask: Tensor
    region_mask: Tensor


def ragged_pairs(size: tuple[int, int, int], device: str) -> Pairs:
    """Lengths like those of captions and detections: words log-normal, mean 14, regions log-normal, mean 46 % of R."""
    pairs, words, regions = size
    generator = torch.Generator().manual_seed(2020)
    word_lengths, region_lengths = (
        (mean * (0.5 * torch.randn(pairs, generator=generator) - 0.125).exp()).round().clamp(least, most).long()
        for mean, least, most in ((14, 5, words), (0.46 * regions, 10, regions))
    )
    word_lengths[0], region_lengths[0] = words, regions
    # Every point leans towards one of eight concepts, so that costs are spread and a plan has something to find.
    concepts = torch.randn(8, WIDTH, generator=generator)
    x, y = (
        torch.randn(pairs, length, WIDTH, generator=generator)
        + 1.5 * concepts[torch.randint(8, (pairs, length), generator=generator)]
        for length in (words, regions)
    )
    return Pairs(
        x.to(device),
        y.to(device),
        (torch.arange(words) < word_lengths[:, None]).to(device),
        (torch.arange(regions) < region_lengths[:, None]).to(device),
    )


def textbook_plan(cost: Tensor, word_mask: Tensor, region_mask: Tensor, beta: float = 0.5, sweeps: int = 50) -> Tensor:
    """Algorithm 1 as printed, (B, R, W): one line of torch for each of its lines; float32, padding masked."""
    m, n = word_mask.sum(1, keepdim=True).float(), region_mask.sum(1, keepdim=True).float()
    absent = ~(region_mask[:, :, None] & word_mask[:, None, :])
    kernel = torch.exp(-cost.mT / beta).masked_fill(absent, 0)
    word_pad, region_pad = 1e4 * ~word_mask, 1e4 * ~region_mask
    sigma = word_mask / m
    plan = torch.ones(len(cost), cost.shape[2], cost.shape[1], device=cost.device).masked_fill(absent, 0)
    for _ in range(sweeps):
        q = kernel * plan
        delta = 1 / (n * (q @ sigma[:, :, None])[:, :, 0] + region_pad)
        sigma = 1 / (m * (delta[:, None, :] @ q)[:, 0, :] + word_pad)
        plan = delta[:, :, None] * q * sigma[:, None, :]
    return plan


def textbook_loss(pairs: Pairs, words: Tensor, regions: Tensor) -> Tensor:
    """Distances by autograd through normalised vectors, the plan held fixed."""
    x = torch.nn.functional.normalize(words, dim=-1, eps=1e-5)
    y = torch.nn.functional.normalize(regions, dim=-1, eps=1e-5)
    absent = ~(pairs.word_mask[:, :, None] & pairs.region_mask[:, None, :])
    cost = (1 - x @ y.mT).masked_fill(absent, 0)
    plan = textbook_plan(cost.detach(), pairs.word_mask, pairs.region_mask)
    return (cost * plan.mT).sum((1, 2))


def solver_candidates(pairs: Pairs, *, rivals: bool) -> dict[str, Callable[[], object]]:
    """What solves the batch's costs, by name; the textbook loop first."""
    cost = cosine_cost(pairs.words, pairs.regions)
    masks = {"word_mask": pairs.word_mask, "region_mask": pairs.region_mask}
    candidates: dict[str, Callable[[], object]] = {
        "textbook loop": lambda: textbook_plan(cost, pairs.word_mask, pairs.region_mask),
    }
    for backend in ("torch", "triton" if cost.is_cuda else "cpp"):
        candidates[f"ipot, {backend}"] = lambda backend=backend: ipot(cost, **masks, backend=backend)
    if rivals:
        candidates |= _rivals(cost, pairs)
    return candidates


def _rivals(cost: Tensor, pairs: Pairs) -> dict[str, Callable[[], object]]:
    """POT and GeomLoss, where they are installed. Both take weights for masks."""
    a = pairs.word_mask / pairs.word_mask.sum(1, keepdim=True)
    b = pairs.region_mask / pairs.region_mask.sum(1, keepdim=True)
    candidates: dict[str, Callable[[], object]] = {}
    try:
        import ot
    except ImportError:
        print("POT is not installed: no comparison with it (pip install POT)")
    else:
        # Weights of 0 are NaN to its logarithms: padding weighs next to nothing, which does not change the time.
        tiny_a, tiny_b = (weights.clamp_min(1e-12) for weights in (a, b))
        candidates["POT batch log-Sinkhorn, epsilon 0.05, 50 sweeps"] = lambda: ot.solve_batch(
            cost, 0.05, a=tiny_a, b=tiny_b, max_iter=50, tol=0, method="log_sinkhorn", grad="detach"
        )
        real = [
            (cost[pair][pairs.word_mask[pair]][:, pairs.region_mask[pair]].double().cpu().numpy())
            for pair in range(len(cost))
        ]
        candidates["POT exact, a loop"] = lambda: [ot.emd([], [], problem) for problem in real]
    try:
        from geomloss import SamplesLoss
    except ImportError:
        print("GeomLoss is not installed: no comparison with it (pip install geomloss)")
    else:
        x, y = (torch.nn.functional.normalize(points, dim=-1) for points in (pairs.words, pairs.regions))
        loss = SamplesLoss("sinkhorn", p=2, blur=0.05**0.5, scaling=0.9, debias=False, backend="tensorized")
        candidates["GeomLoss, blur 0.05, scaling 0.9"] = lambda: loss(a, x, b, y)
    return candidates


def loss_candidates(pairs: Pairs) -> dict[str, Callable[[], object]]:
    """Forward and backward from vectors of width 768, by name; the textbook first."""
    words, regions = pairs.words.clone().requires_grad_(), pairs.regions.clone().requires_grad_()
    masks = {"word_mask": pairs.word_mask, "region_mask": pairs.region_mask}

    def step(distance: Callable[[], Tensor]) -> None:
        words.grad = regions.grad = None
        distance().sum().backward()

    candidates: dict[str, Callable[[], object]] = {}
    candidates["textbook"] = lambda: step(lambda: textbook_loss(pairs, words, regions))
    for backend in ("torch", "triton" if words.is_cuda else "cpp"):
        candidates[f"alignment_loss, {backend}"] = lambda backend=backend: step(
            lambda: alignment_loss(words, regions, **masks, backend=backend)
        )
    return candidates


def kept_for_backward(pairs: Pairs) -> dict[str, int]:
    """Bytes that autograd holds between forward and backward, inputs included, each storage counted once."""
    words, regions = pairs.words.clone().requires_grad_(), pairs.regions.clone().requires_grad_()
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        textbook_loss(pairs, words, regions)
        held = {"textbook": sum(kept.values())}
        kept.clear()
        alignment_loss(words, regions, word_mask=pairs.word_mask, region_mask=pairs.region_mask)
        held["alignment_loss"] = sum(kept.values())
    return held


def table(title: str, seconds: dict[str, float]) -> None:
    """Milliseconds and how many times the first, the textbook's, speed each is."""
    print(f"\n{title}")
    first = next(iter(seconds.values()))
    for name, median in seconds.items():
        print(f"  {name:<50} {median * 1e3:9.3f} ms {first / median:7.2f} x")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-rivals", action="store_true", help="leave POT and GeomLoss out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine())
    for size in SIZES:
        pairs = ragged_pairs(size, options.device)
        named = "{} pairs of at most {} words x {} regions".format(*size)
        solvers = solver_candidates(pairs, rivals=not options.no_rivals)
        table(f"Solver, {named}", medians(solvers, rounds=options.rounds))
        losses = medians(loss_candidates(pairs), rounds=options.rounds)
        table(f"Loss forward + backward, width {WIDTH}, {named}", losses)
        held = kept_for_backward(pairs)
        print(
            f"  kept for backward: textbook {held['textbook'] / 2**20:.1f} MiB, alignment_loss "
            f"{held['alignment_loss'] / 2**20:.1f} MiB, ratio {held['alignment_loss'] / held['textbook']:.2f}"
        )


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="geomloss")
    main()
