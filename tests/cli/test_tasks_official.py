"""`uniter evaluate --predictions` says of files what the official scorers say of them."""

import json

import pytest


@pytest.mark.golden
@pytest.mark.real_data
def test_scores_are_those_of_the_official_scorers(golden_dir, real_data_dir, uniter_session):
    scorers = golden_dir / "scorers"
    expected = json.loads((scorers / "expected.json").read_text())
    annotations = real_data_dir / expected["nlvr2"]["annotations"]
    subsets = [
        argument
        for name in ("balanced", "unbalanced")
        for argument in (f"--{name}", annotations.with_name(f"{name}_{annotations.name}"))
    ]
    nlvr2, vqa = uniter_session(
        [
            ["evaluate", "nlvr2", "--predictions", scorers / "nlvr2_predictions.csv", "--annotations", annotations,
             *subsets, "--json"],
            ["evaluate", "vqa", "--predictions", scorers / "vqa_results.json",
             "--annotations", scorers / "vqa_annotations.json", "--json"],
        ]
    )  # fmt: skip
    assert (nlvr2.status, vqa.status) == (0, 0), nlvr2.stderr + vqa.stderr
    found, official = json.loads(nlvr2.stdout), expected["nlvr2"]
    assert (found["accuracy"], found["consistency"]) == (official["accuracy"], official["consistency"])
    for name, subset in found["subsets"].items():
        assert subset["accuracy"] == pytest.approx(official[f"{name}_accuracy"])
    found, official = json.loads(vqa.stdout), expected["vqa"]
    assert 100 * found["accuracy"] == pytest.approx(official["overall"], abs=1e-4)
    for ours, theirs in (("answer_types", "perAnswerType"), ("question_types", "perQuestionType")):
        assert {name: 100 * share for name, share in found[ours].items()} == pytest.approx(official[theirs], abs=1e-4)
