"""`uniter convert` through a real process: official checkpoints there and back, BERT's weights in."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def model_dir(golden_dir):
    return golden_dir / "model"


@pytest.mark.golden
def test_official_there_and_back(model_dir, uniter, tmp_path):
    ours, back = tmp_path / "ours", tmp_path / "back.pt"
    said = uniter("convert", "official", model_dir / "ckpt/pretrain.pt", ours, "--config", model_dir / "config.json")
    assert str(ours) in said.stdout
    uniter("convert", "official", ours, back, "--back")
    before = torch.load(model_dir / "ckpt/pretrain.pt", weights_only=True)
    after = torch.load(back, weights_only=True)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.golden
def test_bert_initialises_the_text_side(model_dir, uniter, tmp_path):
    bert, out = tmp_path / "bert", tmp_path / "model"
    bert.mkdir()
    shutil.copy(model_dir / "ckpt/bert_init_legacy.pt", bert / "pytorch_model.bin")
    shutil.copy(model_dir / "config.json", bert / "config.json")
    uniter("convert", "bert", bert, out, "--region-dim", "24", "--num-classes", "9")
    legacy = torch.load(bert / "pytorch_model.bin", weights_only=True)
    converted = load_file(out / "model.safetensors")
    words = legacy["uniter.embeddings.word_embeddings.weight"]
    assert torch.equal(converted["encoder.text_embedding.words.weight"], words)
    assert json.loads((out / "config.json").read_text())["region_dim"] == 24


@pytest.mark.golden
def test_wrong_files_are_named_in_one_line(model_dir, uniter, tmp_path):
    (tmp_path / "text.pt").write_text("no checkpoint")
    for source in (tmp_path / "text.pt", tmp_path / "missing.pt"):
        done = uniter("convert", "official", source, tmp_path / "out", check=False)
        assert done.returncode == 1
        assert source.name in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()
