"""Predictions: kept without pickle, written as official files and read back, refused when ids are wrong, averaged."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_tasks.predictions import (
    FORMATS,
    ChosenRegion,
    Predictions,
    ScoreOptions,
    decode_predictions,
    ensemble,
    gold_columns,
    load_archive,
    read_official,
    save_archive,
    save_predictions,
    score_predictions,
)

ANSWERS = {"vqa": ("yes", "no", "2", "black, white"), "snli-ve": ("contradiction", "entailment", "neutral")}
ID = {
    "vqa": "10{}",
    "vcr": "val-{}",
    "nlvr2": "dev-1-{}-0",
    "snli-ve": "47055{}.jpg#2r1n",
    "refexp": "{}",
}
TASKS = list(FORMATS)


def draw(task: str, count: int = 4, seed: int = 0) -> Predictions:
    """Softmax of noise, in the shape the task has."""
    generator = np.random.default_rng(seed)
    regions = np.random.default_rng(1).integers(2, 6, count)  # the same whatever the seed
    widths = {"vqa": 4, "vcr": 20, "nlvr2": 2, "snli-ve": 3}
    scores = [np.exp(generator.normal(size=widths.get(task, number))) for number in regions]
    boxes = [np.random.default_rng(2).random((number, 4)) * 50 for number in regions]
    return Predictions.gather(
        task,
        [ID[task].format(number) for number in range(count)],
        [each / each.sum() for each in scores],
        setting="gt" if task == "refexp" else "",
        answers=ANSWERS.get(task, ()),
        boxes=boxes if task == "refexp" else None,
    )


def records_of(predictions: Predictions) -> list[dict[str, Any]]:
    """Annotations of which the first half is what was predicted, in another order than the predictions."""
    records: list[dict[str, Any]] = []
    decoded = decode_predictions(predictions)
    for number, (name, said) in enumerate(zip(predictions.ids, decoded, strict=True)):
        right = number < len(decoded) / 2
        record: dict[str, Any] = {FORMATS[predictions.task].id_field: name}
        if predictions.task == "vqa":
            record = {"question_id": int(name), "answer_type": "other", "question_type": "what"}
            record["answers"] = [said if right else "mauve"] * 9 + ["red"]
        elif predictions.task == "vcr":
            answer = int(said[0].argmax())
            rationale = int(said[1 + answer].argmax())
            record |= {"answer_label": answer, "rationale_label": rationale if right else (rationale + 1) % 4}
        elif predictions.task == "nlvr2":
            record |= {"label": said is right, "sentence": "Two dogs."}
            record["label"] = said if right else not said
        elif predictions.task == "snli-ve":
            record["label"] = said if right else next(name for name in ANSWERS["snli-ve"] if name != said)
        else:
            record["sent_id"] = int(name)
            x, y, width, height = said.box
            record |= {"box": [x, y, width, height] if right else [x + 100, y, width, height]}
            record |= {"target": said.region if right else said.region + 1}
        records.append(record)
    return records[::-1]


def headline(task: str) -> str:
    return "q_ar" if task == "vcr" else "accuracy"


@pytest.mark.parametrize("task", TASKS)
def test_file_and_archive_hold_the_same(task: str, tmp_path: Path) -> None:
    predictions = draw(task)
    path, archive = save_predictions(predictions, tmp_path / f"val{FORMATS[task].suffix}")
    assert sorted(tmp_path.iterdir()) == sorted([path, archive])  # nothing half written is left
    loaded = load_archive(archive)
    for name in ("task", "setting", "ids", "answers"):
        assert getattr(loaded, name) == getattr(predictions, name)
    np.testing.assert_array_equal(loaded.flat, predictions.flat)
    np.testing.assert_array_equal(loaded.lengths, predictions.lengths)
    read = read_official(task, path)
    assert tuple(read) == predictions.ids
    for said, decoded in zip(read.values(), decode_predictions(loaded), strict=True):
        if task == "vcr":
            np.testing.assert_array_equal(said, decoded)  # to the last bit
        else:
            assert said == decoded


@pytest.mark.parametrize("task", TASKS)
def test_both_files_score_alike(task: str, tmp_path: Path) -> None:
    predictions = draw(task)
    records = records_of(predictions)
    path, archive = save_predictions(predictions, tmp_path / f"val{FORMATS[task].suffix}")
    score = score_predictions(task, path, records)
    assert score == score_predictions(task, archive, records)
    assert score["task"] == task
    assert score["examples"] == len(records)
    assert score[headline(task)] == 0.5
    low, high = score[f"{headline(task)}_interval"]
    assert 0 <= low <= 0.5 <= high <= 1
    assert json.loads(json.dumps(score)) == score
    assert not [name for name in score_predictions(task, path, records, ScoreOptions(draws=0)) if "interval" in name]


def test_what_only_one_task_tells(tmp_path: Path) -> None:
    predictions = draw("nlvr2")
    path, _ = save_predictions(predictions, tmp_path / "dev.csv")
    options = ScoreOptions(subsets={"balanced": set(predictions.ids[:1])}, phenomena={"negation": {"two  dogs."}})
    score = score_predictions("nlvr2", path, records_of(predictions), options)
    assert score["consistency"] == 0.0
    assert score["sentences"] == 1
    assert score["subsets"] == {"balanced": {"accuracy": 1.0, "examples": 1}}
    assert score["phenomena"] == {"negation": {"accuracy": 0.5, "examples": 4}}
    predictions = draw("refexp")
    path, _ = save_predictions(predictions, tmp_path / "refexp.json")
    records = records_of(predictions)
    assert score_predictions("refexp", path, records)["region_accuracy"] == 0.5
    detected = [record | {"target": -1} for record in records]  # the gold box is none of the regions
    assert "region_accuracy" not in score_predictions("refexp", path, detected)


@pytest.mark.parametrize("task", TASKS)
def test_missing_unknown_and_doubled_ids_are_refused(task: str, tmp_path: Path) -> None:
    predictions = draw(task)
    records = records_of(predictions)
    path, archive = save_predictions(predictions, tmp_path / f"val{FORMATS[task].suffix}")
    last = predictions.ids[-1]
    for file in (path, archive):
        with pytest.raises(ValueError, match=rf"{file.name}: '{last}' is no record \(1 of 4"):
            score_predictions(task, file, records[1:])
        with pytest.raises(ValueError, match=rf"{file.name}: no prediction for 'more' \(1 of 5"):
            score_predictions(task, file, [*records, records[0] | {FORMATS[task].id_field: "more"}])
    with pytest.raises(ValueError, match=f"records: '{last}' stands twice"):
        score_predictions(task, path, [*records, records[0]])
    text = path.read_text()
    if path.suffix == ".json":
        entries = json.loads(text)
        path.write_text(json.dumps([*entries, entries[-1]]))
    else:
        path.write_text(text + text.splitlines()[-1] + "\n")
    with pytest.raises(ValueError, match=rf"{path.name}.*: '{last}' stands twice"):
        score_predictions(task, path, records)


@pytest.mark.parametrize("task", TASKS)
def test_a_split_without_labels_is_refused(task: str, tmp_path: Path) -> None:
    predictions = draw(task)
    path, _ = save_predictions(predictions, tmp_path / f"test{FORMATS[task].suffix}")
    records = [{FORMATS[task].id_field: name} for name in predictions.ids]
    with pytest.raises(ValueError, match=f"record {predictions.ids[0]} has no '.*only the task's server"):
        score_predictions(task, path, records)
    with pytest.raises(ValueError, match=f"record 0: expected an annotation of {task}"):
        score_predictions(task, path, [{"id": name} for name in predictions.ids])
    with pytest.raises(ValueError, match="records: expected at least one"):
        score_predictions(task, path, [])


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("vqa", "{", r"val.json: not JSON"),
        ("vqa", "{}", r"expected a list of question_id and answer, got dict"),
        ("vqa", '[{"question_id": 1}]', r"entry 0: expected an object with 'answer' \(str\)"),
        ("vqa", '[{"question_id": true, "answer": "yes"}]', r"entry 0: expected an object with 'question_id'"),
        (
            "vqa",
            '[{"question_id": 1, "answer": "a"}, {"question_id": "1", "answer": "b"}]',
            r"entry 1: '1' stands twice",
        ),
        ("nlvr2", "dev-1-0-0,True\n\ndev-1-1-0,maybe\n", r"val.csv:3: expected identifier,True"),
        ("nlvr2", "dev-1-0-0\n", r"val.csv:1: expected identifier,True"),
        ("snli-ve", '{"pairID": "1", "prediction": "entails"}', r"val.jsonl:1: prediction: expected entailment"),
        ("snli-ve", '{"prediction": "neutral"}', r"expected an object with 'pairID'"),
        ("snli-ve", "neutral", r"val.jsonl:1: not JSON"),
        ("refexp", '[{"sent_id": 1, "pred_box": [1, 2, 3]}]', r"entry 0: pred_box: expected x, y, width, height"),
        ("refexp", '{"acc": 0.5}', r"expected a list of sent_id and pred_box"),
        (
            "vcr",
            "annot_id,answer_0\nval-0,1\n",
            r"val.csv:1: expected the leaderboard's 21 columns, there is no 'answer_1'",
        ),
    ],
)
def test_damaged_files_are_refused(task: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / f"val{FORMATS[task].suffix}"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_official(task, path)


@pytest.mark.parametrize("number", ["", "x", "nan"])
def test_vcr_numbers_are_checked(number: str, tmp_path: Path) -> None:
    path, _ = save_predictions(draw("vcr", count=2), tmp_path / "val.csv")
    lines = path.read_text().splitlines()
    lines[2] = lines[2].rpartition(",")[0] + "," + number
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"val.csv:3: expected 20 numbers behind the id"):
        read_official("vcr", path)


def test_official_files_letter_by_letter(tmp_path: Path) -> None:
    """As the servers and scripts of the tasks' owners read them."""
    vqa = Predictions.gather("vqa", ["7", "8"], [[0.9, 0.1], [0.2, 0.8]], answers=["yes", "two dogs"])
    path, _ = save_predictions(vqa, tmp_path / "vqa.json")
    assert json.loads(path.read_text()) == [
        {"question_id": 7, "answer": "yes"},
        {"question_id": 8, "answer": "two dogs"},
    ]
    nlvr2 = Predictions.gather("nlvr2", ["dev-1-0-0", "dev-1-1-0"], [[0.4, 0.6], [0.5, 0.5]])
    path, _ = save_predictions(nlvr2, tmp_path / "nlvr2.csv")
    assert path.read_bytes() == b"dev-1-0-0,True\ndev-1-1-0,False\n"
    vcr = Predictions.gather("vcr", ["val-0"], [np.arange(20) / 32])
    path, _ = save_predictions(vcr, tmp_path / "vcr.csv")
    head, row = path.read_text().splitlines()
    assert head.split(",")[:5] == ["annot_id", "answer_0", "answer_1", "answer_2", "answer_3"]
    assert head.split(",")[5:] == [f"rationale_conditioned_on_a{a}_{r}" for a in range(4) for r in range(4)]
    assert row.split(",")[:3] == ["val-0", "0", "0.03125"]
    snli_ve = Predictions.gather("snli-ve", ["1.jpg#0r1c"], [[0.1, 0.2, 0.7]], answers=ANSWERS["snli-ve"])
    path, _ = save_predictions(snli_ve, tmp_path / "ve.jsonl")
    assert json.loads(path.read_text()) == {"pairID": "1.jpg#0r1c", "prediction": "neutral"}
    refexp = Predictions.gather("refexp", ["5"], [[0.3, 0.7]], boxes=[[[0, 0, 1, 1], [10, 20.5, 30, 40]]])
    path, _ = save_predictions(refexp, tmp_path / "re.json")
    assert json.loads(path.read_text()) == [{"sent_id": 5, "pred_box": [10.0, 20.5, 30.0, 40.0], "region": 1}]


def test_released_referring_expression_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    entry = {"sent_id": 5, "pred_box": [10, 20, 30, 40], "tgt_box": [0, 0, 1, 1]}
    path.write_text(json.dumps({"acc": 0.0, "predictions": [entry]}))
    assert read_official("refexp", path) == {"5": ChosenRegion(box=(10.0, 20.0, 30.0, 40.0))}


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "val.json"
    path.write_text("old")
    named = Predictions.gather("vqa", ["seven"], [[1.0]], answers=["yes"])
    with pytest.raises(ValueError, match="question_id: expected an integer as the official file has, got 'seven'"):
        save_predictions(named, path)
    assert path.read_text() == "old"
    assert not list(tmp_path.glob(".*"))


def test_other_files_are_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "val.npz"
    executable = tmp_path / "pickled.npz"
    np.savez(executable, format=np.array({"a": 1}, dtype=object))
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    path.write_text("no zip")
    for file in (path, executable, tmp_path / "array.npz"):
        with pytest.raises(ValueError, match=f"{file.name}: not a file of predictions"):
            load_archive(file)
    np.savez(path, format=np.array("uniter-predictions-9"))
    with pytest.raises(
        ValueError, match="expected predictions of format uniter-predictions-1, got uniter-predictions-9"
    ):
        load_archive(path)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(ValueError, match="got another file"):
        load_archive(path)


def test_archive_of_another_task_or_inside_itself_wrong(tmp_path: Path) -> None:
    path = tmp_path / "val.npz"
    save_archive(draw("nlvr2"), path)
    with pytest.raises(ValueError, match=r"val.npz: expected predictions of vqa, these are of nlvr2"):
        score_predictions("vqa", path, [{"question_id": 1}])
    save_archive(Predictions.gather("nlvr2", ["dev-1-0-0"], [[0.1, 0.2, 0.7]]), path)
    with pytest.raises(ValueError, match=r"val.npz: example 'dev-1-0-0': expected 2 probabilities, got 3"):
        score_predictions("nlvr2", path, [{"identifier": "dev-1-0-0", "label": True}])
    with np.load(path) as arrays:
        held = dict(arrays)
    np.savez(path, **(held | {"lengths": np.array([2])}))
    with pytest.raises(ValueError, match=r"val.npz: flat: expected 2 probabilities"):
        load_archive(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Predictions.gather("nlvr2", ["a", "a"], [[1, 0], [1, 0]]), "ids: 'a' stands twice"),
        (lambda: Predictions.gather("nlvr2", ["a"], [[1, 0], [1, 0]]), "lengths: expected 1"),
        (lambda: Predictions.gather("nlvr2", ["a", "b"], [[1, 0], [0, 1.5]]), "example 'b': expected probabilities"),
        (lambda: Predictions.gather("nlvr2", ["a"], [[np.nan, 0]]), "example 'a': expected probabilities"),
        (lambda: Predictions.gather("refexp", ["a"], [[1, 0]], boxes=[[[0, 0, 1, 1]]]), "boxes: expected"),
        (lambda: decode_predictions(Predictions.gather("refexp", ["a"], [[1, 0]])), "boxes: expected those"),
        (lambda: decode_predictions(Predictions.gather("vqa", ["1"], [[1, 0]])), "answers: expected those"),
        (lambda: decode_predictions(Predictions.gather("snli-ve", ["1"], [[1]], answers=["x"])), "answers: expected"),
        (lambda: decode_predictions(Predictions.gather("retrieval", ["1"], [[1]])), "scored from its score matrix"),
        (lambda: save_predictions(draw("vqa"), Path("val.csv")), "expected a name that ends in .json"),
    ],
)
def test_predictions_refuse(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@given(st.integers(1, 4), st.integers(1, 6), st.sampled_from(TASKS), st.integers(0, 99))
def test_ensemble_is_the_mean_whatever_the_order(count: int, examples: int, task: str, seed: int) -> None:
    runs = [draw(task, examples, seed=seed + number) for number in range(count)]
    order = np.random.default_rng(seed).permutation(examples).tolist()
    shuffled = [runs[0], *(run.ordered([run.ids[row] for row in order]) for run in runs[1:])]
    mean = ensemble(iter(shuffled))
    assert mean.ids == runs[0].ids
    for row, each in enumerate(mean.probabilities):
        expected = np.mean([run.probabilities[row] for run in runs], axis=0)
        np.testing.assert_allclose(each, expected, atol=1e-6)
    if task == "refexp":
        np.testing.assert_array_equal(mean.boxes, runs[0].boxes)


def test_ensemble_by_hand() -> None:
    """Two runs that lean to `no` outvote one that is sure of `yes` only as far as their probabilities go."""
    runs = [
        Predictions.gather("vqa", ["1"], [p], answers=["yes", "no"], setting=setting)
        for p, setting in (([0.9, 0.1], ""), ([0.4, 0.6], "train"), ([0.4, 0.6], "train+val"))
    ]
    mean = ensemble(runs)
    assert decode_predictions(mean) == ["yes"]
    assert mean.probabilities[0].tolist() == pytest.approx([1.7 / 3, 1.3 / 3])
    assert mean.setting == "train+train+val"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (draw("vcr"), "run 2: expected predictions of vqa, as the first run, got vcr"),
        (draw("vqa", 3), "run 2: no prediction for '103'"),
        (draw("vqa", 5), "run 2: '104' is no record"),
        (
            Predictions.gather("vqa", draw("vqa").ids, [[0.2] * 4] * 4, answers=("yes", "no", "3", "red")),
            "run 2: its answers differ from those of the first run, from number 2 on",
        ),
        (
            Predictions.gather("vqa", draw("vqa").ids, [[0.2] * 5] * 4, answers=(*ANSWERS["vqa"], "red")),
            "run 2: its answers differ from those of the first run, from number 4 on",
        ),
    ],
)
def test_ensemble_refuses(other: Predictions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ensemble([draw("vqa"), other])


def test_ensemble_refuses_other_regions() -> None:
    ids, gather = ["1"], Predictions.gather
    first = gather("refexp", ids, [[0.5, 0.5]], boxes=[np.zeros((2, 4))])
    for other, message in (
        (gather("refexp", ids, [[0.2, 0.3, 0.5]], boxes=[np.zeros((3, 4))]), "other numbers of probabilities"),
        (gather("refexp", ids, [[0.5, 0.5]], boxes=[np.ones((2, 4))]), "its regions are not those"),
    ):
        with pytest.raises(ValueError, match=f"run 2: .*{message}"):
            ensemble([first, other])
    with pytest.raises(ValueError, match="runs: expected at least one"):
        ensemble([])


def test_gold_columns_refuse_what_is_not_the_split() -> None:
    image_of = {"t0": "a", "t1": "b"}
    for texts, images, message in (
        (["t0", "t0"], ["a", "b"], "scores, texts: 't0' stands twice"),
        (["t0", "t1"], ["a", "a"], "scores, images: 'a' stands twice"),
        (["t0"], ["a", "b"], "scores, texts: no prediction for 't1'"),
        (["t0", "t1"], ["a", "b", "c"], "scores, images: 'c' is no record"),
    ):
        with pytest.raises(ValueError, match=message):
            gold_columns(texts, images, image_of)


@pytest.mark.golden
def test_golden_files_score_as_the_official_scorer_says(golden_dir: Path) -> None:
    folder = golden_dir / "scorers"
    expected = json.loads((folder / "expected.json").read_text())["vqa"]
    records = json.loads((folder / "vqa_annotations.json").read_text())["annotations"]
    flat = [record | {"answers": [answer["answer"] for answer in record["answers"]]} for record in records]
    score = score_predictions("vqa", folder / "vqa_results.json", flat)
    assert round(100 * score["accuracy"], 4) == expected["overall"]


@pytest.mark.golden
@pytest.mark.real_data
def test_real_nlvr2_scores_as_the_official_scorer_says(golden_dir: Path, real_data_dir: Path) -> None:
    expected = json.loads((golden_dir / "scorers/expected.json").read_text())["nlvr2"]
    lines = (real_data_dir / expected["annotations"]).read_text().splitlines()
    records = [record | {"label": record["label"] == "True"} for record in map(json.loads, lines)]
    score = score_predictions("nlvr2", golden_dir / "scorers/nlvr2_predictions.csv", records)
    assert score["examples"] == len(records)
    assert score["accuracy"] == pytest.approx(expected["accuracy"])
    assert score["consistency"] == pytest.approx(expected["consistency"])
    low, high = score["accuracy_interval"]
    assert low < expected["accuracy"] < high < low + 0.03
