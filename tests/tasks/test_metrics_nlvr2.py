"""NLVR2: accuracy and consistency by definition and by hand, subsets and phenomena, the official scorer's numbers."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_tasks.metrics import (
    mean_over,
    phenomenon_accuracy,
    read_phenomena,
    read_subset,
    score_nlvr2,
    sentence_of,
)

examples = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1), st.booleans(), st.booleans()),
    min_size=1,
    unique_by=lambda example: example[:3],
)


@given(examples)
def test_by_definition(drawn: list[tuple[int, int, int, bool, bool]]) -> None:
    score = score_nlvr2(
        [said for *_, said, _ in drawn],
        [label for *_, label in drawn],
        [f"dev-{pictures}-{pair}-{sentence}" for pictures, pair, sentence, *_ in drawn],
    )
    sentences: dict[tuple[int, int], list[bool]] = {}
    for pictures, _, sentence, said, label in drawn:
        sentences.setdefault((pictures, sentence), []).append(said == label)
    right = [right for each in sentences.values() for right in each]
    assert score.accuracy == pytest.approx(sum(right) / len(right))
    assert score.consistency == pytest.approx(sum(map(all, sentences.values())) / len(sentences))


def test_consistency_by_hand() -> None:
    """Two sentences of one set of pictures are two sentences; one wrong pair spoils its own only."""
    identifiers = ["dev-7-0-0", "dev-7-1-0", "dev-7-0-1", "dev-7-1-1", "dev-71-0-0"]
    score = score_nlvr2([True, True, True, False, False], [True, True, True, True, True], identifiers)
    assert score.accuracy == pytest.approx(3 / 5)
    assert score.sentences.tolist() == [True, False, False]
    assert score.consistency == pytest.approx(1 / 3)


def test_identifier_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="split-set-pair-sentence, got 'dev-1-0'"):
        sentence_of("dev-1-0")
    with pytest.raises(ValueError, match=r"\(E,\) predictions"):
        score_nlvr2([True], [True, False], ["dev-1-0-0"])


def test_subset_names_what_was_not_scored() -> None:
    with pytest.raises(ValueError, match=r"'c' .* is none of the 2 ids"):
        mean_over([1, 0], ["a", "b"], {"a", "c"})
    with pytest.raises(ValueError, match="at least one id"):
        mean_over([1, 0], ["a", "b"], set())


def test_phenomena(tmp_path: Path) -> None:
    file = tmp_path / "annotated.txt"
    file.write_text("Two dogs sit.\n* cardinality (hard)\n* Coordination\n\nNo dog sits.\n* negation\n")
    phenomena = read_phenomena(file)
    assert phenomena == {
        "cardinality (hard)": frozenset({"Two dogs sit."}),
        "coordination": frozenset({"Two dogs sit."}),
        "negation": frozenset({"No dog sits."}),
    }
    found = phenomenon_accuracy([1, 0, 1], ["Two dogs  sit.", "two dogs sit.", "Other."], phenomena)
    assert found == {"cardinality (hard)": (0.5, 2), "coordination": (0.5, 2)}
    with pytest.raises(ValueError, match="none of the annotated sentences"):
        phenomenon_accuracy([1], ["Other."], phenomena)


@pytest.mark.parametrize(("text", "message"), [("* negation\n", ":1: expected a sentence before"), ("\n", "got none")])
def test_phenomena_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "annotated.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_phenomena(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"identifier": "dev-1-0-0"}\nnot json\n', r"txt:2: expected a JSON object"), ("[]\n", ":1: "), ("", "got none")],
)
def test_subset_file_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "subset.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_subset(file)


@pytest.mark.golden
@pytest.mark.real_data
def test_official_scorer(golden_dir: Path, real_data_dir: Path) -> None:
    expected: dict[str, Any] = json.loads((golden_dir / "scorers/expected.json").read_text())["nlvr2"]
    lines = (real_data_dir / expected["annotations"]).read_text().splitlines()
    records = [json.loads(line) for line in lines]
    with (golden_dir / "scorers/nlvr2_predictions.csv").open(newline="") as file:
        predicted = {identifier: answer == "True" for identifier, answer in csv.reader(file)}
    identifiers = [record["identifier"] for record in records]
    score = score_nlvr2(
        [predicted[identifier] for identifier in identifiers],
        [record["label"] == "True" for record in records],
        identifiers,
    )
    assert score.accuracy == pytest.approx(expected["accuracy"])
    assert score.consistency == pytest.approx(expected["consistency"])
    assert len(score.sentences) == len({(sentence_of(record["identifier"]), record["sentence"]) for record in records})
    for name in ("balanced", "unbalanced"):
        subset = read_subset(real_data_dir / f"nlvr2/{name}_dev.json")
        assert mean_over(score.examples, identifiers, subset) == pytest.approx(expected[f"{name}_accuracy"])
