"""Learning is real: after a short run every objective beats its untrained self and the most frequent answer."""

import json
from pathlib import Path

import pytest

from uniter_cli.recipe import load_recipe

# How far each metric must be above both, and what three seeds reached: see docs/quickstart.md.
MARGINS: dict[str, float] = {}


def test_every_objective_learns_in_2000_steps(uniter, tmp_path):
    run = tmp_path / "run"
    uniter("pretrain", "--tasks", "mlm,itm,mrc,mrc-kl,mrfr,wra", "--steps", "2000", "--out", run)
    results = json.loads((run / "results.json").read_text())
    before, after, constant = results["before"], results["after"], results["baselines"]
    for metric, margin in MARGINS.items():
        assert after[metric] >= max(before[metric], constant[metric]) + margin, metric
    error = "mrfr/loss"
    assert after[error] <= min(before[error], constant[error]) - 0.01
    # word-region alignment: matched pairs end up nearer than mismatched ones, which they are not at first
    gap_before, gap_after = (each["itm/mismatched_distance"] - each["itm/matched_distance"] for each in (before, after))
    assert gap_after > max(gap_before, 0) + 0.02


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quickstart_meets_its_bars(seed, uniter, tmp_path):
    run = tmp_path / "run"
    uniter("pretrain", "--tasks", "mlm,itm,mrc-kl,mrfr,wra", "--seed", seed, "--out", run)
    _print_bars(run)
    test = json.loads((run / "results.json").read_text())["test"]
    for metric, bar in load_recipe("quickstart").bars.items():
        assert test[metric] >= bar, metric


def _print_bars(run: Path) -> None:
    test = json.loads((run / "results.json").read_text())["test"]
    print({metric: round(test[metric], 3) for metric in load_recipe("quickstart").bars})
