"""The reference that every solver here is held against."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


def _reference_plan(cost: Tensor, beta: float, iterations: int, inner: int = 1) -> Tensor:
    """Algorithm 1 of the paper on logarithms in float64, unmasked, released order; axes (B, W, R)."""
    exponents = cost.double() / beta
    words, regions = torch.tensor(cost.shape[1]).double(), torch.tensor(cost.shape[2]).double()
    log_plan = torch.zeros_like(exponents)
    log_sigma = -words.log().expand(cost.shape[0], cost.shape[1], 1)
    for _ in range(iterations):
        log_plan = log_plan - exponents
        for _ in range(inner):
            log_delta = -regions.log() - torch.logsumexp(log_plan + log_sigma, 1, keepdim=True)
            log_sigma = -words.log() - torch.logsumexp(log_plan + log_delta, 2, keepdim=True)
        log_plan = log_plan + log_delta + log_sigma
    return log_plan.exp()


@pytest.fixture(scope="session")
def reference_plan() -> Callable[..., Tensor]:
    return _reference_plan
