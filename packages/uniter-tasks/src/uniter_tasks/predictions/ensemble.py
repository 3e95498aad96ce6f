"""Several runs as one: the mean of their probabilities (paper, Table 9)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from uniter_tasks.predictions.ids import match_ids
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["ensemble"]


def ensemble(runs: Iterable[Predictions], *, names: Sequence[str] = ()) -> Predictions:
    """The mean probabilities of runs over the same examples, in the order of the first run.

    Runs may be read one at a time: only their sum is kept. Settings may differ; the ensemble names them all.

    Args:
        runs: at least one.
        names: what messages call them; default "run 1", "run 2", …

    Raises:
        ValueError: there is no run, or one differs from the first in task, ids, answers or regions.

    >>> one, two = (Predictions.gather("nlvr2", ["dev-1-0-0"], [p]) for p in ([0.75, 0.25], [0.0, 1.0]))
    >>> ensemble([one, two]).probabilities[0].tolist()
    [0.375, 0.625]
    """
    first: Predictions | None = None
    total = np.zeros(0)
    settings: list[str] = []
    for number, given in enumerate(runs, start=1):
        name = names[number - 1] if names else f"run {number}"
        run = given if first is None else _matched(first, given, name)
        first = first or run
        total = run.flat.astype(np.float64) if number == 1 else total + run.flat
        settings += [run.setting] if run.setting not in settings else []
    if first is None:
        raise ValueError("runs: expected at least one, got none")
    return replace(first, flat=(total / number).astype(np.float32), setting="+".join(filter(None, settings)))


# ---------------------------------------------------------------------------------------------------------------------


def _matched(first: Predictions, run: Predictions, name: str) -> Predictions:
    """The run in the order of the first one."""
    if run.task != first.task:
        raise ValueError(f"{name}: expected predictions of {first.task}, as the first run, got {run.task}")
    match_ids(run.ids, first.ids, name)
    if run.answers != first.answers:
        pairs = zip(first.answers, run.answers, strict=False)
        row = next((row for row, (a, b) in enumerate(pairs) if a != b), min(len(first.answers), len(run.answers)))
        raise ValueError(f"{name}: its answers differ from those of the first run, from number {row} on")
    run = run.ordered(first.ids)
    same_boxes = (run.boxes is None) == (first.boxes is None)
    if not np.array_equal(run.lengths, first.lengths) or not same_boxes:
        raise ValueError(f"{name}: its examples have other numbers of probabilities than those of the first run")
    if run.boxes is not None and first.boxes is not None and not np.allclose(run.boxes, first.boxes, atol=1e-3):
        raise ValueError(f"{name}: its regions are not those of the first run")
    return run
