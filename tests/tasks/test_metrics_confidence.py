"""Bootstrap intervals against a bootstrap written out, and what is refused; means by group."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_tasks.metrics import bootstrap_interval, mean_by


def test_as_a_bootstrap_written_out() -> None:
    generator = np.random.default_rng(3)
    values = generator.choice([0.0, 0.3, 0.6, 0.9, 1.0], 300, p=[0.3, 0.1, 0.1, 0.1, 0.4])
    means = [generator.choice(values, len(values)).mean() for _ in range(4000)]
    found = bootstrap_interval(values, draws=4000, seed=1)
    assert found == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.005)


def test_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(4)
    inside = 0
    for seed in range(300):
        low, high = bootstrap_interval(generator.random(200) < 0.7, draws=300, seed=seed, level=0.9)
        inside += low <= 0.7 <= high
    assert 0.85 < inside / 300 < 0.95


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 9))
def test_same_seed_same_bounds_within_the_values(values: list[float], seed: int) -> None:
    low, high = bootstrap_interval(values, draws=50, seed=seed)
    assert (low, high) == bootstrap_interval(values, draws=50, seed=seed)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "values: expected"),
        ([np.nan], {}, "finite"),
        ([1.0], {"level": 1.0}, "level: expected"),
        ([1.0], {"draws": 0}, "draws: expected"),
    ],
)
def test_refusals(values: list[float], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, **options)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["x", "y", "z"])), min_size=1))
def test_means_by_definition(pairs: list[tuple[float, str]]) -> None:
    found = mean_by([value for value, _ in pairs], [name for _, name in pairs])
    assert list(found) == sorted({name for _, name in pairs})
    for name, mean in found.items():
        of_group = [value for value, group in pairs if group == name]
        assert mean == pytest.approx(sum(of_group) / len(of_group))


def test_means_need_a_group_a_value() -> None:
    with pytest.raises(ValueError, match="groups: expected one for each"):
        mean_by([1.0, 2.0], ["x"])
