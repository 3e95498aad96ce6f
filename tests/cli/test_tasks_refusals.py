"""What does not fit is refused in one line that names it: exit status 2 where the command line is wrong, else 1."""

import json
import shutil

import pytest

from uniter_tasks.predictions import load_archive

SHORT = ("--steps", "1", "--units", "800")


@pytest.fixture(scope="module")
def place(uniter_session, tiny_scenes, tiny_tasks, tiny_annotations, tmp_path_factory):
    """A fine-tuned and a pre-trained model, broken copies of them, wrong predictions, a split without labels."""
    folder = tmp_path_factory.mktemp("refused")
    test = tiny_annotations / "nlvr2" / "test1.json"
    bare = [json.loads(line) for line in test.read_text().splitlines()]
    (folder / "hidden.json").write_text("".join(json.dumps(each | {"label": None}) + "\n" for each in bare))
    lines = [json.dumps({name: value for name, value in each.items() if name != "label"}) for each in bare]
    (folder / "bare.json").write_text("\n".join(lines) + "\n")
    regions = [part for split in ("train", "val", "test") for part in ("--regions", images(tiny_scenes, split))]
    vocabulary = ["--vocab", tiny_scenes / "captions" / "tokenizer.json", "--image-name", "{path}"]
    done = uniter_session(
        [
            ["finetune", "nlvr2", "--data", tiny_tasks / "nlvr2", *SHORT, "--out", folder / "run"],
            ["pretrain", "--data", tiny_scenes / "snaps", "--tasks", "mlm", *SHORT, "--out", folder / "pretrained"],
            [
                "data",
                "import",
                "nlvr2",
                f"test={folder / 'bare.json'}",
                *regions,
                *vocabulary,
                "--out",
                folder / "bare",
            ],
            ["predict", "nlvr2", folder / "run", "--data", folder / "bare", "--out", folder / "bare.csv"],
            ["finetune", "vqa", "--data", tiny_tasks / "vqa", *SHORT, "--out", folder / "vqa"],
            ["predict", "vqa", folder / "vqa", "--out", folder / "vqa.json"],
        ]
    )
    assert [(each.status, each.stderr) for each in done] == [(0, "")] * len(done)
    lines = (folder / "bare.csv").read_text().splitlines(keepends=True)
    (folder / "missing.csv").write_text("".join(lines[1:]))
    (folder / "doubled.csv").write_text("".join([*lines, lines[3]]))
    (folder / "damaged.csv").write_text("".join([*lines[:2], "test1-0-0-0,perhaps\n"]))
    for name, changed in (("deeper", {"num_layers": 3}), ("narrower", {"intermediate_size": 256})):
        config = shutil.copytree(folder / "pretrained" / "model", folder / name) / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | changed))
    shutil.copytree(folder / "run", folder / "unfinished", ignore=shutil.ignore_patterns("model"))
    return folder


def images(scenes, split):
    return scenes / "images" / "in-domain" / f"{split}.zarr"


FINETUNE = ["finetune", "nlvr2", "--data", "{tasks}/nlvr2", *SHORT, "--out", "{place}/new"]
SCORE = ["evaluate", "nlvr2", "--annotations", "{annotations}/nlvr2/test1.json", "--predictions"]
CASES = {
    # arguments, exit status, what the line says
    "setting": ([*FINETUNE, "--setting", "tripplet"], 2, ["setting of nlvr2", "did you mean triplet"]),
    "loss": ([*FINETUNE, "--set", "task.options.loss=softmax"], 2, ["loss of nlvr2"]),
    "option": ([*FINETUNE, "--set", "task.options.margn=1"], 2, ["task.options.margn", "did you mean 'margin'"]),
    "task": (["finetune", "nlvr"], 2, ["did you mean nlvr2"]),
    "recipe of another task": (["finetune", "vqa", "--recipe", "vcr-quickstart"], 2, ["is for vcr, not for vqa"]),
    "data of another task": ([*FINETUNE, "--data", "{tasks}/vqa"], 2, ["tasks", "vqa, not of nlvr2"]),
    "data of pairs": ([*FINETUNE, "--data", "{scenes}/captions"], 1, ["captions/dataset.json", "uniter data import"]),
    "no training split": ([*FINETUNE, "--data", "{place}/bare"], 2, ["bare has no split 'train'"]),
    "checkpoint of another size": ([*FINETUNE, "--init", "{place}/narrower"], 1, ["narrower", "feed_forward.expand"]),
    "encoder not whole": ([*FINETUNE, "--init", "{place}/deeper"], 1, ["deeper", "missing", "layers.2"]),
    "no model to start from": ([*FINETUNE, "--init", "{place}/nothing"], 1, ["nothing"]),
    "nothing to evaluate": (["evaluate", "nlvr2"], 2, ["--predictions FILE"]),
    "no annotations": ([*SCORE[:2], "--predictions", "x.csv"], 2, ["needs --annotations"]),
    "annotations for a model": ([*SCORE[:4], "{place}/run"], 2, ["belong to --predictions"]),
    "run of another task": (["evaluate", "vqa", "{place}/run"], 2, ["is a run of nlvr2, not of vqa"]),
    "model of another task": (["predict", "vqa", "{place}/run/model", "--data", "{tasks}/vqa",
                               "--out", "{place}/x.json"], 1, ["is a model for nlvr2, not for vqa"]),
    "unfinished run": (["evaluate", "nlvr2", "{place}/unfinished"], 2, ["finetune --resume"]),
    "pre-trained model": (["evaluate", "nlvr2", "{place}/pretrained/model", "--data", "{tasks}/nlvr2"],
                          2, ["is not fine-tuned for nlvr2"]),
    "unknown split": (["evaluate", "nlvr2", "{place}/run", "--split", "dev"], 1, ["'dev'", "train, val, test"]),
    "no labels": (["evaluate", "nlvr2", "{place}/run", "--data", "{place}/bare"], 2, ["has no labels"]),
    "ending": (["predict", "nlvr2", "{place}/run", "--out", "{place}/x.json"], 2, ["x.json", ".csv"]),
    "missing id": ([*SCORE, "{place}/missing.csv"], 1, ["missing.csv: no prediction for 'test1-0-0-0'"]),
    "doubled id": ([*SCORE, "{place}/doubled.csv"], 1, ["doubled.csv:21: 'test1-", "stands twice"]),
    "damaged line": ([*SCORE, "{place}/damaged.csv"], 1, ["damaged.csv:3: expected identifier,True"]),
    "no file": ([*SCORE, "{place}/nowhere.csv"], 1, ["nowhere.csv: no such file"]),
    "another split": ([*SCORE[:3], "{annotations}/nlvr2/dev.json", "--predictions", "{place}/bare.csv"],
                      1, ["bare.csv: none of the 20 records", "dev-"]),
    "annotations of another task": ([*SCORE[:3], "{annotations}/vcr/test.jsonl", "--predictions", "{place}/bare.csv"],
                                    1, ["test.jsonl is not a file of NLVR2: it looks like VCR"]),
    "annotations of another version": (["evaluate", "vqa", "--annotations", "{place}/old.json",
                                        "--predictions", "{place}/vqa.json"], 1, ["old.json", "version 1"]),
    "wrong label": ([*SCORE[:3], "{place}/hidden.json", "--predictions", "{place}/bare.csv"],
                    1, ["hidden.json:1: label: expected one of"]),
    "annotations without labels": ([*SCORE[:3], "{place}/bare.json", "--predictions", "{place}/bare.csv"],
                                   1, ["bare.json: record test1-0-0-0 has no 'label'"]),
    "data set of another task": ([*SCORE[:3], "{tasks}/vqa", "--predictions", "{place}/bare.csv"],
                                 1, ["vqa", "not of nlvr2"]),
    "probabilities of another task": ([*SCORE, "{place}/vqa.npz"], 1, ["vqa.npz", "these are of vqa"]),
    "references without split": (["evaluate", "refexp", "--predictions", "x.json", "--annotations",
                                  "{annotations}/refexp/attributes/refs(scenes).p"], 2, ["--split"]),
    "subset of another task": (["evaluate", "vqa", "{place}/vqa", "--balanced", "x"], 2, ["--balanced"]),
    "ensemble of two tasks": (["ensemble", "{place}/bare.npz", "{place}/vqa.npz", "--out", "{place}/x.csv"],
                              1, ["vqa.npz: expected predictions of nlvr2"]),
    "ensemble over its runs": (["ensemble", "{place}/bare.npz", "--out", "{place}/bare.csv"], 2, ["one of the runs"]),
    "ensemble of answers": (["ensemble", "{place}/bare.csv", "--out", "{place}/x.csv"], 1, ["bare.csv: not a file of"]),
    "image without regions": (["data", "import", "nlvr2", "{annotations}/nlvr2/dev.json", "--regions", "{test}",
                               "--image-name", "{{path}}", "--out", "{place}/new"],
                              1, ["dev.json:1: image 'dev-0-0-img0'", "has no regions in", "--skip-missing"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def said(place, uniter_session, tiny_scenes, tiny_tasks, tiny_annotations):
    (place / "old.json").write_text(json.dumps({"info": {"version": "1.0"}, "annotations": []}))
    names = {
        "place": place, "tasks": tiny_tasks, "annotations": tiny_annotations, "scenes": tiny_scenes,
        "test": images(tiny_scenes, "test"),
    }  # fmt: skip
    commands = [[argument.format(**names) for argument in arguments] for arguments, _, _ in CASES.values()]
    return dict(zip(CASES, uniter_session(commands), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_one_line(case, said):
    _, status, words = CASES[case]
    done = said[case]
    assert (done.status, done.stdout) == (status, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr


def test_nothing_is_left_behind(said, place):
    assert not (place / "new").exists()
    assert not [path.name for path in place.iterdir() if path.stem == "x" or path.name.startswith(".")]


def test_a_split_without_labels_is_predicted(place, tiny_tasks, uniter_session):
    assert len(load_archive(place / "bare.npz").ids) == 20
    score = ["evaluate", "nlvr2", "--json"]
    (of_file, of_run) = uniter_session(
        [
            [*score, "--predictions", place / "bare.csv", "--annotations", tiny_tasks / "nlvr2"],
            [*score, place / "run", "--balanced", place / "bare.json"],
        ]
    )
    found, expected = json.loads(of_file.stdout), json.loads(of_run.stdout)
    assert found["accuracy"] == expected["accuracy"]
    assert expected["subsets"] == {"balanced": {"accuracy": expected["accuracy"], "examples": 20}}
