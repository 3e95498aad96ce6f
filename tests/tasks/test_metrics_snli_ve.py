"""SNLI-VE: accuracy, classes and confusion by definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_tasks.metrics import score_snli_ve
from uniter_tasks.metrics.snli_ve import CLASSES

names = st.sampled_from(CLASSES)


@given(st.lists(st.tuples(names, names), min_size=1))
def test_by_definition(pairs: list[tuple[str, str]]) -> None:
    score = score_snli_ve([said for said, _ in pairs], [label for _, label in pairs])
    assert score.accuracy == pytest.approx(sum(said == label for said, label in pairs) / len(pairs))
    for label in CLASSES:
        of_label = [said for said, true in pairs if true == label]
        assert score.confusion[label] == {name: of_label.count(name) for name in CLASSES}
        if of_label:
            assert score.classes[label] == pytest.approx(of_label.count(label) / len(of_label))
        else:
            assert label not in score.classes


def test_refusals() -> None:
    with pytest.raises(ValueError, match="got 'entails'"):
        score_snli_ve(["entails"], ["neutral"])
    with pytest.raises(ValueError, match="at least one, got 1 and 2"):
        score_snli_ve(["neutral"], ["neutral", "neutral"])
