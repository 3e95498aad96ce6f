"""Losses: closed forms, sums that add up over batches, float32 under autocast, gradients only where they belong."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from uniter_core import Sample
from uniter_tasks import OBJECTIVES, MajorityBaseline, ObjectiveSettings, PretrainingModel, TaskBatch, objective

Draw = Callable[..., list[Sample]]


def answer_constantly(model: PretrainingModel) -> PretrainingModel:
    """Silence every head: what it answers is its bias, whatever it sees."""
    with torch.no_grad():
        for head in ("mlm", "mrfr", "mrc"):
            model.heads[head].transform.norm.weight.zero_()
        model.heads["mrc"].classifier.weight.zero_()
        model.heads["itm"].weight.zero_()
    return model.eval()


def collate(name: str, samples: list[Sample], settings: ObjectiveSettings) -> TaskBatch:
    return objective(name).collate(samples, settings)


def test_uniform_answers_cost_the_logarithm_of_the_choices(
    model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw
) -> None:
    model = answer_constantly(model)
    model.settings = replace(settings, wra_weight=0.0)
    samples = draw_pairs(8)
    for name, choices in (("mlm", model.config.vocab_size), ("mrc", model.config.num_classes), ("itm", 2)):
        loss = model(name, collate(name, samples, settings))
        assert float(loss.mean.detach()) == pytest.approx(math.log(choices), rel=1e-6)


def test_right_answers_cost_nothing(model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw) -> None:
    model = answer_constantly(model)
    model.settings = replace(settings, wra_weight=0.0)
    features = torch.linspace(-1, 1, model.config.region_dim)
    one_hot = torch.eye(model.config.num_classes)[2]
    samples = [
        replace(
            sample,
            token_ids=torch.tensor([2, 9, 9, 9, 3]),
            region_features=features.expand(3, -1),
            region_boxes=sample.region_boxes[:1].expand(3, -1),
            region_labels=one_hot.expand(3, -1),
            gold_regions=None,
            token_kinds=None,
            matched=True,
        )
        for sample in draw_pairs(4)
    ]
    with torch.no_grad():
        model.heads["mlm"].bias[9] = 100.0
        model.heads["mrfr"].bias.copy_(features)
        model.heads["mrc"].classifier.bias[2] = 100.0
        model.heads["itm"].bias[1] = 100.0
    for name in OBJECTIVES:
        loss = model(name, collate(name, samples, settings))
        assert float(loss.sum.detach()) == pytest.approx(0.0, abs=1e-6)
        if "accuracy" in loss.logged:
            right, count = loss.logged["accuracy"].tolist()
            assert right == count > 0


def test_kl_is_zero_where_p_is_zero_and_averaged_over_every_class(
    model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw
) -> None:
    model = answer_constantly(model)
    samples = draw_pairs(6)
    with torch.no_grad():
        model.heads["mrc"].classifier.bias.copy_(torch.randn(model.config.num_classes))
    batch = collate("mrc-kl", samples, settings)
    p = batch.targets["labels"].double()
    assert (p == 0).any()
    q = model.heads["mrc"].classifier.bias.detach().double().softmax(0)
    expected = sum(
        float(p[i, c]) * math.log(float(p[i, c]) / float(q[c]))
        for i in range(p.shape[0])
        for c in range(p.shape[1])
        if p[i, c] > 0
    )
    loss = model("mrc-kl", batch)
    assert batch.count == p.numel()
    assert float(loss.sum.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_constant_answer_reaches_the_baseline(
    model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw, name: str
) -> None:
    model = answer_constantly(model)
    batches = [collate(name, draw_pairs(9, seed), settings) for seed in range(3)]
    baseline = MajorityBaseline(objective(name).baselines)
    for batch in batches:
        baseline.update(batch)
    expected = baseline.result()
    expected.pop("alignment_accuracy", None)  # no constant answer of a head: see the metrics' tests
    targets = {
        metric: torch.cat([objective(name).baselines[metric].targets(batch) for batch in batches])
        for metric in expected
    }
    for metric, answers in targets.items():
        with torch.no_grad():
            if name == "mrfr":
                model.heads["mrfr"].bias.copy_(answers.float().mean(0))
            else:
                bias = {"mlm": "mlm", "itm": "itm"}.get(name, "mrc")
                parameter = model.heads[bias].classifier.bias if bias == "mrc" else model.heads[bias].bias
                parameter.zero_()
                parameter[int(answers.mode().values)] = 1.0
        logged = sum(model(name, batch).logged[metric].double() for batch in batches)
        assert float(logged[0] / logged[1]) == pytest.approx(expected[metric], rel=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_sums_and_counts_add_up_over_batches(
    model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw, name: str
) -> None:
    model.eval()
    samples = draw_pairs(9)
    whole = model(name, collate(name, samples, settings))
    parts = [model(name, collate(name, part, settings)) for part in (samples[:2], samples[2:3], samples[3:])]
    assert sum(part.count for part in parts) == whole.count
    assert float(sum(part.sum.detach() for part in parts)) == pytest.approx(float(whole.sum.detach()), rel=1e-5)
    for metric, value in whole.logged.items():
        assert torch.allclose(sum(part.logged[metric] for part in parts), value, rtol=1e-5), metric
    loss_sum, loss_count = whole.logged["loss"].tolist()
    assert loss_sum == pytest.approx(float(whole.sum.detach()), rel=1e-6)
    assert loss_count == whole.count


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("training", [True, False])
def test_autocast_gives_finite_float32_close_to_float32(
    model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw, name: str, training: bool
) -> None:
    model.train(training)
    batch = collate(name, draw_pairs(8), settings)
    exact = model(name, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(name, batch)
    loss.sum.backward()
    assert loss.sum.dtype == torch.float32
    assert float(loss.sum.detach()) == pytest.approx(float(exact.sum.detach()), rel=0.03)
    for value in loss.logged.values():
        assert value.dtype == torch.float32
        assert not value.requires_grad
        assert torch.isfinite(value).all()
    for parameter in model.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_unused_heads_get_no_gradient(
    model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw, name: str
) -> None:
    model.train()
    model(name, collate(name, draw_pairs(4), settings)).sum.backward()
    used = {"mrc-kl": "mrc"}.get(name, name)
    for head, module in model.heads.items():
        reached = {parameter.grad is not None for parameter in module.parameters()}
        assert reached == {head == used}


def test_transport_is_not_solved_without_weight_in_training(
    model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw
) -> None:
    batch = collate("itm", draw_pairs(4), settings)
    model.settings = replace(settings, wra_weight=0.0)
    assert set(model.train()("itm", batch).logged) == {"accuracy", "loss"}
    measured = model.eval()("itm", batch)
    assert {"matched_distance", "mismatched_distance", "alignment_accuracy"} <= set(measured.logged)
    model.settings = replace(settings, wra_weight=0.5)
    weighted = model("itm", batch)
    difference = measured.logged["matched_distance"][0] - measured.logged["mismatched_distance"][0]
    assert float((weighted.sum - measured.sum).detach()) == pytest.approx(0.5 * float(difference), rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_ids": torch.tensor([2, 3]), "gold_regions": None, "token_kinds": None}, "has no word"),
        ({"region_features": torch.zeros(0, 12), "region_boxes": torch.zeros(0, 7), "region_labels": None,
          "gold_regions": None}, "has no region"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", OBJECTIVES)
def test_pairs_without_words_or_regions_are_refused_by_name(
    settings: ObjectiveSettings, draw_pairs: Draw, name: str, change: dict[str, object], message: str
) -> None:
    samples = draw_pairs(3)
    samples[1] = replace(samples[1], **change)
    with pytest.raises(ValueError, match=f"'pair-1'.*{message}"):
        collate(name, samples, settings)


@pytest.mark.parametrize("name", ["mrc", "mrc-kl"])
def test_missing_labels_are_refused_by_name(settings: ObjectiveSettings, draw_pairs: Draw, name: str) -> None:
    samples = draw_pairs(3)
    samples[2] = replace(samples[2], region_labels=None)
    assert objective(name).needs_labels
    with pytest.raises(ValueError, match=r"'pair-2' has no region_labels"):
        collate(name, samples, settings)


def test_no_pairs_are_refused(settings: ObjectiveSettings) -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        collate("mlm", [], settings)


def test_loss_modules_are_shared_as_stated(model: PretrainingModel) -> None:
    names = {name for name, _ in model.heads.named_parameters()}
    assert "mlm.transform.dense.weight" in names
    assert not any("decoder" in name for name in names)  # tied to the encoder's tables
    assert isinstance(model.heads, nn.ModuleDict)
