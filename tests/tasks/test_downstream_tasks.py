"""What holds for every downstream task: no example sees another, sums add up, labels may be absent, errors name names.

E examples, S samples.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from uniter_core import Example, UniterConfig, Vocabulary
from uniter_tasks import TaskBatch
from uniter_tasks.downstream import TASKS, DownstreamModel, TaskSettings, task

Draw = Callable[..., list[Example]]
Make = Callable[..., DownstreamModel]

VARIANTS = [
    (name, {"setting": setting, "loss": loss})
    for name, each in TASKS.items()
    for setting in each.settings
    for loss in each.losses
] + [("refexp", {"head_layers": 2})]
every_variant = pytest.mark.parametrize(
    ("name", "told"), VARIANTS, ids=["-".join(filter(None, map(str, (n, *t.values())))) for n, t in VARIANTS]
)


def scores_of(model: DownstreamModel, examples: list[Example]) -> list[Tensor]:
    return model.scores(model.task.collate(examples, model.settings, training=False))


@every_variant
def test_no_example_sees_another(draw_examples: Draw, make_model: Make, name: str, told: dict[str, str]) -> None:
    """A batch gives what its examples give alone, in any order: there is no padding to leak."""
    model, examples = make_model(name, **told), draw_examples(name, 5)
    together = scores_of(model, examples)
    order = [3, 0, 4, 2, 1]
    shuffled = scores_of(model, [examples[place] for place in order])
    for place, example in enumerate(examples):
        (alone,) = scores_of(model, [example])
        torch.testing.assert_close(together[place], alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(shuffled[order.index(place)], alone, rtol=1e-4, atol=1e-5)


@every_variant
def test_sums_and_counts_add_up_over_batches(
    draw_examples: Draw, make_model: Make, name: str, told: dict[str, str]
) -> None:
    model, examples = make_model(name, **told), draw_examples(name, 7)

    def loss(part: list[Example]) -> tuple[Tensor, int, dict[str, Tensor]]:
        found = model(name, model.task.collate(part, model.settings))
        return found.sum.detach(), found.count, found.logged

    whole = loss(examples)
    parts = [loss(part) for part in (examples[:2], examples[2:3], examples[3:])]
    torch.testing.assert_close(sum(part[0] for part in parts), whole[0], rtol=1e-4, atol=1e-5)
    if told.get("loss") == "sum":
        assert [part[1] for part in (whole, *parts)] == [1, 1, 1, 1]
    else:
        assert sum(part[1] for part in parts) == whole[1]
        assert float(whole[2]["loss"][1]) == whole[1]
    for metric, value in whole[2].items():
        torch.testing.assert_close(sum(part[2][metric] for part in parts), value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole[2]["loss"][0], whole[0])


@every_variant
def test_scores_are_probabilities(draw_examples: Draw, make_model: Make, name: str, told: dict[str, str]) -> None:
    model, examples = make_model(name, **told), draw_examples(name, 4)
    model.train()
    for example, scores in zip(examples, scores_of(model, examples), strict=True):
        assert scores.dtype == torch.float32
        assert not scores.requires_grad
        assert ((scores >= 0) & (scores <= 1)).all()
        blocks = scores.unflatten(0, (-1, 4)) if name == "vcr" else scores[None]
        if name not in ("vqa", "retrieval"):  # there, each has a probability of its own
            torch.testing.assert_close(blocks.sum(1), torch.ones(len(blocks)))
        expected = {
            "vqa": len(model.settings.answers),
            "snli-ve": 3,
            "nlvr2": 2,
            "vcr": 20,
            "refexp": example.images[0].num_regions,
            "retrieval": len(example.texts) + len(example.images) - 1,
        }
        assert len(scores) == expected[name]
        model.task.decode(scores, model.settings)
    assert model.training


@every_variant
def test_what_is_trained_is_reached(draw_examples: Draw, make_model: Make, name: str, told: dict[str, str]) -> None:
    model = make_model(name, **told).train()
    loss = model(name, model.task.collate(draw_examples(name, 6), model.settings))
    loss.sum.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    pooled = name != "refexp" and told.get("setting") != "pair-biattn"
    assert without == ["encoder.region_embedding.mask.weight"] + ([] if pooled else [
        "encoder.pooler.weight", "encoder.pooler.bias"
    ])  # fmt: skip
    assert {n.split(".")[0] for n, _ in model.named_parameters()} == {"encoder", "heads"}


@every_variant
def test_autocast_gives_finite_float32(draw_examples: Draw, make_model: Make, name: str, told: dict[str, str]) -> None:
    model, examples = make_model(name, **told), draw_examples(name, 4)
    batch = model.task.collate(examples, model.settings)
    exact = float(model(name, batch).sum.detach())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.train()(name, batch)
        scores = scores_of(model, examples)
    loss.sum.backward()
    assert loss.sum.dtype == torch.float32
    assert float(loss.sum.detach()) == pytest.approx(exact, rel=0.2, abs=0.2)
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in loss.logged.values())
    assert all(each.dtype == torch.float32 and torch.isfinite(each).all() for each in scores)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@every_variant
@pytest.mark.parametrize("training", [True, False])
def test_units_are_known_from_lengths(
    draw_examples: Draw, make_model: Make, name: str, told: dict[str, str], training: bool
) -> None:
    """Exactly, or as an upper bound where the true answer decides (training of VCR)."""
    model = make_model(name, **told)
    for example in draw_examples(name, 6):
        texts = torch.tensor([[len(text) for text in example.texts]])
        regions = torch.tensor([[image.num_regions for image in example.images]])
        (said,) = model.task.units(texts, regions, model.settings, training).tolist()
        units = model.task.collate([example], model.settings, training=training).packed.num_units
        assert said >= units if name == "vcr" and training else said == units


@pytest.mark.parametrize("name", [name for name in TASKS if name != "retrieval"])
def test_labels_may_be_absent_but_not_in_training(draw_examples: Draw, make_model: Make, name: str) -> None:
    model = make_model(name)
    examples = draw_examples(name, 3)
    unlabelled = [*examples[:2], replace(examples[2], annotation={})]
    batch = model.task.collate(unlabelled, model.settings, training=False)
    assert batch.targets == {}
    for with_, without in zip(scores_of(model, examples), model.scores(batch), strict=True):
        assert torch.equal(with_, without)
    with pytest.raises(ValueError, match=rf"'{name}-0'\) have no labels"):
        model(name, batch)
    with pytest.raises(ValueError, match=rf"'{name}-2' has no '\w+' in its annotation"):
        model.task.collate(unlabelled, model.settings)


@pytest.mark.parametrize("name", TASKS)
def test_a_loss_is_measured_on_what_predictions_need(draw_examples: Draw, make_model: Make, name: str) -> None:
    """Labelled examples laid out for prediction give the loss of those laid out for training."""
    model, examples = make_model(name), draw_examples(name, 4)
    trained, predicted = (
        model(name, model.task.collate(examples, model.settings, training=training)) for training in (True, False)
    )
    assert trained.count == predicted.count
    for metric, value in trained.logged.items():
        torch.testing.assert_close(predicted.logged[metric], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_batches_travel(draw_examples: Draw, make_model: Make, name: str) -> None:
    model = make_model(name)
    batch = model.task.collate(draw_examples(name, 3), model.settings)
    moved = batch.to("cpu")
    assert (moved.ids, moved.pairs, moved.count) == (batch.ids, batch.pairs, batch.count)
    assert sum(batch.pairs) == batch.packed.num_samples
    with pytest.raises(ValueError, match="ids: expected one for each"):
        TaskBatch(packed=batch.packed, targets={}, ids=batch.ids, count=1, pairs=(*batch.pairs[:-1], 99))


@pytest.mark.parametrize("name", [name for name in TASKS if name != "retrieval"])
def test_examples_of_another_shape_are_refused(draw_examples: Draw, make_model: Make, name: str) -> None:
    model = make_model(name)
    (example,) = draw_examples(name, 1)
    for change in ({"texts": (*example.texts, example.texts[0])}, {"images": ()}):
        with pytest.raises(ValueError, match=rf"example '{name}-0': expected \d (text|image)s?, got \d"):
            model.task.collate([replace(example, **change)], model.settings)
    with pytest.raises(ValueError, match="expected at least one, got none"):
        model.task.collate([], model.settings)


@pytest.mark.parametrize(
    ("name", "annotation", "message"),
    [
        ("vqa", {"answers": "yes"}, "'answers' is 'yes', not what the task expects"),
        ("snli-ve", {"label": "-"}, "label '-' is none of contradiction, entailment, neutral"),
        ("nlvr2", {"label": "True"}, "'label' is 'True'"),
        ("vcr", {"answer_label": 4, "rationale_label": 0}, "'answer_label' must be 0 to 3, got 4"),
        ("vcr", {"answer_label": True, "rationale_label": 0}, "'answer_label' is True"),
        ("refexp", {"target": 99}, "its target is region 99 of"),
        ("refexp", {"target": -1}, "its target is region -1 of"),
    ],
)
def test_labels_outside_are_refused(
    draw_examples: Draw, make_model: Make, name: str, annotation: dict[str, object], message: str
) -> None:
    model = make_model(name)
    examples = [draw_examples(name, 1)[0], replace(draw_examples(name, 2)[1], annotation=annotation)]
    with pytest.raises(ValueError, match=rf"'{name}-1': {message}"):
        model.task.collate(examples, model.settings)


def test_names_are_checked(vocabulary: Vocabulary, tiny_config: UniterConfig, make_model: Make) -> None:
    with pytest.raises(ValueError, match=r"expected one of vqa, vcr, .* did you mean refexp"):
        task("refexps")
    for name, told, message in (
        ("nlvr2", {"setting": "paired"}, "setting of nlvr2: expected one of pair-biattn, pair, triplet, got 'paired'"),
        ("vqa", {"setting": "x", "answers": ("a",)}, "setting of vqa: there is but one, got 'x'"),
        ("snli-ve", {"loss": "sum"}, "loss of snli-ve: expected one of sigmoid, softmax, got 'sum'"),
        ("vqa", {}, "vqa needs the answers"),
    ):
        with pytest.raises(ValueError, match=message):
            DownstreamModel(tiny_config, name, TaskSettings(vocabulary=vocabulary, **told))
    with pytest.raises(ValueError, match="this model is for vqa, not for vcr"):
        make_model("vqa")("vcr", None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"answers": ("a", "b", "a")}, "answers: 'a' stands twice"),
        ({"margin": 1.5}, "margin: expected a number between 0 and 1"),
        ({"head_layers": 3}, "head_layers: expected 1 or 2"),
    ],
)
def test_settings_are_checked(vocabulary: Vocabulary, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskSettings(vocabulary=vocabulary, **values)
