"""What does not fit together is refused in one line, before a run's directory is made."""

import json
import shutil

import numpy as np
import pytest

from uniter_data import RegionWriter, Split, TextWriter, Tokenizer, write_dataset


@pytest.fixture
def refused(uniter, tmp_path):
    def run(*arguments, status=1):
        out = tmp_path / "refused"
        done = uniter("pretrain", "--steps", "2", "--units", "200", *arguments, "--out", out, check=False)
        assert done.returncode == status, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert not out.exists()
        return done.stderr

    return run


def make_dataset(folder, *, region_dim=256, classes=14, hard=False, sentence="a red ball", tokenizer=None, regions=3):
    """Eight pairs of one sentence."""
    tokenizer = tokenizer or Tokenizer.build([sentence])
    names = [f"class {i}" for i in range(classes)]
    draw = np.random.default_rng(0)
    kept = {"attributes": {"hard_labels": hard}}
    with RegionWriter(folder / "regions.zarr", region_dim=region_dim, class_names=names, **kept) as writer:
        for image in range(8):
            labels = np.full((regions, classes), 1 / classes, np.float16) if classes else None
            boxes = np.tile(np.array([0.1, 0.1, 0.5, 0.5, 0.4, 0.4], np.float32), (regions, 1))
            writer.append(f"i{image}", draw.normal(size=(regions, region_dim)).astype("f2"), boxes, labels=labels)
        writer.publish()
    with TextWriter(folder / "texts.zarr", tokenizer=tokenizer) as writer:
        for image in range(8):
            writer.append(f"t{image}", sentence, f"i{image}")
        writer.publish()
    split = Split(texts="texts.zarr", regions="regions.zarr")
    return write_dataset(folder, name=folder.name, splits={"train": split}, tokenizer=tokenizer)


def test_missing_store(refused, tmp_path):
    message = refused("--data", tmp_path / "nowhere")
    assert "nowhere" in message
    assert "dataset.json is missing" in message


def test_unknown_split(refused, tiny_scenes):
    assert "train, val" in refused("--data", f"{tiny_scenes / 'captions'},train=trian")


def test_truncated_store(refused, tmp_path, tiny_scenes):
    shutil.copytree(tiny_scenes, tmp_path / "scenes")
    token_ids = tmp_path / "scenes/snaps/train.zarr/token_ids"
    shard = max((p for p in token_ids.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    shard.write_bytes(shard.read_bytes()[:-100])
    message = refused("--data", tmp_path / "scenes/snaps")
    assert "token_ids" in message


def test_sets_that_cannot_be_mixed(refused, tmp_path):
    tokenizer = Tokenizer.build(["a red ball"])
    first = make_dataset(tmp_path / "first", tokenizer=tokenizer)
    wide = make_dataset(tmp_path / "wide", region_dim=64, tokenizer=tokenizer)
    many = make_dataset(tmp_path / "many", classes=20, tokenizer=tokenizer)
    other = make_dataset(tmp_path / "other", sentence="two blue boxes")
    for second, words in ((wide, "feature width (256 and 64)"), (many, "class count"), (other, "vocabulary")):
        message = refused("--data", first, "--data", second, status=2)
        assert words in message
        assert second.name in message


def test_soft_labels_are_needed(refused, tmp_path):
    bare = make_dataset(tmp_path / "bare", classes=0)
    assert "mrc-kl needs the soft labels" in refused("--data", bare, "--tasks", "mlm,mrc-kl", status=2)


def test_distributions_are_needed(refused, tmp_path):
    hard = make_dataset(tmp_path / "hard", hard=True)
    message = refused("--data", hard, "--tasks", "mlm,mrc,mrc-kl", status=2)
    assert "mrc-kl needs the soft labels of the regions, hard has one class a region (mrc can do with that)" in message


def test_checkpoint_that_does_not_fit(refused, uniter, tmp_path):
    tokenizer = Tokenizer.build(["a red ball"])
    data = make_dataset(tmp_path / "data", tokenizer=tokenizer)
    run = tmp_path / "run"
    uniter("pretrain", "--data", data, "--tasks", "mlm,mrfr", "--steps", "2", "--units", "40", "--out", run)
    for other, words in (
        (make_dataset(tmp_path / "wide", region_dim=64, tokenizer=tokenizer), "region features of 256"),
        (make_dataset(tmp_path / "many", classes=20, tokenizer=tokenizer), "soft labels of 14 classes"),
        (make_dataset(tmp_path / "other", sentence="a red bell"), "words"),
    ):
        message = refused("--data", other, "--init", run / "model", "--tasks", "mlm,mrfr", status=2)
        assert words in message
    config = run / "model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_layers": 3}))
    assert "layers.2" in refused("--data", data, "--init", run / "model", "--tasks", "mlm,mrfr")


def test_too_few_units_for_the_largest_pair(refused, tmp_path):
    data = make_dataset(tmp_path / "data", regions=30)
    assert "units" in refused("--data", data, "--units", "20")


def test_directory_in_use(uniter, tmp_path):
    data = make_dataset(tmp_path / "data")
    run = tmp_path / "run"
    arguments = ["--data", data, "--tasks", "mlm", "--steps", "1", "--units", "40", "--out", run]
    uniter("pretrain", *arguments)
    before = (run / "metrics.jsonl").read_bytes()
    done = uniter("pretrain", *arguments, check=False)
    assert done.returncode == 2
    assert "holds a run" in done.stderr
    assert (run / "metrics.jsonl").read_bytes() == before
