"""Which order a pre-training run takes: the local one where the regions are remote, unless told otherwise."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from uniter_cli.pair_batches import TrainingPlan
from uniter_cli.recipe import BatchRecipe
from uniter_data import PairDataset, Stage, TaskMixture
from uniter_tasks import ObjectiveSettings


def order(data: PairDataset, shuffle_block: int) -> list[int]:
    plan = TrainingPlan(
        {"scenes": data},
        TaskMixture([Stage(until=1.0, weights={"scenes": {"itm": 1.0}})], seed=1, steps=3),
        ObjectiveSettings(vocabulary=data.vocabulary),
        units=400,
        seed=1,
        shuffle_block=shuffle_block,
    )
    return [number for job in plan for array in (job.indices, job.image_rows) for number in array.tolist()]


@pytest.fixture
def remote(tiny_scenes: Path) -> Iterator[str]:
    filesystem = fsspec.filesystem("memory")
    filesystem.put(f"{tiny_scenes}/", "/shuffle-block/", recursive=True)
    yield "memory://shuffle-block/captions"
    filesystem.rm("/shuffle-block", recursive=True)


def test_remote_regions_are_shuffled_by_blocks_and_local_ones_as_a_whole(tiny_scenes: Path, remote: str) -> None:
    here, there = PairDataset.open(tiny_scenes / "captions", "train"), PairDataset.open(remote, "train")
    default = BatchRecipe().shuffle_block
    assert order(here, default) == order(here, 0) == order(there, 0)
    assert order(there, default) == order(here, 256) != order(here, 0)
