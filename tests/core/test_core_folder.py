"""Model folders: what is written is read, nothing is half written, and what does not fit is said."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from uniter_core import UniterConfig, UniterEncoder, Vocabulary
from uniter_core.checkpoints import CheckpointError, load_folder, load_tensors, save_folder
from uniter_core.checkpoints import folder as folder_module

CONFIG = UniterConfig.tiny(vocab_size=11, region_dim=6, hidden_size=8, num_heads=2, intermediate_size=12)
VOCABULARY = Vocabulary.from_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef"], digest="d")


def test_save_and_load(tmp_path: Path) -> None:
    encoder = UniterEncoder(CONFIG, seed=3)
    encoder.save_pretrained(tmp_path / "model", vocabulary=VOCABULARY)
    loaded = UniterEncoder.from_pretrained(tmp_path / "model", attention="eager")
    assert loaded.config == CONFIG
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in encoder.state_dict().items())
    assert load_folder(str(tmp_path / "model")).vocabulary == VOCABULARY
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model"]


def test_heads_beside_the_encoder_are_left_aside(tmp_path: Path) -> None:
    model = nn.ModuleDict({"encoder": UniterEncoder(CONFIG, seed=3), "heads": nn.ModuleDict({"itm": nn.Linear(8, 2)})})
    save_folder(tmp_path / "model", model, CONFIG)
    loaded = UniterEncoder.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded.word_table, model["encoder"].word_table)
    assert load_folder(tmp_path / "model").vocabulary is None


def test_a_model_is_replaced_and_other_things_are_not(tmp_path: Path) -> None:
    UniterEncoder(CONFIG, seed=1).save_pretrained(tmp_path / "model")
    UniterEncoder(CONFIG, seed=2).save_pretrained(tmp_path / "model")
    expected = UniterEncoder(CONFIG, seed=2).word_table
    assert torch.equal(UniterEncoder.from_pretrained(tmp_path / "model").word_table, expected)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model"]
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"holds other things \(notes.txt\)"):
        UniterEncoder(CONFIG, seed=2).save_pretrained(tmp_path / "model")
    with pytest.raises(CheckpointError, match="is a file: choose another place"):
        UniterEncoder(CONFIG, seed=2).save_pretrained(tmp_path / "model" / "notes.txt")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    UniterEncoder(CONFIG, seed=1).save_pretrained(tmp_path / "model")
    before = (tmp_path / "model" / "model.safetensors").read_bytes()

    def full_disk(tensors: object, file: Path, metadata: object) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        UniterEncoder(CONFIG, seed=2).save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model"]


def test_the_report_names_what_does_not_fit() -> None:
    module = nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.Linear(2, 2)})
    good = {name: torch.ones_like(value) for name, value in module.state_dict().items()}
    before = module["a"].weight.detach().clone()
    with pytest.raises(CheckpointError) as caught:
        load_tensors(
            module, {"a.weight": torch.ones(1, 2), "b.weight": good["b.weight"], "c": torch.ones(1)}, origin="here"
        )
    assert str(caught.value).splitlines() == [
        "here does not fit the model",
        "missing (2): a.bias, b.bias",
        "unexpected (1): c",
        "of another shape (1): a.weight: expected [3, 2], got [1, 2]",
    ]
    assert torch.equal(module["a"].weight, before)
    report = load_tensors(
        module, {name: good[name] for name in ("a.weight", "a.bias")}, origin="x", allow_missing=("b.",)
    )
    assert report.missing == ("b.weight", "b.bias")
    assert torch.equal(module["a"].weight, torch.ones(3, 2))
    assert str(load_tensors(module, good, origin="x")) == "every tensor fits"


def test_long_reports_are_cut() -> None:
    module = nn.ModuleList(nn.Linear(1, 1) for _ in range(10))
    with pytest.raises(CheckpointError, match=r"missing \(20\): .*, and 12 more"):
        load_tensors(module, {}, origin="x")


def rewrite(folder: Path, **changes: object) -> None:
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(described | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "has format None, expected 'uniter-1': `uniter convert`"),
        ({"hiden_size": 3}, "config.json: unknown configuration key 'hiden_size': did you mean 'hidden_size'"),
        ({"num_heads": 3}, "num_heads must divide"),
        ({"vocabulary": {"size": 3}}, "not a vocabulary's description"),
        ({"region_dim": 7}, r"does not fit the model\nof another shape"),
    ],
)
def test_damaged_descriptions_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    UniterEncoder(CONFIG, seed=1).save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", **changes)
    with pytest.raises(CheckpointError, match=message):
        UniterEncoder.from_pretrained(tmp_path / "model")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    model = tmp_path / "model"
    UniterEncoder(CONFIG, seed=1).save_pretrained(model)
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[:-10])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        load_folder(model)
    (model / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a file"):
        load_folder(model)
    (model / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"is not a model folder: config\.json is missing or damaged"):
        load_folder(model)
    (model / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="is not a model folder"):
        load_folder(model)


def test_ids_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    UniterEncoder(CONFIG, seed=1).save_pretrained(tmp_path / "model")
    asked = []

    def snapshot(name: str, *, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        if name == "a/absent":
            raise OSError("404\nand more")
        return str(tmp_path / "model")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert UniterEncoder.from_pretrained("someone/uniter-tiny").config == CONFIG
    assert asked == [("someone/uniter-tiny", ["config.json", "model.safetensors"])]
    with pytest.raises(CheckpointError, match=r"there is no folder a/absent, and the hub does not give it: 404$"):
        UniterEncoder.from_pretrained("a/absent")
    with pytest.raises(CheckpointError, match="neither a folder nor an id of the hub"):
        load_folder(tmp_path / "nothing" / "here")
