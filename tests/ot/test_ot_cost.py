"""Costs: closed forms, dtypes, gradients. B pairs, W words, R regions."""

import pytest
import torch

from uniter_ot import cosine_cost, squared_euclidean_cost


def points(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_cosine_of_every_pair() -> None:
    words, regions = points(2, 3, 5), points(2, 4, 5, seed=1)
    expected = 1 - torch.cosine_similarity(words[:, :, None], regions[:, None, :], dim=-1)
    torch.testing.assert_close(cosine_cost(words, regions), expected)


def test_cosine_ignores_length_and_zero_vectors_cost_one() -> None:
    words, regions = points(1, 3, 5), points(1, 4, 5, seed=1)
    torch.testing.assert_close(cosine_cost(100 * words, 0.01 * regions), cosine_cost(words, regions))
    assert torch.equal(cosine_cost(torch.zeros(1, 2, 5), torch.ones(1, 3, 5)), torch.ones(1, 2, 3))


def test_small_norms_are_clamped() -> None:
    word = torch.tensor([[[1e-6, 0.0]]])
    torch.testing.assert_close(cosine_cost(word, torch.tensor([[[2.0, 0.0]]])), torch.tensor([[[0.9]]]))


def test_cosine_is_half_the_squared_distance_of_unit_vectors() -> None:
    words = torch.nn.functional.normalize(points(2, 3, 5), dim=-1)
    regions = torch.nn.functional.normalize(points(2, 4, 5, seed=1), dim=-1)
    torch.testing.assert_close(cosine_cost(words, regions), squared_euclidean_cost(words, regions) / 2)


def test_squared_distance_of_every_pair() -> None:
    words, regions = points(2, 3, 5), points(2, 4, 5, seed=1)
    expected = (words[:, :, None] - regions[:, None, :]).square().sum(-1)
    torch.testing.assert_close(squared_euclidean_cost(words, regions), expected)
    assert (squared_euclidean_cost(words.float(), words.float()) >= 0).all()


@pytest.mark.parametrize("cost", [cosine_cost, squared_euclidean_cost])
def test_gradients(cost: object) -> None:
    inputs = (points(1, 2, 3).requires_grad_(), points(1, 4, 3, seed=1).requires_grad_())
    assert torch.autograd.gradcheck(cost, inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("cost", [cosine_cost, squared_euclidean_cost])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_computes_in_float32_or_wider(cost, dtype: torch.dtype) -> None:  # type: ignore[no-untyped-def]
    words, regions = points(2, 3, 5, dtype=dtype), points(2, 4, 5, seed=1, dtype=dtype)
    expected = cost(words.float(), regions.float())
    assert expected.dtype == torch.float32
    torch.testing.assert_close(cost(words, regions), expected, atol=0, rtol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(cost(words, regions), expected, atol=0, rtol=0)
    assert cost(words, regions.double()).dtype == torch.float64
