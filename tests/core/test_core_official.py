"""Official checkpoints: names both ways, tensors to the last bit, and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from uniter_core import UniterConfig, UniterEncoder
from uniter_core.checkpoints import (
    CheckpointError,
    convert_official,
    export_official,
    load_folder,
    official_name,
    our_name,
    save_folder,
    to_official,
)
from uniter_core.checkpoints.files import read_tensors
from uniter_core.checkpoints.names import RULES, TIED

CONFIG = UniterConfig.tiny(vocab_size=11, region_dim=6, hidden_size=8, num_heads=2, intermediate_size=12, num_types=3)


def official_models(golden: Path) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every complete official state dict: `pretrain`, and it overlaid with each delta (see the folder's README)."""
    pretrain = torch.load(golden / "ckpt" / "pretrain.pt", weights_only=True)
    yield "pretrain", pretrain
    for file in sorted((golden / "ckpt").glob("*.delta.pt")):
        name = file.name.removesuffix(".delta.pt")
        below = {key: v for key, v in pretrain.items() if name == "pretrain_vcr" or key.startswith("uniter.")}
        yield name, below | torch.load(file, weights_only=True)
    for file in sorted((golden / "ckpt").glob("*.full.pt")):
        yield file.name, torch.load(file, weights_only=True)


@pytest.mark.golden
def test_round_trip_of_every_official_model(golden_dir: Path, tmp_path: Path) -> None:
    golden = golden_dir / "model"
    listed = json.loads((golden / "state_dict_keys.json").read_text())
    for name, state in official_models(golden):
        file, folder, back = tmp_path / f"{name}.pt", tmp_path / name, tmp_path / f"{name}.back.pt"
        torch.save(state, file)
        convert_official(file, golden / "config.json", folder)
        export_official(folder, back)
        returned = torch.load(back, weights_only=True)
        assert set(returned) == set(state) == {key for key, _ in listed[name.removesuffix(".full.pt")]}
        for key, tensor in state.items():
            assert returned[key].dtype == tensor.dtype
            assert torch.equal(returned[key], tensor), (name, key)
        assert json.loads(back.with_suffix(".json").read_text())["num_attention_heads"] == (
            load_folder(folder).config.num_heads
        )


@pytest.mark.golden
def test_both_file_formats_hold_the_same(golden_dir: Path, tmp_path: Path) -> None:
    checkpoints, config = golden_dir / "model" / "ckpt", golden_dir / "model" / "config.json"
    told = convert_official(checkpoints / "pretrain.safetensors", config, tmp_path / "a")
    assert "heads: itm, mlm, mrc, mrfr" in told
    convert_official(checkpoints / "pretrain.pt", config, tmp_path / "b")
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    export_official(tmp_path / "a", tmp_path / "back.safetensors")
    returned, state = (read_tensors(f) for f in (tmp_path / "back.safetensors", checkpoints / "pretrain.safetensors"))
    assert returned.keys() == state.keys()
    assert all(torch.equal(returned[key], state[key]) for key in state)


def test_rules_are_one_to_one() -> None:
    """No rule shadows another, in either direction, and every encoder parameter has a name on both sides."""
    for official, ours in RULES:
        for ending in ("weight", "bias"):
            theirs, here = (side.format(7) + ending for side in (official, ours))
            assert our_name(theirs) == here
            assert official_name(here) == theirs
    encoder = nn.ModuleDict({"encoder": UniterEncoder(CONFIG, seed=0)})
    for name in encoder.state_dict():
        assert our_name(official_name(name)) == name
    assert set(TIED.values()) <= {official_name(name) for name in encoder.state_dict()}


def test_foreign_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no rule for the official parameter 'bert\.x\.weight'"):
        our_name("bert.x.weight")
    with pytest.raises(
        ValueError, match=r"no official UNITER model has a counterpart of the parameter 'heads\.new\.weight'"
    ):
        official_name("heads.new.weight")
    with pytest.raises(CheckpointError, match=r"heads\.new\.weight"):
        to_official({"heads.new.weight": torch.zeros(1)})


@pytest.fixture
def official(tmp_path: Path) -> dict[str, Tensor]:
    model = nn.ModuleDict({"encoder": UniterEncoder(CONFIG, seed=0)})
    return to_official(model.state_dict() | {"heads.mlm.bias": torch.zeros(11)})


def test_without_a_configuration_published_values_are_assumed(official: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(official, tmp_path / "a.pt")
    told = convert_official(tmp_path / "a.pt", None, tmp_path / "a")
    assert "no --config: 1 heads assumed" in told
    config = load_folder(tmp_path / "a").config
    assert config.to_dict() == CONFIG.to_dict() | {
        "num_heads": 1, "num_classes": 1601, "hidden_dropout": 0.1, "attention_dropout": 0.1, "initializer_range": 0.02,
    }  # fmt: skip


def refused(state: object, tmp_path: Path, message: str) -> None:
    torch.save(state, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=message):
        convert_official(tmp_path / "bad.pt", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_checkpoints_that_do_not_fit_are_refused(official: dict[str, Tensor], tmp_path: Path) -> None:
    refused(official | {"a.b": torch.zeros(1)}, tmp_path, "bad.pt has names that no official UNITER model has: a.b")
    other = official["cls.predictions.decoder.weight"] + 1
    refused(
        official | {"cls.predictions.decoder.weight": other}, tmp_path, "decoder.weight must equal uniter.embeddings"
    )
    refused(
        {key: value for key, value in official.items() if "layer.1.intermediate" not in key}, tmp_path,
        r"not a whole encoder\nmissing \(2\): encoder.layers.1.feed_forward.expand.weight",
    )  # fmt: skip
    refused(
        {key: value for key, value in official.items() if "word_embeddings" not in key and "decoder" not in key},
        tmp_path, "not a whole encoder: encoder.text_embedding.words.weight is missing",
    )  # fmt: skip
    refused(official | {"uniter.pooler.dense.bias": torch.zeros(3)}, tmp_path, r"expected \[8\], got \[3\]")
    refused({"epoch": 3}, tmp_path, "not a state dict")
    refused(UniterConfig.tiny(), tmp_path, "holds more than tensors")
    (tmp_path / "bad.pt").write_bytes((tmp_path / "bad.pt").read_bytes()[:50])
    with pytest.raises(CheckpointError, match=r"bad\.pt"):
        read_tensors(tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="is not a file"):
        convert_official(tmp_path / "absent.pt", None, tmp_path / "out")


def test_configurations_that_do_not_fit_are_refused(official: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(official, tmp_path / "a.pt")
    config = tmp_path / "config.json"
    for text, message in (
        ('{"num_attention_heads": 3}', "num_heads must divide hidden_size"),
        ('{"hidden_act": "relu"}', "hidden_act must be 'gelu', got 'relu'"),
        ("[1", "is not a configuration file"),
    ):
        config.write_text(text)
        with pytest.raises(CheckpointError, match=message):
            convert_official(tmp_path / "a.pt", config, tmp_path / "out")


def test_export_refuses_heads_of_our_own(tmp_path: Path) -> None:
    model = nn.ModuleDict({"encoder": UniterEncoder(CONFIG, seed=0), "probe": nn.Linear(2, 2)})
    save_folder(tmp_path / "model", model, CONFIG)
    with pytest.raises(CheckpointError, match=r"counterpart of the parameter 'probe\."):
        export_official(tmp_path / "model", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()
