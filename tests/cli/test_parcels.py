"""Parcels bring what was sent, and no block is written again while anything of it is in use."""

import gc
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset

from uniter_cli.loader import Job, batch_loader
from uniter_cli.parcels import Outbox


def send(outbox: Outbox, content: Any) -> Any:
    """Through what a queue does to it."""
    return pickle.loads(ForkingPickler.dumps(outbox.pack(content)))  # noqa: S301


def some(number: int) -> dict[str, Any]:
    return {
        "half": torch.full((7, 3), number, dtype=torch.float16),
        "flags": torch.tensor([True, False, True]),
        "strided": torch.arange(12).reshape(3, 4).T + number,
        "scalar": torch.tensor(number),
        "nothing": torch.empty(0, 5),
        "numpy": np.arange(number),
        "id": f"text {number}",
    }


def expect(found: dict[str, Any], number: int) -> None:
    for name, value in some(number).items():
        if isinstance(value, torch.Tensor):
            assert found[name].dtype == value.dtype
            assert torch.equal(found[name], value), (name, number)
        else:
            np.testing.assert_array_equal(found[name], value)


def test_what_is_sent_arrives():
    outbox = Outbox(most=2)
    for number in range(6):
        expect(send(outbox, some(number)), number)
    assert len(outbox._blocks) == 1  # each was let go of before the next was sent


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=25))
def test_what_is_held_is_never_overwritten(steps):
    outbox = Outbox(most=3)
    held: list[tuple[dict[str, Any], int]] = []
    for number, (keep, which) in enumerate(steps):
        content = send(outbox, some(number))
        if keep:
            held.append((content, number))
        elif held:
            held.pop(which % len(held))
        del content
        for found, sent in held:
            expect(found, sent)
    assert len(outbox._blocks) <= 3


def test_a_view_of_one_tensor_holds_the_whole_block():
    outbox = Outbox(most=1)
    content = send(outbox, some(1))
    view = content["half"][2:4].float().new_tensor(0), content["half"][2:4]
    del content
    gc.collect()
    expect(send(outbox, some(2)), 2)  # no block is free: sent as torch sends it
    assert (view[1] == 1).all()
    del view
    block = outbox._blocks[0]
    expect(send(outbox, some(3)), 3)
    assert outbox._blocks[0] is block


def test_a_larger_batch_gets_a_larger_block():
    outbox = Outbox(most=1)
    for size in (10, 1_000, 100_000, 50):
        found = send(outbox, [torch.arange(size)])
        assert torch.equal(found[0], torch.arange(size))
        del found
        assert len(outbox._blocks) == 1


class Squares(Dataset[Any]):
    """Not batches, but the loader does not look into them."""

    def __getitem__(self, job: Job) -> tuple[Job, torch.Tensor]:
        return job, torch.full((1000,), job.step**2)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_delivers_in_order_whatever_is_held(workers):
    nothing = np.empty(0, np.int64)
    jobs = [
        Job(
            step=step, dataset="", objective="", indices=nothing, image_rows=nothing, matched=nothing.astype(bool),
            keys=nothing, position={},
        )
        for step in range(30)
    ]  # fmt: skip
    everything = list(batch_loader(Squares(), jobs, workers=workers))
    assert [job.step for job, _ in everything] == list(range(30))
    for job, values in everything:
        assert (values == job.step**2).all()
