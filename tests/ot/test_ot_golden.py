"""The released solver, loss and gradient, as recorded in the golden folder. Its plans are (B, R, W)."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from uniter_ot import alignment_loss, alignment_loss_packed, cosine_cost, ipot, wra_loss

np = pytest.importorskip("numpy", reason="the golden folder holds numpy's arrays")

pytestmark = pytest.mark.golden

RUNS = {"b05_i50_k1": 50, "b01_i100_k1": 100, "b05_i1_k1": 1}


@pytest.fixture(scope="module")
def recorded(golden_dir: Path) -> dict[str, Tensor]:
    with np.load(golden_dir / "model" / "ot.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture(scope="module")
def recorded_wra(golden_dir: Path) -> dict[str, Tensor]:
    with np.load(golden_dir / "model" / "pretrain_itm_wra.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def real_rows(lengths: Tensor, width: int) -> Tensor:
    return torch.arange(width) < lengths[:, None]


def test_cost(recorded: dict[str, Tensor]) -> None:
    cost = cosine_cost(recorded["txt_emb"], recorded["img_emb"])
    words = real_rows(recorded["txt_len"], cost.shape[1])
    regions = real_rows(recorded["img_len"], cost.shape[2])
    real = words[:, :, None] & regions[:, None, :]
    torch.testing.assert_close(cost * real, recorded["cost"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("garbage", [False, True])
def test_plan_and_distance(recorded: dict[str, Tensor], backend: str, run: str, garbage: bool) -> None:
    beta = dict(zip(RUNS, recorded["betas"].tolist(), strict=True))[run]
    cost = cosine_cost(recorded["txt_emb"], recorded["img_emb"]) if garbage else recorded["cost"]
    solved = ipot(
        cost,
        word_mask=real_rows(recorded["txt_len"], cost.shape[1]),
        region_mask=real_rows(recorded["img_len"], cost.shape[2]),
        beta=beta,
        iterations=RUNS[run],
        backend=backend,
    )
    torch.testing.assert_close(solved.plan.mT, recorded[f"{run}_plan"], atol=1e-6, rtol=0)
    torch.testing.assert_close(solved.distance, recorded[f"{run}_dist"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("garbage", [0.0, float("nan")])
def test_gradient(recorded: dict[str, Tensor], backend: str, garbage: float) -> None:
    words_mask = real_rows(recorded["txt_len"], recorded["txt_emb"].shape[1])
    regions_mask = real_rows(recorded["img_len"], recorded["img_emb"].shape[1])
    words = recorded["txt_emb"].masked_fill(~words_mask[:, :, None], garbage).requires_grad_()
    regions = recorded["img_emb"].masked_fill(~regions_mask[:, :, None], garbage).requires_grad_()
    distance = alignment_loss(words, regions, word_mask=words_mask, region_mask=regions_mask, backend=backend)
    distance.sum().backward()
    torch.testing.assert_close(distance, recorded["b05_i50_k1_dist"], atol=1e-6, rtol=0)
    torch.testing.assert_close(words.grad, recorded["b05_i50_k1_grad_txt_emb"], atol=1e-6, rtol=0)
    torch.testing.assert_close(regions.grad, recorded["b05_i50_k1_grad_img_emb"], atol=1e-6, rtol=0)


def test_packed_points(recorded: dict[str, Tensor], backend: str) -> None:
    word_rows = real_rows(recorded["txt_len"], recorded["txt_emb"].shape[1])
    region_rows = real_rows(recorded["img_len"], recorded["img_emb"].shape[1])
    words = recorded["txt_emb"][word_rows].requires_grad_()
    regions = recorded["img_emb"][region_rows].requires_grad_()
    distance = alignment_loss_packed(words, regions, recorded["txt_len"], recorded["img_len"], backend=backend)
    distance.sum().backward()
    torch.testing.assert_close(distance, recorded["b05_i50_k1_dist"], atol=1e-6, rtol=0)
    torch.testing.assert_close(words.grad, recorded["b05_i50_k1_grad_txt_emb"][word_rows], atol=1e-6, rtol=0)
    torch.testing.assert_close(regions.grad, recorded["b05_i50_k1_grad_img_emb"][region_rows], atol=1e-6, rtol=0)


def test_combined_loss_has_the_recorded_gradients(recorded: dict[str, Tensor], backend: str) -> None:
    """Matched and mismatched pairs in turn: each pair's recorded gradient, with its sign, shared by all."""
    words, regions = recorded["txt_emb"].clone().requires_grad_(), recorded["img_emb"].clone().requires_grad_()
    pairs = len(words)
    matched = torch.arange(pairs) % 2 == 0
    distance = alignment_loss(
        words,
        regions,
        word_mask=real_rows(recorded["txt_len"], words.shape[1]),
        region_mask=real_rows(recorded["img_len"], regions.shape[1]),
        backend=backend,
    )
    loss = wra_loss(distance, matched)
    loss.backward()
    sign = torch.where(matched, 1.0, -1.0) / pairs
    torch.testing.assert_close(loss, (sign * recorded["b05_i50_k1_dist"]).sum(), atol=1e-6, rtol=0)
    for points, name in (words, "txt"), (regions, "img"):
        expected = sign[:, None, None] * recorded[f"b05_i50_k1_grad_{name}_emb"]
        torch.testing.assert_close(points.grad, expected, atol=1e-6, rtol=0)


def test_plans_of_the_pretraining_batch(recorded_wra: dict[str, Tensor], backend: str) -> None:
    cost = recorded_wra["ot_cost"]
    solved = ipot(
        cost,
        word_mask=real_rows(recorded_wra["txt_len"], cost.shape[1]),
        region_mask=real_rows(recorded_wra["num_bb"], cost.shape[2]),
        backend=backend,
    )
    torch.testing.assert_close(solved.plan.mT, recorded_wra["ot_plan"], atol=1e-5, rtol=0)
    torch.testing.assert_close(solved.distance, recorded_wra["ot_dist"], atol=1e-5, rtol=0)
    loss = wra_loss(solved.distance, recorded_wra["targets"] == 1)
    torch.testing.assert_close(loss, recorded_wra["ot_loss"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("case", ["pretrain_itm_wra", "pretrain_itm_wra_allpos"])
def test_combined_loss(golden_dir: Path, case: str) -> None:
    with np.load(golden_dir / "model" / f"{case}.npz") as arrays:
        loss = wra_loss(torch.from_numpy(arrays["ot_dist"]), torch.from_numpy(arrays["targets"] == 1))
        assert loss.item() == pytest.approx(float(arrays["ot_loss"]), abs=1e-6)
