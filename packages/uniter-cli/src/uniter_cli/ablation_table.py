"""The tables of an ablation: a line a metric, a column an origin, mean and standard deviation over the seeds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.table import Table

from uniter_cli.ablation import ORIGINS, Subject
from uniter_cli.run_directory import write_text

__all__ = ["Outcome", "tables", "write_tables"]

# UNITER-base, accuracy on dev and on test-P: paper, Table 5.
PUBLISHED_NLVR2 = {"triplet": ("0.7303", "0.7389"), "pair": ("0.7585", "0.7580"), "pair-biattn": ("0.7718", "0.7785")}
PRIORS = ("constant", "by_type")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is known of a subject.

    Attributes:
        subject: what was learned.
        priors: `constant` and `by_type`: what answers reach on the test split that do not look, by metric.
        results: for each origin, by seed, what the run measured (`results.json`).
    """

    subject: Subject
    priors: dict[str, dict[str, float]]
    results: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: {name: {} for name in ORIGINS})

    def prior(self, name: str, metric: str) -> list[float]:
        """One value, or none where there is none."""
        return [self.priors[name][metric]] if metric in self.priors[name] else []

    def values(self, origin: str, metric: str) -> list[float]:
        """Of each seed, on the test split."""
        name = f"{self.subject.task}/{metric}"
        return [results["test"][name] for _, results in sorted(self.results[origin].items())]

    def seconds(self, origin: str) -> float:
        """Of training, mean over the seeds."""
        return mean(float(results["seconds"]) for results in self.results[origin].values())


def tables(outcomes: Sequence[Outcome]) -> list[Table]:
    """Every subject's test figures; and those of NLVR2's settings beside the published ones."""
    found = [_transfer(outcomes)]
    settings = [outcome for outcome in outcomes if outcome.subject.task == "nlvr2"]
    return [*found, _settings(settings)] if settings else found


def write_tables(outcomes: Sequence[Outcome], out: Path, *, init: str) -> None:
    """`out/table.md` for people and `out/table.json`, with every single run's figures, for programs."""
    write_text(out / "table.md", "\n".join(_markdown(table) for table in tables(outcomes)))
    write_text(
        out / "table.json", json.dumps({"init": init, "subjects": [_plain(each) for each in outcomes]}, indent=2)
    )


# ---------------------------------------------------------------------------------------------------------------------


def _transfer(outcomes: Sequence[Outcome]) -> Table:
    table = _table("Test split, mean ± standard deviation", "task", "metric", *PRIORS, *ORIGINS, "seeds", "seconds")
    for outcome in outcomes:
        for metric in outcome.subject.metrics:
            table.add_row(
                outcome.subject.name,
                metric,
                *(_spread(outcome.prior(name, metric)) for name in PRIORS),
                *(_spread(outcome.values(origin, metric)) for origin in ORIGINS),
                ", ".join(str(len(outcome.results[origin])) for origin in ORIGINS),
                ", ".join(f"{outcome.seconds(origin):.0f}" for origin in ORIGINS if outcome.results[origin]),
            )
    return table


def _settings(outcomes: Sequence[Outcome]) -> Table:
    table = _table("NLVR2's settings, pre-trained", "setting", "scenes, test", "NLVR2 dev (paper)", "test-P (paper)")
    for outcome in outcomes:
        setting = outcome.subject.changes["task.setting"]
        table.add_row(setting, _spread(outcome.values("pretrained", "accuracy")), *PUBLISHED_NLVR2[setting])
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name in ("task", "metric", "setting") else "right")
    return table


def _spread(values: Sequence[float]) -> str:
    """
    >>> _spread([0.5, 0.7]), _spread([0.5]), _spread([])
    ('0.600 ± 0.141', '0.500', '')
    """
    if not values:
        return ""
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def _markdown(table: Table) -> str:
    rows = zip(*(column.cells for column in table.columns), strict=True)
    heads = [str(column.header) for column in table.columns]
    lines = [heads, ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "\n".join([f"{table.title}", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _plain(outcome: Outcome) -> dict[str, Any]:
    """One subject for programs."""
    return {
        "name": outcome.subject.name,
        "task": outcome.subject.task,
        "changes": dict(outcome.subject.changes),
        "priors": outcome.priors,
        **{
            origin: {
                "seeds": sorted(outcome.results[origin]),
                "test": {metric: outcome.values(origin, metric) for metric in outcome.subject.metrics},
                "seconds": [results["seconds"] for _, results in sorted(outcome.results[origin].items())],
            }
            for origin in ORIGINS
        },
    }
