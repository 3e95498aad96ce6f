"""The run's curves as one picture: losses of training and accuracies of validation over steps."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")  # there may be no screen

from matplotlib import pyplot as plt

__all__ = ["HEADLINES", "draw_curves"]

SMOOTHING = 25  # records averaged in a training curve
HEADLINES = ("/accuracy", "_recall@1")  # endings of the metrics that tell a run's course


def draw_curves(records: Iterable[dict[str, Any]], path: Path) -> None:
    """Draw the metrics of a run (lines of its `metrics.jsonl`) to a PNG; nothing where there is no training record."""
    losses: dict[str, list[tuple[int, float]]] = defaultdict(list)
    accuracies: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for record in records:
        if record["kind"] == "train" and record["loss"] is None:
            continue  # it was not finite
        if record["kind"] == "train":
            losses[record["objective"]].append((record["step"] + 1, record["loss"]))
        else:
            for name, value in record["metrics"].items():
                if name.count("/") == 1 and name.endswith(HEADLINES):
                    accuracies[name.removesuffix("/accuracy")].append((record["step"] + 1, value))
    if not losses:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, points in sorted(losses.items()):
        steps, values = zip(*points, strict=True)
        left.plot(steps, _running_mean(values), label=name, linewidth=1.4)
    for name, points in sorted(accuracies.items()):
        steps, values = zip(*points, strict=True)
        right.plot(steps, values, label=name, marker="o", markersize=3, linewidth=1.4)
    left.set(title="training loss", xlabel="step", yscale="log")
    right.set(title="validation accuracy", xlabel="step", ylim=(0, 1))
    for axes, curves in ((left, losses), (right, accuracies)):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        if curves:
            axes.legend(frameon=False)
    beside = path.with_name(f".{path.stem}.partial.png")
    figure.savefig(beside, dpi=130)
    plt.close(figure)
    beside.replace(path)


def _running_mean(values: tuple[float, ...]) -> list[float]:
    return [sum(values[max(0, i - SMOOTHING + 1) : i + 1]) / min(i + 1, SMOOTHING) for i in range(len(values))]
