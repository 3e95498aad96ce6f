"""Choosing objectives by name, settings that make no sense, and batches on their way to the device."""

import pickle
from collections.abc import Callable

import pytest
import torch

from uniter_core import Sample, Vocabulary
from uniter_tasks import OBJECTIVES, ObjectiveSettings, TaskBatch, objective, parse_tasks
from uniter_tasks.loss import tally

Draw = Callable[..., list[Sample]]


def test_the_objectives() -> None:
    assert set(OBJECTIVES) == {"mlm", "itm", "mrc", "mrc-kl", "mrfr"}
    assert {name for name, each in OBJECTIVES.items() if each.mismatched} == {"itm"}
    assert {name for name, each in OBJECTIVES.items() if each.needs_labels} == {"mrc", "mrc-kl"}
    assert all(each.name == name for name, each in OBJECTIVES.items())


@pytest.mark.parametrize(
    ("tasks", "names"),
    [("mlm", ("mlm",)), (" itm ,wra,", ("itm", "wra")), ("wra,mrc-kl,itm", ("wra", "mrc-kl", "itm"))],
)
def test_parse_tasks(tasks: str, names: tuple[str, ...]) -> None:
    assert parse_tasks(tasks) == names


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("wra", "wra rides on the batches of itm"),
        ("mlm,wra", "wra rides on the batches of itm"),
        ("mlm,mrckl", r"mlm, itm, mrc, mrc-kl, mrfr; did you mean mrc-kl\?"),
        ("mlm,itm,mlm", "mlm stands twice"),
        (" , ", "got none"),
    ],
)
def test_parse_tasks_refuses(tasks: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_tasks(tasks)


def test_an_unknown_objective_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="expected one of mlm, itm, mrc, mrc-kl, mrfr"):
        objective("vqa")
    with pytest.raises(ValueError, match="rides on itm"):
        objective("wra")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"word_probability": 1.5}, "word_probability: expected"),
        ({"region_probability": -0.1}, "region_probability: expected"),
        ({"mismatch_probability": float("nan")}, "mismatch_probability: expected"),
        ({"masking": "both"}, "masking: expected one of conditional, joint"),
        ({"wra_weight": -1.0}, "wra_weight: expected"),
        ({"wra_weight": float("inf")}, "wra_weight: expected"),
    ],
)
def test_settings_refuse(vocabulary: Vocabulary, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObjectiveSettings(vocabulary=vocabulary, **change)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_batches_move_and_travel(draw_pairs: Draw, settings: ObjectiveSettings, name: str) -> None:
    batch = OBJECTIVES[name].collate(draw_pairs(3), settings)
    for other in (batch.to("cpu", non_blocking=True), pickle.loads(pickle.dumps(batch))):  # noqa: S301
        assert other.ids == batch.ids == ("pair-0", "pair-1", "pair-2")
        assert other.count == batch.count
        assert torch.equal(other.packed.token_ids, batch.packed.token_ids)
        for target, value in batch.targets.items():
            assert torch.equal(other.targets[target], value)
    meta = batch.to("meta")
    assert all(target.is_meta for target in meta.targets.values())


def test_a_batch_checks_itself(draw_pairs: Draw, settings: ObjectiveSettings) -> None:
    batch = OBJECTIVES["mlm"].collate(draw_pairs(2), settings)
    with pytest.raises(ValueError, match="ids: expected one for each of 2 pairs"):
        TaskBatch(packed=batch.packed, targets={}, ids=("one",), count=1)
    with pytest.raises(ValueError, match="count: expected at least one target"):
        TaskBatch(packed=batch.packed, targets={}, ids=batch.ids, count=0)


def test_tally_is_detached_float32() -> None:
    values = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    found = tally(values)
    assert found.tolist() == [3.0, 2.0]
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert tally(torch.zeros(0)).tolist() == [0.0, 0.0]
