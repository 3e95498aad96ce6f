"""A score as a person reads it: shares in percent with their intervals, then each breakdown as a table of its own."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["show_scores"]

PARTS = {"classes": "class", "phenomena": "phenomenon", "confusion": "label \\ predicted"}


def show_scores(report: Mapping[str, Any], console: Console, *, title: str) -> None:
    """Print what a scorer said.

    Args:
        report: of `uniter_tasks.predictions.score`.
        console: where.
        title: of the first table.
    """
    console.print(_shares(report, title))
    for name, parts in report.items():
        if isinstance(parts, Mapping) and parts:
            console.print(_breakdown(name.replace("_", " "), parts))


# ---------------------------------------------------------------------------------------------------------------------


def _shares(report: Mapping[str, Any], title: str) -> Table:
    table = Table(title=f"{title}: {report['examples']:,} examples", title_justify="left")
    table.add_column("metric")
    table.add_column("%", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, value in report.items():
        if isinstance(value, float):
            low, high = report.get(f"{name}_interval", (None, None))
            between = "" if low is None else f"{_percent(low)} to {_percent(high)}"
            table.add_row(name, _percent(value), between)
    return table


def _breakdown(name: str, parts: Mapping[str, Any]) -> Table:
    """One of: part → share; part → {accuracy, examples}; label → {predicted class → how often}."""
    first = next(iter(parts.values()))
    table = Table(title=name, title_justify="left")
    table.add_column(PARTS.get(name, name.removesuffix("s")))
    if not isinstance(first, Mapping):
        table.add_column("%", justify="right")
        for part, share in parts.items():
            table.add_row(part, _percent(share))
        return table
    for column in first:
        table.add_column("%" if column == "accuracy" else str(column), justify="right")
    for part, cells in parts.items():
        table.add_row(part, *(_percent(cell) if isinstance(cell, float) else f"{cell:,}" for cell in cells.values()))
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
