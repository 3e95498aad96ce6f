"""Fine-tuning on retrieval, hard negatives included, is the same for any number of loader workers and processes."""

import json

import numpy as np
import pytest

from uniter_cli.group_batches import GroupBatches, GroupPlan, group_negatives
from uniter_cli.recipe import NegativesRecipe
from uniter_data import PairDataset
from uniter_tasks.downstream import HARD, TaskSettings

ARGUMENTS = [
    "finetune", "retrieval", "--steps", 8, "--units", 1200, "--set", "negatives.every=2", "--set", "negatives.pool=6",
    "--set", "negatives.keep=2", "--set", "validation.pairs=60",
]  # fmt: skip


def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def single(tiny_scenes, uniter, tmp_path_factory):
    run = tmp_path_factory.mktemp("single") / "run"
    uniter(*ARGUMENTS, "--data", tiny_scenes / "captions", "--out", run)
    return run


def test_two_workers_are_none_bit_for_bit(single, tiny_scenes, uniter, tmp_path):
    uniter(*ARGUMENTS, "--data", tiny_scenes / "captions", "--set", "batch.workers=2", "--out", tmp_path / "run")
    keep = ("step", "kind", "objective", "loss", "grad_norm", "metrics")
    one, two = ([{key: r.get(key) for key in keep} for r in records(run)] for run in (single, tmp_path / "run"))
    assert one == two


def test_two_processes_are_one(single, tiny_scenes, uniter, tmp_path):
    uniter(*ARGUMENTS, "--data", tiny_scenes / "captions", "--out", tmp_path / "run", processes=2)
    alone, together = records(single), records(tmp_path / "run")
    assert {r["objective"] for r in alone if r["kind"] == "train"} == {"retrieval", HARD}
    assert [(r["step"], r["kind"]) for r in alone] == [(r["step"], r["kind"]) for r in together]
    for a, b in zip(alone, together, strict=True):
        if a["kind"] == "train":
            assert a["objective"] == b["objective"]
            assert b["loss"] == pytest.approx(a["loss"], abs=1e-5)
            assert b["grad_norm"] == pytest.approx(a["grad_norm"], abs=1e-4, rel=1e-3)
        else:
            assert b["metrics"] == pytest.approx(a["metrics"], abs=0.05)


@pytest.mark.parametrize("every", [0, 1, 3])
def test_batches_show_no_text_with_its_own_image_twice(tiny_scenes, every):
    """What the model gets, against the data set: the positive first, then other images, then other texts."""
    dataset = PairDataset.open(tiny_scenes / "captions", "train")
    recipe = NegativesRecipe(images=2, texts=1, every=every, pool=4, keep=2)
    negatives = group_negatives(dataset, recipe)
    plan = GroupPlan(dataset, negatives, steps=6, units=900, seed=3, hard_every=every)
    batches = GroupBatches(dataset, negatives, TaskSettings(vocabulary=dataset.vocabulary), keep=2)
    jobs = list(plan)
    assert [job.objective for job in jobs] == [
        HARD if every and (step + 1) % every == 0 else "retrieval" for step in range(6)
    ]
    texts = {text.numpy().tobytes() for text in dataset.token_ids(np.arange(len(dataset)))}
    for job in jobs:
        _, batch = batches[job]
        images, others = (4, 4) if job.objective == HARD else (2, 1)
        kept = 2 * min(2, images) if job.objective == HARD else images + others
        assert batch.pairs == (1 + images + others,) * len(job.indices)
        assert batch.count == kept * len(job.indices)
        assert batch.ids == tuple(dataset.text_ids[job.indices])
        words = [each.numpy() for each in batch.packed.token_ids.split(batch.packed.text_lengths.tolist())]
        regions = [each.numpy() for each in batch.packed.region_features.split(batch.packed.region_lengths.tolist())]
        assert all(each.tobytes() in texts for each in words)
        for number, index in enumerate(job.indices.tolist()):
            first = number * (1 + images + others)
            own = dataset.sample(index)
            assert np.array_equal(words[first], own.token_ids)
            assert np.array_equal(regions[first], own.region_features)
            for place in range(first + 1, first + 1 + images):
                assert np.array_equal(words[place], own.token_ids)
                assert not np.array_equal(regions[place], own.region_features)
            for place in range(first + 1 + images, first + 1 + images + others):
                assert np.array_equal(regions[place], own.region_features)
        if job.objective != HARD:
            assert batch.packed.num_units <= 900


def test_a_plan_goes_on_where_it_was_left(tiny_scenes):
    dataset = PairDataset.open(tiny_scenes / "captions", "train")
    negatives = group_negatives(dataset, NegativesRecipe(every=3, pool=4, keep=2))

    def plan() -> GroupPlan:
        return GroupPlan(dataset, negatives, steps=12, units=900, seed=3, hard_every=3)

    whole = list(plan())
    resumed = plan()
    resumed.seek(7, {job.stream: job.position for job in whole[:7]})
    rest = list(resumed)
    assert len(resumed) == len(rest) == 5
    for a, b in zip(whole[7:], rest, strict=True):
        assert (a.step, a.objective, a.position) == (b.step, b.objective, b.position)
        assert np.array_equal(a.indices, b.indices)
        assert np.array_equal(a.keys, b.keys)
