"""The end of a run: what changed between before and after, what the test split says, and how fast it went."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console, Group
from rich.table import Table

from uniter_cli.recipe import Recipe

__all__ = ["RunResult", "markdown", "show"]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a finished run measured.

    Attributes:
        before, after: validation metrics without and with training.
        baselines: what always giving the most frequent answer would reach, by the same names.
        test: metrics of the test split; empty where there is none.
        seconds: of training, without generation, validation and test.
        spent: share of these by part of a step: waiting for data, forward, backward, …
        mfu: share of the device's peak that the encoder's arithmetic came to; None where the peak is not known.
        skipped: steps that changed nothing because their loss was not finite.
        units: real units trained on, over all processes.
        utilisation: share of a padded batch that would have been real units.
        parameters: of the model.
        peak_memory: bytes of the process (CPU) or device (CUDA) at most.
    """

    before: dict[str, float]
    after: dict[str, float]
    baselines: dict[str, float]
    test: dict[str, float]
    seconds: float
    spent: dict[str, float]
    mfu: float | None
    skipped: int
    units: int
    utilisation: float
    parameters: int
    peak_memory: int

    def missed(self, recipe: Recipe) -> list[str]:
        """Bars of the recipe that the test split does not meet."""
        return [name for name, bar in recipe.bars.items() if self.test.get(name, float("-inf")) < bar]


def show(result: RunResult, recipe: Recipe, console: Console) -> None:
    """Print the run's tables: what holds over all data sets, and each line that the recipe has a bar for."""
    console.print(Group(*_tables(result, recipe, details=False), _line(result, recipe)))


def markdown(result: RunResult, recipe: Recipe) -> str:
    """The same as a Markdown page, with every data set's own figures."""
    pages = [f"# {recipe.name}", "", recipe.description, "", _line(result, recipe), ""]
    for table in _tables(result, recipe, details=True):
        cells = [[str(cell) for cell in column.cells] for column in table.columns]
        heads = [str(column.header) for column in table.columns]
        pages += [f"## {table.title}", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        pages += ["| " + " | ".join(row) + " |" for row in zip(*cells, strict=True)]
        pages.append("")
    return "\n".join(pages)


# ---------------------------------------------------------------------------------------------------------------------


def _tables(result: RunResult, recipe: Recipe, *, details: bool) -> list[Table]:
    tables = [_validation_table(result, details=details)]
    if result.test:
        tables.append(_test_table(result.test, recipe.bars, details=details))
    return tables


def _validation_table(result: RunResult, *, details: bool) -> Table:
    table = Table(title="Validation, before and after", title_justify="left")
    table.add_column("metric")
    for column in ("before", "after", "most frequent answer"):
        table.add_column(column, justify="right")
    for name in _ordered(result.after, details=details):
        values = (result.before.get(name), result.after[name], result.baselines.get(name))
        table.add_row(name, *map(_number, values))
    return table


def _test_table(test: Mapping[str, float], bars: Mapping[str, float], *, details: bool) -> Table:
    table = Table(title="Test split, looked at once", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    if bars:
        table.add_column("bar", justify="right")
        table.add_column("met")
    for name in [*bars, *(name for name in _ordered(test, details=details) if name not in bars)]:
        cells = [name, _number(test.get(name))]
        if bars:
            bar = bars.get(name)
            reached = bar is not None and test.get(name, float("-inf")) >= bar
            cells += ["", ""] if bar is None else [f"≥ {bar:g}", "yes" if reached else "NO"]
        table.add_row(*cells)
    return table


def _ordered(metrics: Mapping[str, float], *, details: bool) -> list[str]:
    """Names over all data sets (`mlm/accuracy`); with `details` also those of each set (`captions/mlm/accuracy`)."""
    return sorted((n for n in metrics if details or n.count("/") == 1), key=lambda n: (n.count("/") > 1, n))


def _line(result: RunResult, recipe: Recipe) -> str:
    rate = result.units / result.seconds if result.seconds else 0.0
    parts = ", ".join(f"{part} {share:.0%}" for part, share in result.spent.items() if round(share, 2))
    used = f"; {result.mfu:.0%} of the device's peak" if result.mfu else ""
    skipped = f" ({result.skipped} steps skipped, not finite)" if result.skipped else ""
    return (
        f"{recipe.steps:,} steps{skipped} in {_duration(result.seconds)}: "
        f"{result.units:,} real units at {rate:,.0f} a second "
        f"(a padded batch would have been {result.utilisation:.0%} full); "
        f"{result.parameters / 1e6:.2f} M parameters; peak memory {result.peak_memory / 2**20:,.0f} MiB. "
        f"A step: {parts}{used}."
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
