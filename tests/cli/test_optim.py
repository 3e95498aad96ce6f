"""The learning rate and the decayed parameters, against what the released code does."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from uniter_cli.optim import build_optimizer, decayed_names, learning_rate
from uniter_cli.recipe import OptimizerRecipe
from uniter_core import UniterConfig, Vocabulary
from uniter_core.checkpoints import official_name
from uniter_tasks import ObjectiveSettings, PretrainingModel


@pytest.fixture(scope="module")
def model():
    vocabulary = Vocabulary(size=50, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, random_range=(5, 50))
    return PretrainingModel(
        UniterConfig.tiny(vocab_size=50, region_dim=8, num_classes=4), ObjectiveSettings(vocabulary=vocabulary)
    )


@pytest.mark.golden
def test_schedule_is_the_released_one(golden_dir):
    for row in json.loads((golden_dir / "model" / "optim.json").read_text())["lr_schedule"]:
        recipe = OptimizerRecipe(lr=1.0, warmup=row["warmup"] / row["total"])
        # the released schedule never falls below 1e-8
        assert learning_rate(recipe, row["step"] - 1, row["total"]) == pytest.approx(row["lr_scale"], abs=2e-8)


@pytest.mark.golden
def test_released_rule_decays_what_the_released_code_decays(golden_dir, model):
    golden = json.loads((golden_dir / "model" / "optim.json").read_text())
    decayed = {official_name(name) for name in decayed_names(model, "released")}
    spared = {official_name(name) for name, _ in model.named_parameters()} - decayed
    shared = {name for name in decayed | spared if name in {*golden["decayed"], *golden["not_decayed"]}}
    assert len(shared) > 20
    assert decayed & shared == set(golden["decayed"]) & shared
    assert spared & shared == set(golden["not_decayed"]) & shared


def test_matrices_rule_decays_no_norm_and_no_bias(model):
    decayed = decayed_names(model, "matrices")
    modules = dict(model.named_modules())
    for name, parameter in model.named_parameters():
        owner = modules[name.rpartition(".")[0]]
        assert (name in decayed) == (isinstance(owner, (nn.Linear, nn.Embedding)) and parameter.ndim == 2), name


def test_optimizer_holds_every_parameter_once(model):
    optimizer = build_optimizer(model, OptimizerRecipe())
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]


@pytest.mark.golden
def test_torch_adamw_is_the_released_one_but_for_eps(golden_dir):
    """With eps divided by √(1 − β₂ᵗ), as the released code has it, only the place of the decay differs."""
    golden = json.loads((golden_dir / "model" / "optim.json").read_text())["adamw"]
    with np.load(golden_dir / "model" / "optim.npz", allow_pickle=False) as file:
        start, gradients, rates, recorded = (torch.from_numpy(file[n]) for n in ("a0", "a_grad", "lr", "a_after"))
    beta = golden["betas"][1]
    parameter = nn.Parameter(start.clone())
    optimizer = torch.optim.AdamW([parameter], betas=tuple(golden["betas"]), weight_decay=golden["weight_decay_a"])
    for step, (rate, gradient, after) in enumerate(zip(rates.tolist(), gradients, recorded, strict=True), start=1):
        optimizer.param_groups[0].update(lr=rate, eps=golden["eps"] / (1 - beta**step) ** 0.5)
        parameter.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(parameter.detach(), after, atol=5e-5, rtol=0)


def test_heads_may_learn_faster() -> None:
    model = nn.ModuleDict({"encoder": nn.Linear(3, 3), "heads": nn.ModuleDict({"vqa": nn.Linear(3, 2)})})
    plain = build_optimizer(model, OptimizerRecipe())
    assert [group["multiplier"] for group in plain.param_groups] == [1.0, 1.0]
    faster = build_optimizer(model, OptimizerRecipe(head_multiplier=10))
    by_parameter = {id(p): group["multiplier"] for group in faster.param_groups for p in group["params"]}
    assert {name: by_parameter[id(p)] for name, p in model.named_parameters()} == {
        "encoder.weight": 1.0,
        "encoder.bias": 1.0,
        "heads.vqa.weight": 10,
        "heads.vqa.bias": 10,
    }
    assert {group["weight_decay"] for group in faster.param_groups if group["multiplier"] == 10} == {0.01, 0.0}
