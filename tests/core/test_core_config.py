"""Sizes: presets, validation, the published parameter counts, vocabularies."""

import pytest
import torch

from uniter_core import PRESETS, UniterConfig, UniterEncoder, Vocabulary


@pytest.mark.parametrize(
    ("preset", "published"),
    [("base", 86), ("large", 303)],
)
def test_published_parameter_counts(preset: str, published: int) -> None:
    """The paper's 86 M and 303 M (section 4.1) are the layers and the pooler; tables and projections come on top."""
    config = PRESETS[preset]()
    with torch.device("meta"):
        encoder = UniterEncoder(config)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in encoder.named_children()}
    assert round((counts["layers"] + counts["pooler"]) / 1e6) == published
    hidden = config.hidden_size
    assert counts["text_embedding"] - encoder.word_table.numel() == (512 + 2 + 2) * hidden
    assert counts["region_embedding"] == (2048 + 7 + 2 + 6) * hidden + 2 * 2048
    without_words = sum(counts.values()) - encoder.word_table.numel()
    assert published <= without_words / 1e6 < 1.02 * published


@pytest.mark.parametrize("preset", PRESETS)
def test_dictionary_round_trip(preset: str) -> None:
    config = PRESETS[preset](region_dim=17)
    assert UniterConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 5}, "num_heads must divide hidden_size: 128 cannot be shared among 5 heads"),
        ({"vocab_size": 0}, "vocab_size must be a positive integer, got 0"),
        ({"num_layers": 2.0}, "num_layers must be a positive integer"),
        ({"num_types": True}, "num_types must be a positive integer"),
        ({"hidden_dropout": 1.0}, r"hidden_dropout must be in \[0, 1\)"),
        ({"attention_dropout": -0.1}, "attention_dropout must be a number that is not negative"),
        ({"layer_norm_eps": "tiny"}, "layer_norm_eps must be a number"),
    ],
)
def test_bad_sizes_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UniterConfig.tiny(**changes)


def test_unknown_and_missing_keys_are_named() -> None:
    with pytest.raises(ValueError, match="did you mean 'num_layers'"):
        UniterConfig.from_dict({"num_layer": 3})
    with pytest.raises(ValueError, match="known are vocab_size"):
        UniterConfig.from_dict({"zzz": 3})
    with pytest.raises(ValueError, match="lacks intermediate_size, num_heads, num_layers"):
        UniterConfig.from_dict({"hidden_size": 8})


def test_vocabulary_round_trip_and_errors() -> None:
    # a bracketed piece among the words is one of them; those at the end have been added by a task
    tokens = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[", "[x]", "a", "[added]"]
    vocabulary = Vocabulary.from_tokens(tokens, digest="abc")
    assert (vocabulary.cls_id, vocabulary.mask_id, vocabulary.random_range) == (3, 5, (6, 9))
    assert Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary
    with pytest.raises(ValueError, match=r"lacks \[SEP\]"):
        Vocabulary.from_tokens(["[PAD]", "[UNK]", "[CLS]", "[MASK]"])
    with pytest.raises(ValueError, match="not a vocabulary's description"):
        Vocabulary.from_dict({"size": 3})
    with pytest.raises(ValueError, match=r"mask_id must be in \[0, 3\), got 9"):
        Vocabulary(size=3, pad_id=0, unk_id=0, cls_id=1, sep_id=2, mask_id=9, random_range=(0, 3))
    with pytest.raises(ValueError, match="random_range must be a non-empty range"):
        Vocabulary(size=3, pad_id=0, unk_id=0, cls_id=1, sep_id=2, mask_id=2, random_range=(3, 3))


@pytest.mark.real_data
def test_random_words_of_a_bert_vocabulary(real_data_dir) -> None:
    file = next((real_data_dir / "bert").glob("*vocab*.txt"), None)
    if file is None:
        pytest.skip(f"no BERT vocabulary in {real_data_dir / 'bert'}")
    tokens = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    vocabulary = Vocabulary.from_tokens(tokens)
    first, end = vocabulary.random_range
    assert end == len(tokens)
    assert tokens[first] == "!"
    assert max(vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id) < first
