"""Reference loss curves: twenty steps of each objective, kept as text in `loss_curves.txt` beside this file.

Where a change is meant to move the numbers, write the file anew, look at the difference, and say why in the commit:

    UNITER_WRITE_CURVES=1 python -m pytest tests/tasks/test_tasks_curves.py
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from uniter_core import Sample, UniterConfig
from uniter_tasks import OBJECTIVES, ObjectiveSettings, PretrainingModel, objective

Draw = Callable[..., list[Sample]]

REFERENCE = Path(__file__).with_name("loss_curves.txt")
STEPS, PAIRS, SEED = 20, 16, 11
COLUMNS = (*OBJECTIVES, "itm without wra", "mlm joint")


def train(column: str, config: UniterConfig, settings: ObjectiveSettings, draw_pairs: Draw) -> list[float]:
    """Losses of `STEPS` steps of AdamW on two batches in turn, from the same initial model."""
    name, _, variant = column.partition(" ")
    settings = {
        "": replace(settings, wra_weight=0.1),
        "without wra": replace(settings, wra_weight=0.0),
        "joint": replace(settings, masking="joint"),
    }[variant]
    model = PretrainingModel(config, settings, seed=SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.01)
    losses = []
    for step in range(STEPS):
        loss = model(name, objective(name).collate(draw_pairs(PAIRS, seed=step % 2), settings))
        loss.mean.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.mean.detach()))
    return losses


def read_curves() -> dict[str, list[float]]:
    """Column → losses by step."""
    header, *rows = [line.split("\t") for line in REFERENCE.read_text().splitlines() if not line.startswith("#")]
    return {name: [float(row[column]) for row in rows] for column, name in enumerate(header)}


def write_curves(curves: dict[str, list[float]]) -> None:
    rows = zip(*curves.values(), strict=True)
    lines = [
        f"# Losses of {STEPS} steps of {PAIRS} pairs; see test_tasks_curves.py.",
        "\t".join(curves),
        *("\t".join(f"{loss:.6f}" for loss in row) for row in rows),
    ]
    REFERENCE.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def curves(tiny_config: UniterConfig, settings: ObjectiveSettings, draw_pairs: Draw) -> dict[str, list[float]]:
    found = {column: train(column, tiny_config, settings, draw_pairs) for column in COLUMNS}
    if os.environ.get("UNITER_WRITE_CURVES"):
        write_curves(found)
    return found


@pytest.mark.parametrize("column", COLUMNS)
def test_losses_follow_the_reference(curves: dict[str, list[float]], column: str) -> None:
    assert curves[column] == pytest.approx(read_curves()[column], rel=1e-3)


@pytest.mark.parametrize("column", COLUMNS)
def test_losses_fall(curves: dict[str, list[float]], column: str) -> None:
    assert sum(curves[column][-4:]) < 0.97 * sum(curves[column][:4])
