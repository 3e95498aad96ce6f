"""Annotations read from official files are those that the importer stores, but for what needs regions."""

import json
from pathlib import Path

import pytest

from uniter_data.annotations import annotation_records
from uniter_data.examples import ExampleDataset, stored_annotations

FILES = {
    # files of the test split, in this order
    "vqa": ["v2_scenes_test_annotations_hidden.json", "v2_OpenEnded_scenes_test_questions.json"],
    "vcr": ["test.jsonl"],
    "nlvr2": ["test1.json"],
    "snli-ve": ["snli_ve_test.jsonl"],
    "refexp": ["attributes/refs(scenes).p"],
}
OF_REGIONS = {"target", "overlap"}


@pytest.mark.parametrize("task", FILES)
def test_equal_to_what_is_imported(task: str, tiny_annotations: Path, tiny_tasks: Path) -> None:
    found = annotation_records(task, [tiny_annotations / task / name for name in FILES[task]], split="test")
    stored = stored_annotations(tiny_tasks / task, task, "test")
    assert found == [{name: each[name] for name in each if name not in OF_REGIONS} for each in stored]


def test_questions_alone_have_no_answers(tiny_annotations: Path) -> None:
    answers, questions = (tiny_annotations / "vqa" / name for name in FILES["vqa"])
    asked, answered = annotation_records("vqa", [questions]), annotation_records("vqa", [answers])
    assert [each["question_id"] for each in asked] == [each["question_id"] for each in answered]
    assert not any("answers" in each for each in asked)
    assert all(len(each["answers"]) == 10 and each["question"] == "" for each in answered)


def test_what_nobody_agrees_on_is_left_out(tmp_path: Path) -> None:
    record = {"sentence2": "A dog.", "Flickr30K_ID": "9"}
    lines = [record | {"pairID": "a", "gold_label": "-"}, record | {"pairID": "b", "gold_label": "neutral"}]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert annotation_records("snli-ve", [tmp_path / "dev.jsonl"]) == [
        {"pair_id": "b", "sentence": "A dog.", "label": "neutral"}
    ]


def test_refusals(tiny_annotations: Path, tiny_tasks: Path, tmp_path: Path) -> None:
    refs = tiny_annotations / "refexp" / "attributes" / "refs(scenes).p"
    twice = {"question_id": 3, "question_type": "what", "answer_type": "other", "answers": [{"answer": "a"}] * 10}
    (tmp_path / "twice.json").write_text(json.dumps({"annotations": [twice, twice]}))
    for task, paths, message in (
        ("retrieval", ["x"], "expected one of vqa, vcr"),
        ("nlvr2", [], "at least one annotation file"),
        (
            "vqa",
            [tiny_annotations / "nlvr2" / "dev.json"],
            r"dev\.json is not a file of VQA annotations: .* like NLVR2",
        ),
        ("vqa", [tmp_path / "twice.json"], r"twice\.json: annotations\[1\]: question_id.*3 is that of record 1"),
        ("refexp", [refs, refs], "one file of references"),
    ):
        with pytest.raises(ValueError, match=message):
            annotation_records(task, paths)
    with pytest.raises(ValueError, match=r"refs\(scenes\)\.p: no example of split 'testB'"):
        annotation_records("refexp", [refs], split="testB")
    with pytest.raises(FileNotFoundError):
        annotation_records("vqa", [tmp_path / "nothing.json"])
    for task, split, message in (("vqa", "test", "holds data of vcr, not of vqa"), ("vcr", "dev", "no split 'dev'")):
        with pytest.raises(ValueError, match=message):
            stored_annotations(tiny_tasks / "vcr", task, split)


@pytest.mark.parametrize("task", ["refexp", "vcr"])
def test_boxes_are_those_of_the_examples(task: str, tiny_tasks: Path) -> None:
    data = ExampleDataset.open(tiny_tasks / task, "val")
    rows = [3, 0, 3]
    for boxes, example in zip(data.boxes(rows), data.examples(rows), strict=True):
        assert boxes.tolist() == example.images[0].boxes.tolist()
