"""The encoder against the recorded outputs of the official implementation, packed, in float32, by both CPU backends."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from uniter_core import PackedBatch, Sample, UniterEncoder, pack
from uniter_core.checkpoints import convert_official

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def recorded(golden_dir: Path) -> dict[str, Tensor]:
    with np.load(golden_dir / "model" / "uniter.npz") as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def folder(golden_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("golden") / "pretrain"
    convert_official(golden_dir / "model" / "ckpt" / "pretrain.pt", golden_dir / "model" / "config.json", out)
    return out


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def encoder(folder: Path, request: pytest.FixtureRequest) -> UniterEncoder:
    return UniterEncoder.from_pretrained(folder, attention=request.param).eval()


def make_batch(
    recorded: dict[str, Tensor], *, text: bool = True, regions: bool = True, typed: bool = False
) -> PackedBatch:
    samples = []
    for number, (words, boxes) in enumerate(lengths(recorded)):
        words, boxes = words * text, boxes * regions
        types = {
            "token_types": recorded["typed_masked_txt_type_ids"][number, :words],
            "region_types": recorded["typed_masked_img_type_ids"][number, :boxes],
        }
        samples.append(
            Sample(
                token_ids=recorded["input_ids"][number, :words],
                region_features=recorded["img_feat"][number, :boxes],
                region_boxes=recorded["img_pos_feat"][number, :boxes],
                **(types if typed else {}),
            )
        )
    return pack(samples)


def lengths(recorded: dict[str, Tensor]) -> list[tuple[int, int]]:
    return list(zip(recorded["txt_len"].tolist(), recorded["num_bb"].tolist(), strict=True))


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=2e-5)


def real(padded: Tensor, counts: Tensor) -> Tensor:
    """The entries that are not padding, sample after sample."""
    return torch.cat([row[:count] for row, count in zip(padded, counts.tolist(), strict=True)])


@torch.no_grad()
def test_every_hidden_state_and_the_pooled_vectors(encoder: UniterEncoder, recorded: dict[str, Tensor]) -> None:
    batch = make_batch(recorded)
    states = encoder.hidden_states(batch)
    names = ["emb"] + [f"layer{number}" for number in range(1, encoder.config.num_layers + 1)]
    for name, state in zip(names, states, strict=True):
        same(state[batch.word_units], real(recorded[f"{name}_txt"], recorded["txt_len"]))
        same(state[batch.region_units], real(recorded[f"{name}_img"], recorded["num_bb"]))
    same(encoder(batch), states[-1])
    same(encoder.pool(states[-1], batch), recorded["pooled"])


@torch.no_grad()
def test_text_alone_and_regions_alone(encoder: UniterEncoder, recorded: dict[str, Tensor]) -> None:
    batch = make_batch(recorded, regions=False)
    units = encoder(batch)
    same(units, real(recorded["text_only_last"], recorded["txt_len"]))
    same(encoder.pool(units, batch), recorded["text_only_pooled"])
    same(encoder(make_batch(recorded, text=False)), real(recorded["image_only_last"], recorded["num_bb"]))


@torch.no_grad()
def test_given_types_and_masked_regions(encoder: UniterEncoder, recorded: dict[str, Tensor]) -> None:
    """Here the features of masked regions are not zeroed: only the mask vector is added."""
    batch = make_batch(recorded, typed=True)
    batch.region_masked.copy_(real(recorded["typed_masked_img_masks"], recorded["num_bb"]))
    assert batch.region_masked.any()
    units = encoder(batch)
    same(units[batch.word_units], real(recorded["typed_masked_last_txt"], recorded["txt_len"]))
    same(units[batch.region_units], real(recorded["typed_masked_last_img"], recorded["num_bb"]))


def test_the_attention_maps_are_those_of_the_forward_pass(encoder: UniterEncoder, recorded: dict[str, Tensor]) -> None:
    """Row sums are 1, and a map times the values is what the layer attends to."""
    with torch.no_grad():
        maps = encoder.attention_maps(make_batch(recorded))
    for layer in maps:
        for (words, boxes), weights in zip(lengths(recorded), layer, strict=True):
            assert weights.shape == (encoder.config.num_heads, words + boxes, words + boxes)
            same(weights.sum(-1), torch.ones(weights.shape[:2]))


def test_the_configuration_is_that_of_the_folder(encoder: UniterEncoder, golden_dir: Path) -> None:
    official = json.loads((golden_dir / "model" / "config.json").read_text())
    dims = json.loads((golden_dir / "model" / "dims.json").read_text())
    config = encoder.config
    assert (config.hidden_size, config.num_heads) == (official["hidden_size"], official["num_attention_heads"])
    assert (config.region_dim, config.num_classes) == (dims["img_dim"], dims["img_label_dim"])
    assert config.hidden_dropout == official["hidden_dropout_prob"]
