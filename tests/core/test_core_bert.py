"""BERT's weights as an initialisation: old and new names, what is fresh, what is left out, what is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from uniter_core.checkpoints import CheckpointError, convert_bert, load_folder, official_name

SIZES = {
    "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
    "max_position_embeddings": 10, "type_vocab_size": 2, "hidden_act": "gelu", "model_type": "bert", "pad_token_id": 0,
}  # fmt: skip
WORDS = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "\u2028", "##s"]


def bert_tensors(*, prefix: str = "bert.", old: bool = False, head: bool = True) -> dict[str, Tensor]:
    """A random BERT of SIZES, under the names that Hugging Face's and the 2018 files use."""
    torch.manual_seed(0)
    hidden, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
    gain, shift = ("gamma", "beta") if old else ("weight", "bias")
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (SIZES["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (SIZES["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        f"embeddings.LayerNorm.{gain}": (hidden,),
        f"embeddings.LayerNorm.{shift}": (hidden,),
        "pooler.dense.weight": (hidden, hidden),
        "pooler.dense.bias": (hidden,),
    }
    for layer in range(SIZES["num_hidden_layers"]):
        for part, (rows, columns) in {
            "attention.self.query": (hidden, hidden), "attention.self.key": (hidden, hidden),
            "attention.self.value": (hidden, hidden), "attention.output.dense": (hidden, hidden),
            "intermediate.dense": (inner, hidden), "output.dense": (hidden, inner),
        }.items():  # fmt: skip
            shapes |= {f"encoder.layer.{layer}.{part}.weight": (rows, columns)}
            shapes |= {f"encoder.layer.{layer}.{part}.bias": (rows,)}
        for part in ("attention.output", "output"):
            shapes |= {f"encoder.layer.{layer}.{part}.LayerNorm.{end}": (hidden,) for end in (gain, shift)}
    tensors = {prefix + name: torch.randn(shape) for name, shape in shapes.items()}
    if head:
        tensors |= {
            "cls.predictions.bias": torch.randn(SIZES["vocab_size"]),
            "cls.predictions.transform.dense.weight": torch.randn(hidden, hidden),
            "cls.predictions.transform.dense.bias": torch.randn(hidden),
            f"cls.predictions.transform.LayerNorm.{gain}": torch.randn(hidden),
            f"cls.predictions.transform.LayerNorm.{shift}": torch.randn(hidden),
            "cls.predictions.decoder.weight": tensors[prefix + "embeddings.word_embeddings.weight"].clone(),
            "cls.seq_relationship.weight": torch.randn(2, hidden),
        }
    return tensors


def bert_folder(folder: Path, tensors: dict[str, Tensor], *, words: list[str] | None = None, **sizes: object) -> Path:
    folder.mkdir()
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(SIZES | sizes))
    if words:
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


def convert(source: Path, out: Path, **options: int) -> str:
    return convert_bert(str(source), out, **({"region_dim": 6, "num_classes": 4} | options))


def test_the_text_side_comes_from_bert(tmp_path: Path) -> None:
    tensors = bert_tensors(old=True)
    told = convert(bert_folder(tmp_path / "bert", tensors, words=WORDS), tmp_path / "out")
    model = load_folder(tmp_path / "out")
    assert model.config.region_dim == 6
    assert model.config.num_heads == 2
    assert model.vocabulary is not None
    assert model.vocabulary.random_range == (6, 9)
    official = {official_name(name): tensor for name, tensor in model.tensors.items()}
    taken = 0
    for name, tensor in tensors.items():
        new = name.replace("bert.", "uniter.").replace("gamma", "weight").replace("beta", "bias")
        if new in official:
            assert torch.equal(official[new], tensor), name
            taken += 1
    assert taken == len(tensors) - 2  # the tied decoder and next-sentence prediction
    assert f"{taken} tensors from BERT" in told
    assert "fresh: encoder.region_embedding, heads.itm, heads.mrc, heads.mrfr" in told
    assert "left out: cls.seq_relationship.weight" in told
    assert model.tensors["heads.mrc.classifier.weight"].shape == (4, 8)
    assert model.tensors["heads.mrfr.bias"].shape == (6,)


@pytest.mark.parametrize(("prefix", "old"), [("bert.", False), ("", False), ("", True), ("uniter.", True)])
def test_old_and_new_names_give_the_same(tmp_path: Path, prefix: str, old: bool) -> None:
    convert(bert_folder(tmp_path / "a", bert_tensors()), tmp_path / "out_a")
    other = bert_folder(tmp_path / "b", bert_tensors(prefix=prefix, old=old))
    (other / "pytorch_model.bin").unlink()
    save_file(bert_tensors(prefix=prefix, old=old), other / "model.safetensors")
    convert(other, tmp_path / "out_b")
    first, second = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("out_a", "out_b"))
    assert first == second


def test_fresh_parts_are_a_function_of_the_seed(tmp_path: Path) -> None:
    source = bert_folder(tmp_path / "bert", bert_tensors())
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        convert(source, tmp_path / out, seed=seed)
    a, b, c = (load_folder(tmp_path / out).tensors for out in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    for name in ("encoder.region_embedding.feature.weight", "heads.itm.weight", "heads.mrfr.transform.dense.weight"):
        assert not torch.equal(a[name], c[name])


def test_a_bert_without_heads_leaves_the_word_head_fresh(tmp_path: Path) -> None:
    tensors = bert_tensors(prefix="", head=False) | {"embeddings.position_ids": torch.arange(10)[None]}
    told = convert(bert_folder(tmp_path / "bert", tensors), tmp_path / "out")
    assert "heads.mlm" in told
    assert "left out: embeddings.position_ids" in told
    assert load_folder(tmp_path / "out").vocabulary is None


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    tensors = bert_tensors()
    cases = {
        "wide": (bert_folder(tmp_path / "wide", tensors, hidden_size=16), r"does not fit the model\nof another shape"),
        "relu": (bert_folder(tmp_path / "relu", tensors, hidden_act="relu"), "hidden_act must be 'gelu'"),
        "words": (bert_folder(tmp_path / "words", tensors, words=[*WORDS, "z"]), "has 10 lines, config.json says"),
        "odd": (bert_folder(tmp_path / "odd", tensors, words=WORDS[1:]), r"vocab.txt: the vocabulary lacks \[PAD\]"),
        "other": (bert_folder(tmp_path / "other", {"gpt.x": torch.ones(1)}), "has no layer of a BERT"),
    }
    (bert_folder(tmp_path / "bare", tensors) / "pytorch_model.bin").unlink()
    (bert_folder(tmp_path / "mute", tensors) / "config.json").unlink()
    (bert_folder(tmp_path / "short", tensors) / "config.json").write_text("{}")
    cases |= {
        "bare": (tmp_path / "bare", r"holds none of model.safetensors, pytorch_model.bin"),
        "mute": (tmp_path / "mute", "config.json is not a configuration file"),
        "short": (tmp_path / "short", "config.json: .*missing"),
        "absent": (tmp_path / "absent", "neither a folder nor an id"),
    }
    for source, message in cases.values():
        with pytest.raises(CheckpointError, match=message):
            convert(source, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.golden
def test_the_released_initial_checkpoint(golden_dir: Path, tmp_path: Path) -> None:
    """The official loader's own lists of what it loaded, left and did not expect."""
    golden = golden_dir / "model"
    listed = json.loads((golden / "ckpt" / "bert_init_legacy.json").read_text())
    source = tmp_path / "legacy"
    source.mkdir()
    (source / "pytorch_model.bin").write_bytes((golden / "ckpt" / "bert_init_legacy.pt").read_bytes())
    (source / "config.json").write_bytes((golden / "config.json").read_bytes())
    dims = json.loads((golden / "dims.json").read_text())
    told = convert_bert(str(source), tmp_path / "out", region_dim=dims["img_dim"], num_classes=dims["img_label_dim"])
    assert f"left out: {', '.join(listed['unexpected'])}" in told
    pretrained = torch.load(golden / "ckpt" / "pretrain.pt", weights_only=True)
    found = {official_name(name): tensor for name, tensor in load_folder(tmp_path / "out").tensors.items()}
    tied = {"cls.predictions.decoder.weight", "feat_regress.weight"}
    assert set(found) | tied == set(listed["loaded_keys"]) | set(listed["left_at_init"])
    for name in set(listed["loaded_keys"]) - tied:
        assert torch.equal(found[name], pretrained[name]), name
    for name in set(listed["left_at_init"]) - tied:
        if name.endswith("weight") and found[name].ndim == 2:
            assert not torch.equal(found[name], pretrained[name]), name
