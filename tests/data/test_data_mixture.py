"""The mixture of data sets and objectives."""

from collections import Counter

import pytest

from uniter_data import Stage, TaskMixture

CURRICULUM = [
    Stage(until=0.3, weights={"snaps": {"mlm": 2, "itm": 1}}),
    Stage(until=1.0, weights={"snaps": {"mlm": 2, "itm": 1}, "captions": {"mlm": 4, "itm": 2, "wra": 0}}),
]


def test_choices_follow_the_weights():
    mixture = TaskMixture(CURRICULUM, seed=1, steps=10_000)
    chosen = Counter(mixture.choose(step) for step in range(3000, 10_000))
    for pair, share in {
        ("snaps", "mlm"): 2,
        ("snaps", "itm"): 1,
        ("captions", "mlm"): 4,
        ("captions", "itm"): 2,
    }.items():
        assert chosen[pair] / 7000 == pytest.approx(share / 9, abs=0.025)
    assert ("captions", "wra") not in chosen


def test_a_stage_ends_where_it_says():
    mixture = TaskMixture(CURRICULUM, seed=1, steps=1000)
    assert {mixture.choose(step)[0] for step in range(300)} == {"snaps"}
    assert {mixture.choose(step)[0] for step in range(300, 1000)} == {"snaps", "captions"}


def test_a_choice_is_a_pure_function_of_seed_and_step():
    one, other = (TaskMixture(CURRICULUM, seed=seed, steps=200) for seed in (1, 2))
    forwards = [one.choose(step) for step in range(200)]
    again = TaskMixture(CURRICULUM, seed=1, steps=200)
    assert [again.choose(step) for step in reversed(range(200))] == forwards[::-1]
    assert [other.choose(step) for step in range(200)] != forwards


def test_pairs_are_all_that_may_be_chosen():
    assert TaskMixture(CURRICULUM, seed=0, steps=5).pairs == [
        ("snaps", "mlm"),
        ("snaps", "itm"),
        ("captions", "mlm"),
        ("captions", "itm"),
    ]


def test_bad_stages_are_refused():
    weights = {"a": {"mlm": 1.0}}
    with pytest.raises(ValueError, match="until: expected a share"):
        Stage(until=0.0, weights=weights)
    with pytest.raises(ValueError, match="weights: expected none negative"):
        Stage(until=1.0, weights={"a": {"mlm": 1.0, "itm": -1.0}})
    with pytest.raises(ValueError, match="weights: expected none negative"):
        Stage(until=1.0, weights={"a": {"mlm": 0.0}})
    for ends in ([], [0.5], [0.5, 0.5, 1.0], [1.0, 1.0]):
        with pytest.raises(ValueError, match="stages: expected ends that rise to 1"):
            TaskMixture([Stage(until=end, weights=weights) for end in ends], seed=0, steps=10)
    mixture = TaskMixture([Stage(until=1.0, weights=weights)], seed=0, steps=10)
    with pytest.raises(ValueError, match="step: expected 0 to 9, got 10"):
        mixture.choose(10)
    with pytest.raises(ValueError, match="steps: expected at least 1"):
        TaskMixture([Stage(until=1.0, weights=weights)], seed=0, steps=0)
