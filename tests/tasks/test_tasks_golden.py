"""Every pre-training head, loss and gradient against the official implementation, through both CPU attentions.

B pairs, W words, R regions, N units, K targets.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from uniter_core import PackedBatch, Sample, Vocabulary, pack
from uniter_core.checkpoints import convert_official, official_name
from uniter_tasks import ObjectiveSettings, PretrainingModel, TaskBatch
from uniter_tasks.mrc import likeliest_object
from uniter_tasks.wra import transport_distances, transport_plan

pytestmark = pytest.mark.golden

CASES = [
    "pretrain_mlm",
    "pretrain_mrfr",
    "pretrain_mrc",
    "pretrain_mrckl",
    "pretrain_itm_wra",
    "pretrain_itm_wra_allpos",
]
VCR_CASES = ["pretrain_vcr_mlm", "pretrain_vcr_mrfr", "pretrain_vcr_mrc", "pretrain_vcr_mrckl"]
ATTENTIONS = ["sdpa", "eager"]

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A recorded case: our name of its objective, what it fed, and what came out."""

    name: str
    objective: str
    batch: TaskBatch
    arrays: Arrays


@pytest.fixture(scope="module")
def model_dir(golden_dir: Path) -> Path:
    return golden_dir / "model"


@pytest.fixture(scope="module")
def dims(model_dir: Path) -> dict[str, float]:
    return json.loads((model_dir / "dims.json").read_text())


@pytest.fixture(scope="module")
def folders(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pre-training checkpoints as folders of ours: the general one and VCR's second stage."""
    base = load_file(model_dir / "ckpt" / "pretrain.safetensors")
    official = {
        "pretrain": base,
        "pretrain_vcr": base | load_file(model_dir / "ckpt" / "pretrain_vcr.delta.safetensors"),
    }
    folders = {}
    for name, tensors in official.items():
        place = tmp_path_factory.mktemp(name)
        torch.save(tensors, place / "official.pt")
        convert_official(place / "official.pt", model_dir / "config.json", place / "folder")
        folders[name] = place / "folder"
    return folders


@pytest.fixture(scope="module")
def load_model(folders: dict[str, Path], dims: dict[str, int]) -> Callable[..., PretrainingModel]:
    def load(case: str, attention: str, wra_weight: float = 0.0) -> PretrainingModel:
        folder = folders["pretrain_vcr" if "vcr" in case else "pretrain"]
        size = json.loads((folder / "config.json").read_text())["vocab_size"]
        vocabulary = Vocabulary(
            size=size,
            pad_id=dims["pad_id"],
            unk_id=dims["pad_id"],
            cls_id=dims["cls_id"],
            sep_id=dims["sep_id"],
            mask_id=dims["mask_id"],
            random_range=(dims["mask_id"] + 1, size),
        )
        settings = ObjectiveSettings(vocabulary=vocabulary, wra_weight=wra_weight)
        return PretrainingModel.from_pretrained(folder, settings, attention=attention).eval()

    return load


def read_case(model_dir: Path, name: str) -> Case:
    arrays = dict(np.load(model_dir / f"{name}.npz"))
    if "same_inputs_as" in arrays:
        arrays = dict(np.load(model_dir / f"{arrays['same_inputs_as']}.npz")) | arrays
    packed = pack_as_fed(arrays)
    kind = name.removeprefix("pretrain_").removeprefix("vcr_").removesuffix("_wra").removesuffix("_wra_allpos")
    targets, count = targets_of(kind, arrays, packed)
    ids = tuple(str(number) for number in range(packed.num_samples))
    batch = TaskBatch(packed=packed, targets=targets, ids=ids, count=count)
    return Case(name=name, objective={"mrckl": "mrc-kl"}.get(kind, kind), batch=batch, arrays=arrays)


def pack_as_fed(arrays: Arrays) -> PackedBatch:
    """The official padded inputs without their padding; what is masked is masked already."""
    samples = []
    for row, (words, regions) in enumerate(zip(arrays["txt_len"], arrays["num_bb"], strict=True)):
        types = arrays.get("txt_type_ids")
        samples.append(
            Sample(
                token_ids=torch.from_numpy(arrays["input_ids"][row, :words]),
                region_features=torch.from_numpy(arrays["img_feat"][row, :regions]),
                region_boxes=torch.from_numpy(arrays["img_pos_feat"][row, :regions]),
                token_types=None if types is None else torch.from_numpy(types[row, :words]),
            )
        )
    packed = pack(samples)
    if "img_masks" in arrays:
        real = np.arange(arrays["img_masks"].shape[1]) < arrays["num_bb"][:, None]
        packed = replace(packed, region_masked=torch.from_numpy(arrays["img_masks"][real]))
    return packed


def targets_of(kind: str, arrays: Arrays, packed: PackedBatch) -> tuple[dict[str, Tensor], int]:
    """The targets as the objective's `collate` would name them, and their number."""
    if kind == "itm":
        matched = torch.from_numpy(arrays["targets"])
        return {"matched": matched}, len(matched)
    if kind == "mlm":
        pairs, positions = np.nonzero(arrays["txt_labels"] != -1)
        units = packed.cls_units[pairs] + torch.from_numpy(positions)
        words = torch.from_numpy(arrays["txt_labels"][pairs, positions])
        return {"units": units, "words": words}, len(words)
    units = packed.region_units[packed.region_masked]
    if kind == "mrfr":
        features = torch.from_numpy(arrays["feat_targets"])
        return {"units": units, "features": features}, features.numel()
    labels = torch.from_numpy(arrays["label_targets"])
    targets = {"units": units, "labels": labels, "classes": likeliest_object(labels)}
    return targets, len(labels) if kind == "mrc" else labels.numel()


def head_output(model: PretrainingModel, case: Case) -> tuple[str, Tensor]:
    """What the case's head says, and the name under which the official output is recorded."""
    packed, targets, heads = case.batch.packed, case.batch.targets, model.heads
    units = model.encoder(packed)
    if case.objective == "itm":
        return "itm_scores", heads["itm"](model.encoder.pool(units, packed))
    chosen = units[targets["units"]]
    if case.objective == "mlm":
        return "logits", heads["mlm"](chosen, model.encoder.word_table)
    if case.objective == "mrfr":
        return "pred", heads["mrfr"](chosen, model.encoder.region_projection)
    return "logits", heads["mrc"](chosen)


def assert_output(found: Tensor, expected: np.ndarray, name: str = "") -> None:
    """Within 2e-5 + 1e-6 of the output's size."""
    tolerance = 2e-5 + 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", CASES + VCR_CASES)
def test_outputs_and_losses(
    model_dir: Path, load_model: Callable[..., PretrainingModel], name: str, attention: str
) -> None:
    case = read_case(model_dir, name)
    model = load_model(name, attention, wra_weight=float(case.arrays.get("itm_ot_lambda", 0.0)))
    recorded, output = head_output(model, case)
    if recorded in case.arrays:
        assert_output(output, case.arrays[recorded])
    loss = model(case.objective, case.batch)
    assert loss.sum.dtype == torch.float32
    assert_output(loss.mean, case.arrays["loss"])
    logged_sum, logged_count = loss.logged["loss"]
    assert_output(logged_sum / logged_count, case.arrays["loss"])


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_targets_of_hard_labels(model_dir: Path, attention: str) -> None:
    case = read_case(model_dir, "pretrain_mrc")
    assert case.batch.targets["classes"].tolist() == case.arrays["hard_targets"].tolist()


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", ["pretrain_itm_wra", "pretrain_itm_wra_allpos"])
def test_transport(model_dir: Path, load_model: Callable[..., PretrainingModel], name: str, attention: str) -> None:
    case = read_case(model_dir, name)
    arrays, packed = case.arrays, case.batch.packed
    weight = float(arrays["itm_ot_lambda"])
    model = load_model(name, attention, wra_weight=weight)
    units = model.encoder(packed)
    assert_output(transport_distances(units, packed), arrays["ot_dist"])
    plan = transport_plan(units, packed).plan.transpose(1, 2)
    regions, words = plan.shape[1:]
    assert_output(plan, arrays["ot_plan"][:, :regions, :words])
    logged = model("itm", case.batch).logged
    sides = [logged["matched_distance"], logged["mismatched_distance"]]
    assert [int(side[1]) for side in sides] == [int((arrays["targets"] == side).sum()) for side in (1, 0)]
    assert_output((sides[0][0] - sides[1][0]) / case.batch.count, arrays["ot_loss"])
    unweighted = load_model(name, attention)("itm", case.batch)
    assert_output(unweighted.mean, arrays["itm_loss"])


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", CASES + VCR_CASES)
def test_gradients(model_dir: Path, load_model: Callable[..., PretrainingModel], name: str, attention: str) -> None:
    case = read_case(model_dir, name)
    model = load_model(name, attention, wra_weight=float(case.arrays.get("itm_ot_lambda", 0.0)))
    model(case.objective, case.batch).mean.backward()
    gradients = {official_name(ours): parameter.grad for ours, parameter in model.named_parameters()}
    norms = json.loads((model_dir / "grad_norms.json").read_text())[name]
    assert set(norms) <= set(gradients)
    for parameter, recorded in norms.items():
        assert_gradient_norm(parameter, gradients[parameter], recorded)
    full = model_dir / f"grads_{name.removeprefix('pretrain_')}.npz"
    if full.exists():
        for parameter, expected in np.load(full).items():
            found = gradients[parameter]
            assert found is not None, parameter
            tolerance = 1e-4 * np.abs(expected).max()
            np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=tolerance, err_msg=parameter)


def assert_gradient_norm(parameter: str, gradient: Tensor | None, recorded: list[float] | None) -> None:
    """L2 norm and sum; where the official parameter is not reached, ours may have a gradient of zeros."""
    if recorded is None:
        assert gradient is None or not gradient.any(), parameter
        return
    assert gradient is not None, parameter
    norm, total = float(gradient.double().norm()), float(gradient.double().sum())
    if parameter.endswith("self.key.bias"):  # a constant added to a row's scores: 0 but for rounding
        assert norm < 1e-5, parameter
        return
    assert norm == pytest.approx(recorded[0], rel=1e-4), parameter
    assert total == pytest.approx(recorded[1], abs=1e-4 * recorded[0]), parameter
