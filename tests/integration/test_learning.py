"""Learning is real: after a short run every objective beats its untrained self and the most frequent answer."""

import json
from pathlib import Path

import pytest

from uniter_cli.recipe_files import load_recipe

# How far accuracy must rise above both: about two thirds of the least rise of seeds 1, 2 and 3 (itm .33, mlm .57,
# mrc and mrc-kl .28; the error of mrfr fell by .08, the gap between distances grew by 1.1).
MARGINS = {"itm/accuracy": 0.2, "mlm/accuracy": 0.38, "mrc/accuracy": 0.18, "mrc-kl/accuracy": 0.18}
# The short sentences of snaps, where matching begins to learn within the budget; alignment weighs enough to be seen.
ARGUMENTS = [
    "--tasks", "mlm,itm,mrc,mrc-kl,mrfr,wra",
    "--data", "scenes:snaps",
    "--set", "tasks.itm=6",
    "--set", "masking.wra_weight=1",
    "--steps", "2000",
]  # fmt: skip


def test_every_objective_learns_in_2000_steps(uniter, tmp_path):
    run = tmp_path / "run"
    uniter("pretrain", *ARGUMENTS, "--out", run)
    results = json.loads((run / "results.json").read_text())
    before, after, constant = results["before"], results["after"], results["baselines"]
    for metric, margin in MARGINS.items():
        assert after[metric] >= max(before[metric], constant[metric]) + margin, metric
    assert after["mrfr/loss"] <= min(before["mrfr/loss"], constant["mrfr/loss"]) - 0.05
    # word-region alignment: matched pairs end up nearer than mismatched ones, which they are not at first
    gap_before, gap_after = (each["itm/mismatched_distance"] - each["itm/matched_distance"] for each in (before, after))
    assert gap_after > gap_before + 0.5


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
