"""Keys and the draws they name."""

import torch

from uniter_core import key_of, permutation, uniforms, unit_keys


def test_keys_are_the_same_for_ever() -> None:
    assert key_of(1, "init") == 458274197077036176
    assert key_of() == 8238016292129134938
    assert uniforms(torch.tensor([0, 1, -5]), "masking").tolist() == [
        0.11903834506835864,
        0.4449635488941909,
        0.24854364738724277,
    ]


def test_permutation_is_stable_and_complete() -> None:
    assert permutation(7, 6).tolist() == [3, 2, 1, 5, 0, 4]
    for n in (0, 1, 1000):
        assert permutation(key_of(n), n).sort().values.tolist() == list(range(n))
    assert not torch.equal(permutation(1, 1000), permutation(2, 1000))


def test_permutations_are_fair() -> None:
    """Each of 5 items comes first in about a fifth of 5,000 permutations (6 standard errors)."""
    first = torch.tensor([int(permutation(key_of("fair", n), 5)[0]) for n in range(5000)])
    assert (first.bincount(minlength=5) / 5000 - 0.2).abs().max() < 6 * (0.2 * 0.8 / 5000) ** 0.5


def test_uniforms_are_uniform_and_streams_independent() -> None:
    keys = torch.arange(100_000)
    first, second = uniforms(keys, "a"), uniforms(keys, "b")
    for draws in (first, second):
        assert draws.dtype == torch.float64
        assert draws.min() >= 0
        assert draws.max() < 1
        histogram = draws.histc(50, 0, 1)
        assert ((histogram - 2000) ** 2 / 2000).sum() < 120  # chi-square, 49 degrees of freedom: p < 1e-7
    correlation = torch.corrcoef(torch.stack([first, second, first.roll(1)]))
    assert (correlation - torch.eye(3)).abs().max() < 0.02
    assert uniforms(keys.view(100, 1000), "a").shape == (100, 1000)


def test_unit_keys_are_splitmix64() -> None:
    """The first outputs of the published generator, seeded with 0."""
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    keys = unit_keys(torch.tensor([0]), torch.tensor([3]))
    assert [key % 2**64 for key in keys.tolist()] == expected


def test_unit_keys_depend_on_the_sample_alone() -> None:
    keys, lengths = torch.tensor([5, 9, 5]), torch.tensor([3, 0, 4])
    units = unit_keys(keys, lengths)
    assert units.shape == (7,)
    assert torch.equal(units[:3], units[3:6])
    assert len(units.unique()) == 4
    assert torch.equal(unit_keys(keys[2:], lengths[2:]), units[3:])
