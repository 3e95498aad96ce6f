"""What the most frequent answer reaches: the scorer's figure for always saying it, worked out by hand."""

import numpy as np
import pytest

from uniter_tasks.predictions import ScoreOptions, constant_predictions, decode_predictions, score

PLAIN = ScoreOptions(draws=0)


def accuracy(task, training, records, ids, **options):
    return score(constant_predictions(task, training, ids, **options), records, PLAIN)


def test_vqa_says_what_most_questions_are_answered_with():
    training = [{"answers": ["two"] * 10}, {"answers": ["a dog"] * 6 + ["cat"] * 4}, {"answers": ["Dog"] * 10}]
    asked = {"question_type": "what", "answer_type": "other"}
    records = [
        {"question_id": 1, "answers": ["dog"] * 2 + ["cat"] * 8, **asked},
        {"question_id": 2, "answers": ["2"] * 10, **asked},
    ]
    assert accuracy("vqa", training, records, ["1", "2"])["accuracy"] == pytest.approx(0.3)


@pytest.mark.parametrize(("frequent", "expected"), [(True, 2 / 3), (False, 1 / 3)])
def test_nlvr2(frequent, expected):
    training = [{"label": frequent}, {"label": frequent}, {"label": not frequent}]
    records = [{"identifier": f"dev-0-0-{number}", "label": label} for number, label in enumerate([True, False, True])]
    found = accuracy("nlvr2", training, records, [record["identifier"] for record in records])
    assert found["accuracy"] == found["consistency"] == pytest.approx(expected)


def test_snli_ve():
    training = [{"label": label} for label in ("neutral", "contradiction", "contradiction")]
    records = [{"pair_id": label, "label": label} for label in ("entailment", "contradiction")]
    found = accuracy("snli-ve", training, records, ["contradiction", "entailment"])
    assert found["classes"] == {"contradiction": 1.0, "entailment": 0.0}


def test_vcr_chooses_two_places():
    labels = [(1, 3), (1, 2), (0, 3)]
    training = [{"answer_label": answer, "rationale_label": rationale} for answer, rationale in labels]
    records = [{"annot_id": str(number), **each} for number, each in enumerate(training)]
    found = accuracy("vcr", training, records, ["0", "1", "2"])
    assert (found["q_a"], found["qa_r"]) == pytest.approx((2 / 3, 2 / 3))
    assert found["accuracy"] == pytest.approx(1 / 3)


def test_refexp_takes_one_row_or_the_last():
    training = [{"target": 2}, {"target": 2}, {"target": 0}]
    boxes = [np.arange(4 * count, dtype=float).reshape(count, 4) + 1 for count in (4, 2)]
    found = constant_predictions("refexp", training, ["5", "6"], boxes=boxes)
    assert [chosen.region for chosen in decode_predictions(found)] == [2, 1]
    records = [
        {"sent_id": 5, "box": boxes[0][2].tolist(), "target": 2},
        {"sent_id": 6, "box": [0, 0, 1, 1], "target": 0},
    ]
    assert score(found, records, PLAIN)["region_accuracy"] == 0.5


def test_training_without_labels_and_regions_without_boxes_are_refused():
    for task in ("nlvr2", "snli-ve", "vcr"):
        with pytest.raises(ValueError, match="training: expected examples with labels"):
            constant_predictions(task, [{}], ["a"])
    with pytest.raises(ValueError, match="boxes"):
        constant_predictions("refexp", [{"target": 0}], ["1"])
