"""Each format's records come back as written; other files, wrong fields and doubled ids are refused by name."""

import json
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data.annotations import (
    read_detections,
    read_genome_questions,
    read_instances,
    read_karpathy,
    read_nlvr2,
    read_refcoco,
    read_snli_ve,
    read_vcr,
    read_vcr_metadata,
    read_vqa,
    read_vqa_questions,
)
from uniter_data.annotations.vcr import NAMES, object_words, written

SENTENCE = st.text(min_size=1, max_size=20).filter(str.strip)


def save(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def save_lines(path: Path, records: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def question(number: int, text: str = "What is it?", image: int = 42) -> dict[str, Any]:
    return {"image_id": image, "question": text, "question_id": number}


def annotation(number: int, answers: Iterable[str] = ("yes",) * 10) -> dict[str, Any]:
    return {
        "question_type": "what is",
        "multiple_choice_answer": "yes",
        "answers": [
            {"answer": answer, "answer_confidence": "maybe", "answer_id": place}
            for place, answer in enumerate(answers, start=1)
        ],
        "image_id": 42,
        "answer_type": "other",
        "question_id": number,
    }


def snli_ve(pair: str = "1.jpg#0r1n", **changes: Any) -> dict[str, Any]:
    record = {
        "annotator_labels": ["neutral"],
        "captionID": "36979.jpg#0",
        "gold_label": "neutral",
        "pairID": pair,
        "sentence1": "A caption.",
        "sentence2": "Two men talk.",
        "Flickr30K_ID": "36979",
    }
    return {name: value for name, value in (record | changes).items() if value is not ...}


def nlvr2(identifier: str = "dev-850-0-0", **changes: Any) -> dict[str, Any]:
    record = {
        "sentence": "Two dogs.",
        "label": "True",
        "identifier": identifier,
        "left_url": "https://a.org/pics/left%20dog.jpg?x=1",
        "right_url": "https://a.org/right.png",
        "synset": "dog",
        "validation": {"1": "True"},
    }
    return {name: value for name, value in (record | changes).items() if value is not ...}


def vcr(annot: str = "train-0", **changes: Any) -> dict[str, Any]:
    record = {
        "movie": "1054_Harry",
        "objects": ["person", "bottle", "person"],
        "img_fn": "lsmdc_1054_Harry/1054_Harry_00.01.02@0.jpg",
        "metadata_fn": "lsmdc_1054_Harry/1054_Harry_00.01.02@0.json",
        "question": ["What", "is", [0], "giving", [1, 2], "?"],
        "answer_choices": [["A", "hug", "."], [[2], "sleeps", "."], ["Ink", "."], ["?"]],
        "answer_label": 1,
        "rationale_choices": [[[0], "smiles", "."], ["b", "."], ["c", "."], ["d", "."]],
        "rationale_label": 0,
        "annot_id": annot,
    }
    return {name: value for name, value in (record | changes).items() if value is not ...}


def karpathy(
    number: int = 391895, split: str = "val", sentences: Iterable[str] = ("A man.", "A dog.")
) -> dict[str, Any]:
    captions = [
        {"tokens": text.lower().split(), "raw": text, "imgid": 0, "sentid": 100 * number + place}
        for place, text in enumerate(sentences)
    ]
    return {
        "filepath": "val2014",
        "sentids": [caption["sentid"] for caption in captions],
        "filename": f"COCO_val2014_{number:012d}.jpg",
        "imgid": 0,
        "split": split,
        "sentences": captions,
        "cocoid": number,
    }


def instances() -> dict[str, Any]:
    return {
        "info": {},
        "images": [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "width": 640, "height": 480}],
        "licenses": [],
        "annotations": [
            {"id": 31, "image_id": 9, "category_id": 1, "bbox": [10.5, 20, 100, 200], "segmentation": [], "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }


def reference(ref_id: int = 5, **changes: Any) -> dict[str, Any]:
    record = {
        "ref_id": ref_id,
        "ann_id": 31,
        "image_id": 9,
        "category_id": 1,
        "split": "testA",
        "file_name": "COCO_train2014_000000000009_31.jpg",
        "sent_ids": [10 * ref_id, 10 * ref_id + 1],
        "sentences": [
            {"tokens": ["left", "man"], "raw": "Left man", "sent_id": 10 * ref_id, "sent": "left man"},
            {"tokens": [], "raw": "?", "sent_id": 10 * ref_id + 1, "sent": ""},
        ],
    }
    return record | changes


def save_references(path: Path, references: Any, protocol: int = 0) -> Path:
    path.write_bytes(pickle.dumps(references, protocol=protocol))
    return path


def refused(read: Callable[[], Any], *said: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).") as error:
        read()
    message = str(error.value)
    assert "\n" not in message
    for part in said:
        assert part in message


# ---------------------------------------------------------------------------------------------------------------------


@given(asked=st.dictionaries(st.integers(0, 10**9), SENTENCE, min_size=1, max_size=5), data=st.data())
def test_vqa_joins_answers_with_their_questions(
    tmp_path_factory: pytest.TempPathFactory, asked: dict[int, str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    given_answers = {number: data.draw(st.lists(st.text(max_size=5), min_size=10, max_size=10)) for number in asked}
    head = {"info": {"version": "2.0"}, "data_type": "mscoco", "license": {"name": "CC"}}
    questions = save(
        folder / "questions.json",
        head | {"questions": [question(number, text) for number, text in asked.items()], "data_subtype": "val2014"},
    )
    order = data.draw(st.permutations(list(asked)))
    answers = save(
        folder / "annotations.json", head | {"annotations": [annotation(n, given_answers[n]) for n in order]}
    )
    records = list(read_vqa(questions, answers))
    assert [record.question_id for record in records] == order
    for record in records:
        assert record.question == asked[record.question_id]
        assert record.answers == tuple(given_answers[record.question_id])
        assert (record.image_id, record.collection) == (42, "val2014")
        assert (record.question_type, record.answer_type) == ("what is", "other")


def test_vqa_tests_have_no_answers_and_test_dev_shares_the_pictures_of_test(tmp_path: Path) -> None:
    path = save(tmp_path / "q.json", {"questions": [question(7)], "data_subtype": "test-dev2015"})
    assert read_vqa_questions(path).collection == "test-dev2015"
    (record,) = read_vqa(path)
    assert (record.answers, record.collection) == (None, "test2015")
    assert str(path) in record.source
    assert "7" in record.source


def test_vqa_refuses_what_does_not_belong_together(tmp_path: Path) -> None:
    questions = save(tmp_path / "q.json", {"questions": [question(1), question(2)]})
    answers = save(tmp_path / "a.json", {"annotations": [annotation(1)]})
    refused(lambda: list(read_vqa(questions, answers)), "a.json lacks question 2")
    save(answers, {"annotations": [annotation(1), annotation(3)]})
    refused(lambda: list(read_vqa(questions, answers)), "annotations[1]", "q.json has no question 3")
    save(answers, {"annotations": [annotation(1), annotation(1)]})
    refused(lambda: list(read_vqa(questions, answers)), "annotations[1]", "question 1 was annotated before")
    save(answers, {"annotations": [annotation(1, ["yes"] * 9), annotation(2)]})
    refused(lambda: list(read_vqa(questions, answers)), "annotations[0]: answers: expected a list of 10 items")
    save(questions, {"questions": [question(1), question(1)]})
    refused(lambda: list(read_vqa(questions)), "questions[1]", "question_id 1")
    refused(lambda: list(read_vqa(answers)), "a.json is not a file of VQA questions", "looks like VQA annotations")
    refused(lambda: list(read_vqa(answers, answers)), "looks like VQA annotations")
    save(questions, {"questions": [question(1), {"question_id": 2, "question": "?"}]})
    refused(lambda: list(read_vqa(questions)), "questions[1]: image_id", "got nothing")


def test_vqa_refuses_version_1(tmp_path: Path) -> None:
    path = save(tmp_path / "q.json", {"info": {"version": "1.0"}, "questions": [question(1)]})
    refused(lambda: list(read_vqa(path)), "version 1.0 of VQA", "version 2.0")


def test_genome_questions(tmp_path: Path) -> None:
    qas = [
        {"qa_id": 986769, "image_id": 1, "question": "What colour is the clock?", "answer": "Green.", "a_objects": []}
    ]
    path = save(tmp_path / "question_answers.json", [{"id": 1, "qas": qas}, {"id": 2, "qas": []}])
    (record,) = read_genome_questions(path)
    assert (record.qa_id, record.image_id, record.answer) == (986769, 1, "Green.")
    save(path, [{"id": 1, "qas": qas}, {"id": 2, "qas": qas}])
    refused(lambda: list(read_genome_questions(path)), "[1]: qas[0]: qa_id", "986769")
    save(path, {"questions": [question(1)]})
    refused(lambda: list(read_genome_questions(path)), "looks like VQA questions")
    save(path, [])
    refused(lambda: list(read_genome_questions(path)), "question_answers.json")


@given(sentences=st.lists(SENTENCE, min_size=1, max_size=5))
def test_snli_ve_records_come_back(tmp_path_factory: pytest.TempPathFactory, sentences: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "snli_ve_dev.jsonl"
    save_lines(path, [snli_ve(f"p{place}", sentence2=text) for place, text in enumerate(sentences)])
    records = list(read_snli_ve(path))
    assert [record.hypothesis for record in records] == sentences
    assert {(record.flickr_id, record.label, record.undecided) for record in records} == {("36979", "neutral", False)}


def test_snli_ve_labels(tmp_path: Path) -> None:
    path = save_lines(
        tmp_path / "x.jsonl",
        [
            snli_ve("a", gold_label="-"),
            snli_ve("b", gold_label=...),
            snli_ve("c", **{"Flickr30K_ID": ..., "Flikr30kID": "7.jpg"}),
        ],
    )
    undecided, unlabelled, old = read_snli_ve(path)
    assert (undecided.label, undecided.undecided) == (None, True)
    assert (unlabelled.label, unlabelled.undecided) == (None, False)
    assert old.flickr_id == "7"
    save_lines(path, [snli_ve("a"), snli_ve("b", gold_label="maybe")])
    refused(lambda: list(read_snli_ve(path)), "x.jsonl:2: gold_label", "'entailment'", "got 'maybe'")
    save_lines(path, [snli_ve("a"), snli_ve("b"), snli_ve("a")])
    refused(lambda: list(read_snli_ve(path)), "x.jsonl:3: pairID", "record 1")
    save_lines(path, [snli_ve("a", Flickr30K_ID=...)])
    refused(lambda: list(read_snli_ve(path)), "SNLI, which names no pictures")
    save_lines(path, [nlvr2()])
    refused(lambda: list(read_snli_ve(path)), "is not a file of SNLI-VE", "looks like NLVR2")


@pytest.mark.parametrize(("label", "expected"), [("True", True), ("False", False), (..., None)])
def test_nlvr2_records(tmp_path: Path, label: Any, expected: bool | None) -> None:
    path = save_lines(tmp_path / "dev.json", [nlvr2("test1-0-10-2", label=label, directory=3)])
    (record,) = read_nlvr2(path)
    assert record.label is expected
    assert record.images == ("test1-0-10-img0", "test1-0-10-img1")
    assert record.url_stems == ("left%20dog", "right")
    assert record.synset == "dog"


def test_nlvr2_refusals(tmp_path: Path) -> None:
    path = save_lines(tmp_path / "dev.json", [nlvr2(), nlvr2()])
    refused(lambda: list(read_nlvr2(path)), "dev.json:2: identifier", "record 1")
    save_lines(path, [nlvr2(label="true")])
    refused(lambda: list(read_nlvr2(path)), "dev.json:1: label", "'True'")
    save_lines(path, [nlvr2("dev-850-0")])
    refused(lambda: list(read_nlvr2(path)), "split-set-pair-sentence")
    save_lines(path, [{"identifier": "1-0", "sentence": "x", "structured_rep": []}])
    refused(lambda: list(read_nlvr2(path)), "looks like NLVR (version 1)")
    save(path, {"questions": [question(1)]})
    refused(lambda: list(read_nlvr2(path)), "looks like VQA questions")


@pytest.mark.real_data
def test_the_real_nlvr2_files(real_data_dir: Path) -> None:
    folder = real_data_dir / "nlvr2"
    everything = {record.identifier: record for record in read_nlvr2(folder / "dev.json")}
    lines = (folder / "dev.json").read_text(encoding="utf-8").splitlines()
    assert len(everything) == len(lines)
    raw = json.loads(lines[-1])
    record = everything[raw["identifier"]]
    assert (record.sentence, str(record.label), record.synset) == (raw["sentence"], raw["label"], raw["synset"])
    for name in ("balanced_dev.json", "unbalanced_dev.json"):
        subset = list(read_nlvr2(folder / name))
        assert subset
        assert all(everything[one.identifier].label == one.label for one in subset)


@pytest.mark.real_data
def test_the_real_nlvr_files_are_not_nlvr2(real_data_dir: Path) -> None:
    refused(lambda: list(read_nlvr2(real_data_dir / "nlvr/dev/dev.json")), "looks like NLVR (version 1)")


def test_vcr_records(tmp_path: Path) -> None:
    path = save_lines(tmp_path / "train.jsonl", [vcr(), vcr("train-1", answer_label=..., rationale_label=...)])
    record, unlabelled = read_vcr(path)
    assert record.question == ("What", "is", (0,), "giving", (1, 2), "?")
    assert (record.answer_label, record.rationale_label) == (1, 0)
    assert (unlabelled.answer_label, unlabelled.rationale_label) == (None, None)
    names = object_words(record.objects, "names")
    assert written(record.question, names) == "What is Casey giving bottle and Riley ?"
    assert written(record.answers[1], names) == "Riley sleeps ."
    regions = object_words(record.objects, "regions")
    assert written(record.question, regions) == "What is person 1 giving bottle 2 and person 3 ?"


def test_vcr_names_start_over_in_a_crowd() -> None:
    crowd = object_words(["person"] * (len(NAMES) + 1), "names")
    assert len(set(NAMES)) == len(NAMES)
    assert crowd[-1] == crowd[0]
    with pytest.raises(ValueError, match="expected one of names, regions, got 'people'"):
        object_words(["person"], "people")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"question": ["Is", [3], "?"]}, "question: expected words, and lists of numbers of the 3 objects"),
        ({"question": ["Is", [], "?"]}, "question"),
        ({"question": []}, "question: expected a list of words and tags"),
        ({"question": "Is it?"}, "question: expected a list"),
        ({"answer_choices": [["a"], ["b"], ["c"]]}, "answer_choices: expected a list of 4 items"),
        ({"rationale_choices": [["a"], ["b"], ["c"], [True]]}, "rationale_choices[3]"),
        ({"answer_label": 4}, "answer_label: expected a whole number from 0 to 3, got 4"),
        ({"objects": ["person", 3, "person"]}, "object"),
        ({"img_fn": ""}, "img_fn"),
    ],
)
def test_vcr_refuses_wrong_fields(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = save_lines(tmp_path / "val.jsonl", [vcr("val-0"), vcr("val-1", **changes)])
    refused(lambda: list(read_vcr(path)), "val.jsonl:2", said)


def test_vcr_refuses_doubled_ids_and_other_files(tmp_path: Path) -> None:
    path = save_lines(tmp_path / "val.jsonl", [vcr(), vcr()])
    refused(lambda: list(read_vcr(path)), "val.jsonl:2: annot_id", "'train-0'")
    save_lines(path, [snli_ve()])
    refused(lambda: list(read_vcr(path)), "is not a file of VCR", "looks like SNLI-VE")


def test_vcr_metadata(tmp_path: Path) -> None:
    path = save(
        tmp_path / "x.json",
        {"boxes": [[1.5, 2, 3, 4, 0.9]], "segms": [[]], "names": ["person"], "width": 1920, "height": 800},
    )
    found = read_vcr_metadata(path)
    assert (found.boxes, found.names, found.size) == (((1.5, 2.0, 3.0, 4.0),), ("person",), (1920, 800))
    save(path, {"boxes": [], "names": [], "segms": [], "width": 10, "height": 20})
    assert read_vcr_metadata(path).boxes == ()
    save(path, {"boxes": [], "names": ["person"], "width": 10, "height": 20})
    refused(lambda: read_vcr_metadata(path), "boxes: expected a list of 1 items")
    save(path, instances())
    refused(lambda: read_vcr_metadata(path), "looks like COCO instances")


def test_karpathy_images(tmp_path: Path) -> None:
    path = save(tmp_path / "dataset_coco.json", {"images": [karpathy(), karpathy(7, "restval")], "dataset": "coco"})
    first, second = read_karpathy(path)
    assert (first.stem, first.collection, first.number) == ("COCO_val2014_000000391895", "val2014", 391895)
    assert [(caption.sent_id, caption.sentence) for caption in first.captions] == [
        (39189500, "A man."),
        (39189501, "A dog."),
    ]
    assert second.split == "restval"
    flickr = karpathy() | {"filename": "1000092795.jpg"}
    save(
        path, {"images": [{name: flickr[name] for name in ("filename", "split", "sentences")}], "dataset": "flickr30k"}
    )
    (photo,) = read_karpathy(path)
    assert (photo.stem, photo.collection, photo.number) == ("1000092795", "", 1000092795)


def test_karpathy_refusals(tmp_path: Path) -> None:
    path = save(tmp_path / "dataset.json", {"images": [karpathy(), karpathy()]})
    refused(lambda: list(read_karpathy(path)), "images[1]: filename")
    twice = karpathy() | {"filename": "other.jpg"}
    save(path, {"images": [karpathy(), twice]})
    refused(lambda: list(read_karpathy(path)), "images[1]: sentid")
    save(path, {"images": [karpathy(split="dev")]})
    refused(lambda: list(read_karpathy(path)), "images[0]: split", "'restval'")
    save(path, instances())
    refused(lambda: list(read_karpathy(path)), "looks like COCO instances")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_refcoco_expressions(tmp_path: Path, protocol: int) -> None:
    objects = save(tmp_path / "instances.json", instances())
    refs = save_references(tmp_path / "refs(unc).p", [reference(5), reference(6, split="val")], protocol)
    first, empty, third, _ = read_refcoco(refs, objects)
    assert (first.sent_id, first.ref_id, first.ann_id, first.image_id) == (50, 5, 31, 9)
    assert (first.sentence, first.split, first.category) == ("left man", "testA", "person")
    assert (first.box, first.size) == ((10.5, 20.0, 100.0, 200.0), (640, 480))
    assert (first.stem, first.collection) == ("COCO_train2014_000000000009", "train2014")
    assert (empty.sentence, third.split) == ("", "val")


def test_refcoco_refusals(tmp_path: Path) -> None:
    objects = save(tmp_path / "instances.json", instances())
    unc, umd, google = (tmp_path / f"refs({maker}).p" for maker in ("unc", "umd", "google"))
    save_references(umd, [reference()])
    refused(lambda: list(read_refcoco(umd, objects)), "refs(umd).p: [0]: split", "'test'", "got 'testA'")
    save_references(google, [reference()])
    refused(lambda: list(read_refcoco(google, objects)), "splits by google", "refs(umd).p")
    save_references(unc, [reference(), reference()])
    refused(lambda: list(read_refcoco(unc, objects)), "refs(unc).p: [1]: ref_id")
    save_references(unc, [reference(1), reference(2, sentences=reference(1)["sentences"])])
    refused(lambda: list(read_refcoco(unc, objects)), "[1]: sentences[0]: sent_id")
    save_references(unc, [reference(ann_id=32)])
    refused(lambda: list(read_refcoco(unc, objects)), "instances.json has no object 32 in image 9")
    save_references(unc, {"not": "references"})
    refused(lambda: list(read_refcoco(unc, objects)), "refs(unc).p holds no references")
    save(unc, instances())
    refused(lambda: list(read_refcoco(unc, objects)), "looks like COCO instances")
    save_references(unc, [reference()])
    refused(lambda: list(read_refcoco(unc, save(tmp_path / "other.json", {"images": []}))), "other.json is not")


def test_refcoco_never_runs_what_a_pickle_asks_for(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "called",)

    refs = save_references(tmp_path / "refs(unc).p", [reference(sentences=[Bomb()])], protocol=4)
    refused(lambda: list(read_refcoco(refs, save(tmp_path / "i.json", instances()))), "refs(unc).p holds")
    assert not (tmp_path / "called").exists()


def test_instances_and_detections(tmp_path: Path) -> None:
    path = save(tmp_path / "i.json", instances())
    assert read_instances(path).categories == {1: "person"}
    doubled = instances()
    doubled["annotations"] *= 2
    refused(lambda: read_instances(save(path, doubled)), "annotations[1]: id")
    boxes = [
        {"box": [1, 2, 3, 4.5], "image_id": 9, "category_id": 1, "category": "dog", "score": 0.5, "h5_id": 0},
        {"box": [0, 0, 1, 1], "image_id": 8, "category_id": 3},
    ]
    found = read_detections(save(path, boxes))
    assert found[9][0].box == (1.0, 2.0, 3.0, 4.5)
    assert [(d.category, d.score) for d in (*found[9], *found[8])] == [("dog", 0.5), ("3", 1.0)]
    assert read_detections(save(path, {"dets": boxes})) == found
    refused(lambda: read_detections(save(path, [{"box": [1, 2, 3], "image_id": 9}])), "[0]: box", "4 items")
    refused(lambda: read_detections(save(path, instances())), "looks like COCO instances")
