"""How accurate uniter-ot is: ``python benchmarks/ot_accuracy.py`` prints the tables of docs/ot/numerics.md.

Nine families of costs in [0, 2], made to be hard in different ways. Rounding errors are measured against the same
iterations in float64 on logarithms; what the iterations themselves leave is measured against POT's exact solver.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from uniter_ot import alignment_loss, cosine_cost, exact, ipot, sinkhorn
from uniter_ot.backends.solution import Steps
from uniter_ot.ipot import proximal_steps
from uniter_ot.problem import pose
from uniter_ot.unrolled import unrolled_plan

# Beside this file lies one with the name of POT's package, which must not come first where that is looked for.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

SHAPES = ((14, 7), (20, 36), (9, 31))
PAIRS = 8
RANGES = (1, 4, 8, 16, 24, 60, 100, 400)


def families(words: int, regions: int) -> dict[str, Tensor]:
    """(PAIRS, words, regions) float64 costs in [0, 2], by name."""
    generator = torch.Generator().manual_seed(words * regions)
    shape = PAIRS, words, regions

    def points(length: int, width: int, spread: float) -> Tensor:
        concepts = torch.randn(5, width, generator=generator)
        noise = torch.randn(PAIRS, length, width, generator=generator)
        return concepts[torch.randint(5, (PAIRS, length), generator=generator)] + spread * noise

    uniform = torch.rand(shape, generator=generator)
    outlier = uniform * 0.01
    outlier[:, words // 2], outlier[:, :, regions // 2] = 1, 1
    cheap_cell = torch.ones(shape)
    cheap_cell[:, words // 3, regions // 3] = 0
    ramp = torch.linspace(0, 1, words)[:, None] * torch.linspace(1, 0, regions)
    costs = {
        "uniform": uniform,
        "binary": (uniform > 0.7).float(),
        "cosine of noise": cosine_cost(points(words, 64, 3.0), points(regions, 64, 3.0)),
        "cosine of concepts": cosine_cost(points(words, 64, 0.5), points(regions, 64, 0.5)),
        "clusters": cosine_cost(points(words, 3, 0.1), points(regions, 3, 0.1)),
        "outliers": outlier,
        "cheap cell": cheap_cell,
        "ramp": ramp.expand(shape),
        "steep ramp": ramp.pow(8).expand(shape),
    }
    return {name: 2 * (cost - cost.min()).double() / (cost.max() - cost.min()) for name, cost in costs.items()}


def reference(cost: Tensor, steps: Steps) -> Tensor:
    """The plan after the same steps, on logarithms in float64."""
    return unrolled_plan(pose(cost.double()), steps)


def worst(measure: Callable[[Tensor], float]) -> float:
    """The largest of a measure over all families and shapes."""
    return max(measure(cost) for shape in SHAPES for cost in families(*shape).values())


def rounding(backends: tuple[str, ...]) -> None:
    """float32 against float64: largest error of an entry of the plan, and of the distance relative to it."""
    print("\nRounding in float32, worst family: plan (absolute), distance (relative)")
    print("range/beta  sweeps  " + "  ".join(f"{name:>18}" for name in backends))
    for range_over_beta in RANGES:
        for sweeps in (50, 500):
            steps = proximal_steps(beta=2 / range_over_beta, iterations=sweeps)
            cells = []
            for backend in backends:

                def errors(cost: Tensor, steps: Steps = steps, backend: str = backend) -> tuple[float, float]:
                    cost = cost.float()
                    solved = ipot(cost, beta=steps.beta, iterations=steps.iterations, backend=backend)
                    expected = reference(cost, steps)
                    distance = (expected * cost).sum((1, 2))
                    relative = (solved.distance.double() - distance).abs() / distance.clamp_min(1e-3)
                    return (solved.plan.double() - expected).abs().max().item(), relative.max().item()

                plan = worst(lambda cost, errors=errors: errors(cost)[0])
                distance = worst(lambda cost, errors=errors: errors(cost)[1])
                cells.append(f"{plan:9.0e}{distance:9.0e}")
            print(f"{range_over_beta:10}  {sweeps:6}  " + "  ".join(cells))


def convergence() -> None:
    """What the iterations leave: the error of the distance and of the region marginal, by solver and sweeps."""
    ways: dict[str, Callable[[Tensor, int], object]] = {
        "ipot, beta 0.5": lambda cost, sweeps: ipot(cost, iterations=sweeps),
        "ipot, beta 0.5, staged": lambda cost, sweeps: ipot(cost, iterations=sweeps, schedule="staged"),
        "ipot, beta 0.2, relaxation 1.2": lambda cost, sweeps: ipot(cost, beta=0.2, iterations=sweeps, relaxation=1.2),
        "sinkhorn, epsilon 0.05": lambda cost, sweeps: sinkhorn(cost, epsilon=0.05, iterations=sweeps),
    }
    budgets = (10, 50, 100, 200, 500, 2000)
    for what, measure in (
        ("certified gap to the optimum, absolute, median over pairs of all families", _gap),
        ("region marginal, L1 error, worst family", _region_error),
    ):
        print(f"\n{what[0].upper()}{what[1:]}")
        print(f"{'':32}" + "".join(f"{sweeps:>10}" for sweeps in budgets))
        for name, way in ways.items():
            print(f"{name:32}" + "".join(f"{measure(way, sweeps):10.1e}" for sweeps in budgets))


def _gap(way: Callable[[Tensor, int], object], sweeps: int) -> float:
    gaps = [way(cost, sweeps).gap for shape in SHAPES for cost in families(*shape).values()]  # type: ignore[attr-defined]
    return torch.cat(gaps).median().item()


def _region_error(way: Callable[[Tensor, int], object], sweeps: int) -> float:
    return worst(lambda cost: way(cost, sweeps).region_error.max().item())  # type: ignore[attr-defined]


def distance_bias() -> None:
    """How far the distance of the defaults is from the exact one, and what schedules change about it."""
    print("\nDistance against the exact one, relative, mean over pairs (cosine of noise | cosine of concepts)")
    for name, settings in (
        ("ipot, 50 sweeps", {}),
        ("ipot, 50 sweeps, staged", {"schedule": "staged"}),
        ("ipot, 50 sweeps, beta 0.2, relaxation 1.2", {"beta": 0.2, "relaxation": 1.2}),
        ("ipot, 500 sweeps", {"iterations": 500}),
    ):
        errors = []
        for family in ("cosine of noise", "cosine of concepts"):
            of_shape = []
            for shape in SHAPES:
                cost = families(*shape)[family]
                right = exact(cost).distance
                of_shape.append(((ipot(cost, **settings).round().distance - right) / right).mean().item())
            errors.append(sum(of_shape) / len(of_shape))
        print(f"{name:44}" + "".join(f"{100 * error:9.2f} %" for error in errors))


def gradients() -> None:
    """The loss's gradient: its rounding, and how far holding the plan fixed is from the exact distance's gradient."""
    print("\nGradient of the loss, relative (L2), mean over pairs")
    generator = torch.Generator().manual_seed(3)
    words = torch.randn(16, 14, 64, generator=generator, dtype=torch.float64)
    regions = torch.randn(16, 20, 64, generator=generator, dtype=torch.float64)
    right = _gradient(words, lambda x: (exact(cosine_cost(x.detach(), regions)).plan * cosine_cost(x, regions)).sum())
    wide = _gradient(words, lambda x: alignment_loss(x, regions).sum())
    narrow = _gradient(words.float(), lambda x: alignment_loss(x, regions.float()).sum())
    print(f"{'float32 against float64':44}{_apart(narrow.double(), wide):10.1e}")
    for sweeps in (50, 500):
        for kind in ("envelope", "unrolled"):
            found = _gradient(words, lambda x, n=sweeps, k=kind: alignment_loss(x, regions, iterations=n, grad=k).sum())
            print(f"{f'{kind}, {sweeps} sweeps, against exact':44}{_apart(found, right):10.1e}")


def _gradient(points: Tensor, value: Callable[[Tensor], Tensor]) -> Tensor:
    points = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(points), points)
    return gradient


def _apart(found: Tensor, right: Tensor) -> float:
    return ((found - right).flatten(1).norm(dim=1) / right.flatten(1).norm(dim=1)).mean().item()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", default="torch,cpp", help="which to measure the rounding of")
    options = parser.parse_args()
    rounding(tuple(options.backends.split(",")))
    convergence()
    distance_bias()
    gradients()


if __name__ == "__main__":
    main()
