"""Pre-training on VCR's examples: which pairs they become, what is left out or refused, and a run from end to end."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from uniter_cli.errors import UsageError
from uniter_cli.example_pairs import ExamplePairs
from uniter_cli.pair_batches import validation_jobs
from uniter_cli.recipe import DataRecipe
from uniter_cli.sources import locate, open_sources
from uniter_core.checkpoints import load_folder
from uniter_data import Tokenizer
from uniter_data.examples import ImportOptions, import_vcr
from uniter_data.importers.regions import import_uniter_images
from uniter_data.importers.texts import CaptionOptions, import_uniter_texts
from uniter_tasks.downstream import TASKS

STAGE = ["--tasks", "mlm,mrfr,mrc-kl"]


@pytest.fixture(scope="module")
def pairs(tiny_tasks: Path) -> ExamplePairs:
    return ExamplePairs.open(str(tiny_tasks / "vcr"), "train")


@pytest.fixture
def import_with_labels(tiny_scenes: Path, tiny_annotations: Path, tmp_path: Path):
    """Import VCR of tiny scenes, of each split only so many records with labels."""

    def run(**labelled: int) -> str:
        files = {}
        for split, count in labelled.items():
            records = [json.loads(line) for line in (tiny_annotations / f"vcr/{split}.jsonl").read_text().splitlines()]
            for record in records[count:]:
                del record["answer_label"], record["rationale_label"]
            path = tmp_path / f"{split}.jsonl"
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
            files[split] = [path]
        options = ImportOptions(
            tokenizer=Tokenizer.from_file(tiny_scenes / "captions/tokenizer.json"), image_name="{stem}"
        )
        regions = sorted((tiny_scenes / "images/in-domain").glob("*.zarr"))
        import_vcr(tmp_path / "vcr", files=files, regions=regions, options=options)
        return str(tmp_path / "vcr")

    return run


def test_lengths_rows_and_groups_are_those_of_the_samples(pairs: ExamplePairs) -> None:
    everything = np.arange(len(pairs))
    samples = pairs.samples(everything, keys=everything + 7)
    assert len(samples) == len(pairs.dataset)
    assert [len(sample.token_ids) for sample in samples] == pairs.text_lengths.tolist()
    assert [len(sample.region_boxes) for sample in samples] == pairs.region_lengths[pairs.image_rows].tolist()
    assert [sample.key for sample in samples] == (everything + 7).tolist()
    assert all(sample.matched for sample in samples)
    shown = {row: sample.region_features for row, sample in zip(pairs.image_rows, samples, strict=True)}
    other = (pairs.image_rows + 1) % len(pairs.region_lengths)
    for row, sample in zip(other, pairs.samples(everything, image_rows=other), strict=True):
        assert not sample.matched
        assert torch.equal(sample.region_features, shown[row])


def test_a_worker_gets_the_same_pairs(pairs: ExamplePairs) -> None:
    copy = pickle.loads(pickle.dumps(pairs))  # noqa: S301
    one, other = pairs.samples([3])[0], copy.samples([3])[0]
    assert torch.equal(one.token_ids, other.token_ids)
    assert torch.equal(one.region_features, other.region_features)
    assert all(pickle.loads(pickle.dumps(task)) == task for task in TASKS.values())  # noqa: S301


def test_examples_without_labels_are_left_out_and_counted(import_with_labels) -> None:
    directory = import_with_labels(train=10, val=5, test=0)
    sources = open_sources({"vcr": DataRecipe(path=directory)})
    assert (len(sources.train["vcr"]), len(sources.val["vcr"])) == (10, 5)
    assert "vcr" not in sources.test
    count = {split: len(ExamplePairs.open(directory, split).dataset) for split in ("train", "val", "test")}
    assert sources.notes == [
        f"vcr (train): {count['train'] - 10} of {count['train']} examples have no label and are left out",
        f"vcr (val): {count['val'] - 5} of {count['val']} examples have no label and are left out",
        f"vcr (test): {count['test']} of {count['test']} examples have no label and are left out",
    ]
    jobs = validation_jobs("vcr", sources.val["vcr"], "mlm", units=400)
    assert sorted(index for job in jobs for index in job.indices.tolist()) == list(range(5))


def test_a_split_to_train_on_needs_labels(import_with_labels) -> None:
    with pytest.raises(UsageError, match=r"no example of train has a label"):
        open_sources({"vcr": DataRecipe(path=import_with_labels(train=0))})


def test_examples_of_other_tasks_are_refused(tiny_tasks: Path) -> None:
    with pytest.raises(UsageError, match=r"examples of vqa: uniter pretrain takes .* pairs, or examples of vcr$"):
        open_sources({"vqa": DataRecipe(path=str(tiny_tasks / "vqa"))})


def test_a_misspelt_name_of_scenes_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"scenes:caption: did you mean 'captions'\?"):
        locate("scenes:caption")


def losses(run: Path) -> list[tuple[str, float]]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(record["objective"], record["loss"]) for record in records if record["kind"] == "train"]


@pytest.fixture(scope="module")
def runs(uniter_session, tiny_tasks, tiny_scenes, tmp_path_factory) -> tuple[Path, str]:
    """The folder of runs `first` on captions, `second` on VCR from it, `mixed` on both; and what `second` said."""
    folder = tmp_path_factory.mktemp("runs")
    captions, vcr = (["--data", tiny_scenes / "captions"], ["--data", tiny_tasks / "vcr"])
    done = uniter_session(
        ["pretrain", *arguments, "--units", 600, "--set", "validation.pairs=4", "--out", folder / out]
        for out, arguments in {
            "first": [*captions, "--steps", 2],
            "second": [*STAGE, *vcr, "--init", folder / "first", "--steps", 6, "--set", "save.every=3"],
            "mixed": [*STAGE, *vcr, *captions, "--steps", 4, "--set", "batch.workers=1"],
        }.items()
    )
    for each in done:
        assert each.status == 0, each.stderr
    return folder, done[1].stdout


def test_from_pre_training_over_the_second_stage_to_fine_tuning(runs, uniter_session, tiny_tasks, tmp_path) -> None:
    folder, said = runs
    assert "type table widened from 2 to 4 rows (new: 2 = row 0, 3 = row 0)" in said
    assert "validation after step 6: accuracy  mlm " in said
    config = load_folder(folder / "second/model").config
    assert config.num_types == 4
    # what a run leaves that is killed between the saves after steps 3 and 6
    second = tmp_path / "second"
    shutil.copytree(folder / "second", second)
    for path in (second / "checkpoints/step-00000006", second / "model"):
        shutil.rmtree(path)
    (second / "results.json").unlink()
    resumed, tuned = uniter_session(
        [
            ["pretrain", "--resume", second],
            ["finetune", "vcr", "--data", tiny_tasks / "vcr", "--init", second, "--steps", 2, "--units", 1500,
             "--set", "batch.workers=1", "--out", tmp_path / "task"],
        ]
    )  # fmt: skip
    assert "at step 3 of 6" in resumed.stdout, resumed.stderr
    assert losses(second) == losses(folder / "second")
    model = "model/model.safetensors"
    assert (second / model).read_bytes() == (folder / "second" / model).read_bytes()
    assert tuned.status == 0, tuned.stderr
    assert "widened" not in tuned.stdout
    assert load_folder(tmp_path / "task/model").config == config


def test_mixed_with_ordinary_pairs_from_fresh_weights(runs) -> None:
    mixed = runs[0] / "mixed"
    assert load_folder(mixed / "model").config.num_types == 4
    after = json.loads((mixed / "results.json").read_text())["after"]
    assert {"vcr/mlm/loss", "captions/mlm/loss", "mlm/loss"} <= after.keys()


@pytest.mark.golden
def test_pairs_of_the_released_databases(golden_dir: Path, tmp_path: Path) -> None:
    """Sequences, types and numbers of boxes as the official data set class of the second stage makes them."""
    recorded = json.loads((golden_dir / "lmdb/expected.json").read_text())
    wanted = recorded["datasets"]["vcr_pretrain_qar"]["examples"]
    meta = recorded["texts"]["vcr_train.db"]["meta"]
    first, end = meta["v_range"]
    pieces = [f"w{number}" for number in range(end)]  # BERT's words have no part in this
    pieces[0] = "[PAD]"
    pieces[1:first] = [f"[unused{number}]" for number in range(1, first)]
    for name in ("UNK", "CLS", "SEP", "MASK"):
        pieces[meta[name]] = f"[{name}]"
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    stores = []
    for name in ("vcr_gt_train", "vcr_train"):
        (database,) = (path for path in (golden_dir / "lmdb/img_db" / name).iterdir() if path.is_dir())
        stores.append(tmp_path / f"{name}.zarr")
        import_uniter_images(database, stores[-1])
    import_uniter_texts(
        tmp_path / "vcr",
        files={"": [golden_dir / "lmdb/txt_db/vcr_train.db"]},
        objects=[stores[0]],
        options=CaptionOptions(
            tokenizer=Tokenizer.from_vocabulary_file(tmp_path / "vocab.txt", cased=True), regions=[stores[1]]
        ),
    )
    pairs = ExamplePairs.open(str(tmp_path / "vcr"), "train")
    samples = {sample.id: sample for sample in pairs.samples(np.arange(len(pairs)))}
    assert samples.keys() == wanted.keys()
    for name, row in wanted.items():
        sample = samples[name]
        assert sample.token_ids.tolist() == row["input_ids"]
        assert sample.token_types is not None
        assert sample.token_types.tolist() == row["txt_type_ids"]
        assert len(sample.region_boxes) == row["num_bb"]
    short = recorded["datasets"]["vcr_pretrain_qa"]["examples"]
    for name, row in short.items():  # what is shown without the rationale begins what is shown with it
        assert samples[name].token_ids[: len(row["input_ids"])].tolist() == row["input_ids"]
