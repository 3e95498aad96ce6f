"""What the tests of the solvers share: the backends that run here, problems to draw, references to hold them against.

Axes: B pairs, W words, R regions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from uniter_ot import cosine_cost
from uniter_ot.backends import solver

KINDS = ("uniform", "binary", "cosine", "clusters")


@pytest.fixture(scope="module", params=["torch", "cpp"])
def backend(request: pytest.FixtureRequest) -> str:
    """Every backend that solves problems on the CPU, one after another."""
    try:
        solver(request.param, torch.zeros(1, 1, 1))
    except RuntimeError as reason:
        pytest.skip(str(reason))
    return str(request.param)


# Problems.


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ragged:
    """A batch of costs with masks that have holes, and the weights that go with them."""

    cost: Tensor  # (B, W, R) float64 in about [0, 2]
    word_mask: Tensor
    region_mask: Tensor
    word_weights: Tensor  # (B, W) adding up to 1 over the real words, some of them 0
    region_weights: Tensor
    generator: torch.Generator  # stands where drawing left it

    def __repr__(self) -> str:
        words, regions = self.word_mask.sum(1).tolist(), self.region_mask.sum(1).tolist()
        return f"Ragged(seed={self.generator.initial_seed()}, shape={tuple(self.cost.shape)}, {words=}, {regions=})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # what hypothesis prints
        printer.text(repr(self))

    @property
    def masks(self) -> dict[str, Tensor]:
        return {"word_mask": self.word_mask, "region_mask": self.region_mask}

    @property
    def weights(self) -> dict[str, Tensor]:
        return {"word_weights": self.word_weights, "region_weights": self.region_weights}

    @property
    def real(self) -> Tensor:
        return self.word_mask[:, :, None] & self.region_mask[:, None, :]


def _costs(kind: str, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Costs (B, W, R) in about [0, 2], float64, of several natures."""
    pairs, words, regions = shape
    if kind == "uniform":
        return 2 * torch.rand(shape, generator=generator, dtype=torch.float64)
    if kind == "binary":
        return 2 * (torch.rand(shape, generator=generator, dtype=torch.float64) > 0.5).double()
    points = torch.randn(pairs, words + regions, 8, generator=generator, dtype=torch.float64)
    if kind == "clusters":
        points = 0.1 * points + points[:, :1] * (1 - 2 * (torch.arange(words + regions) % 3 == 0)[:, None].double())
    return cosine_cost(points[:, :words], points[:, words:])


def _weights(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Weights (B, L) over two orders of magnitude, a fifth of them 0, adding up to 1 wherever there is a point."""
    weights = 10 ** (-2 * torch.rand(mask.shape, generator=generator, dtype=torch.float64)) * mask
    kept = weights * (torch.rand(mask.shape, generator=generator) > 0.2)
    weights = torch.where(kept.sum(1, keepdim=True) > 0, kept, weights)
    return weights / weights.sum(1, keepdim=True).clamp_min(1e-30)


def _ragged(
    seed: int, shape: tuple[int, int, int], *, kind: str = "cosine", keep: float = 0.7, dtype: torch.dtype | None = None
) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    cost = _costs(kind, shape, generator).to(dtype or torch.float64)
    word_mask = torch.rand(shape[:2], generator=generator) <= keep
    region_mask = torch.rand(shape[0], shape[2], generator=generator) <= keep
    return Ragged(
        cost=cost,
        word_mask=word_mask,
        region_mask=region_mask,
        word_weights=_weights(word_mask, generator),
        region_weights=_weights(region_mask, generator),
        generator=generator,
    )


@st.composite
def _problems(draw: st.DrawFn, longest: tuple[int, int] = (64, 128)) -> Ragged:
    words, regions = (draw(st.integers(1, min(most, 9)) | st.integers(1, most)) for most in longest)
    # Of points kept with 0.2, some pairs have no words or no regions.
    return _ragged(
        draw(st.integers(0, 2**32)),
        (draw(st.integers(1, 4)), words, regions),
        kind=draw(st.sampled_from(KINDS)),
        keep=draw(st.sampled_from([0.2, 0.7, 1.0])),
    )


@pytest.fixture(scope="session")
def costs() -> Callable[[str, tuple[int, int, int], torch.Generator], Tensor]:
    return _costs


@pytest.fixture(scope="session")
def ragged() -> Callable[..., Ragged]:
    return _ragged


@pytest.fixture(scope="session")
def problems() -> Callable[..., st.SearchStrategy[Ragged]]:
    """Strategies, most of whose problems are small: `data.draw(problems(longest=(12, 16)))`."""
    return _problems


# Problems whose exact solution is known.


@dataclass(frozen=True, kw_only=True, eq=False)
class Planted:
    """Costs ``f_i + g_j``, and more wherever `plan` is 0: by complementary slackness the plan is the one solution."""

    slack: float  # how much more at least
    cost: Tensor  # (B, W, R) float64
    word_weights: Tensor
    region_weights: Tensor
    plan: Tensor

    @property
    def weights(self) -> dict[str, Tensor]:
        return {"word_weights": self.word_weights, "region_weights": self.region_weights}


def _planted(seed: int, words: int, regions: int, *, pairs: int = 3, slack: float = 0.4) -> Planted:
    """Stars: each point of the longer side belongs to one of the shorter, at random weights."""
    if words > regions:
        turned = _planted(seed, regions, words, pairs=pairs, slack=slack)
        return Planted(
            slack=slack,
            cost=turned.cost.mT,
            word_weights=turned.region_weights,
            region_weights=turned.word_weights,
            plan=turned.plan.mT,
        )
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    owner = uniform(pairs, regions).argsort(1) % words  # every word owns a region
    region_weights = uniform(pairs, regions) + 0.1
    region_weights = region_weights / region_weights.sum(1, keepdim=True)
    plan = (owner[:, None, :] == torch.arange(words)[:, None]) * region_weights[:, None, :]
    extra = (slack + uniform(pairs, words, regions)) * (plan == 0)
    return Planted(
        slack=slack,
        cost=uniform(pairs, words, 1) + uniform(pairs, 1, regions) + extra,
        word_weights=plan.sum(2),
        region_weights=region_weights,
        plan=plan,
    )


@pytest.fixture(scope="session")
def planted() -> Callable[..., Planted]:
    return _planted


# The reference that every solver here is held against.


def _reference_plan(
    cost: Tensor,
    beta: float,
    iterations: int,
    inner: int = 1,
    *,
    word_weights: Tensor | None = None,
    region_weights: Tensor | None = None,
    stages: Sequence[tuple[int, int]] = (),
    relaxation: float = 1.0,
) -> Tensor:
    """Algorithm 1 of the paper on logarithms in float64, nothing absent, released order; axes (B, W, R)."""
    pairs, words, regions = cost.shape
    exponents = cost.double() / beta
    uniform_words = torch.full((pairs, words), 1 / words, dtype=torch.float64)
    uniform_regions = torch.full((pairs, regions), 1 / regions, dtype=torch.float64)
    log_a = (uniform_words if word_weights is None else word_weights.double()).log()[:, :, None]
    log_b = (uniform_regions if region_weights is None else region_weights.double()).log()[:, None, :]
    log_plan, log_sigma, log_delta = torch.zeros_like(exponents), torch.zeros_like(log_a), torch.zeros_like(log_b)
    stages = stages or [(iterations, 1)]
    updates, left = 0, inner * sum(count for count, _ in stages)
    last_power = stages[0][1]
    for count, power in stages:
        log_sigma, log_delta = log_sigma * (power / last_power), log_delta * (power / last_power)
        last_power = power
        for _ in range(count):
            log_plan = log_plan - power * exponents
            for _ in range(inner):
                new = log_b - torch.logsumexp(log_plan + log_sigma, 1, keepdim=True)
                log_delta = log_delta + (relaxation if updates else 1) * (new - log_delta)
                new = log_a - torch.logsumexp(log_plan + log_delta, 2, keepdim=True)
                updates, left = updates + 1, left - 1
                log_sigma = log_sigma + (relaxation if updates > 1 and left else 1) * (new - log_sigma)
            log_plan = log_plan + log_delta + log_sigma
    return log_plan.exp()


@pytest.fixture(scope="session")
def reference_plan() -> Callable[..., Tensor]:
    return _reference_plan
