"""The end of a run: what changed between before and after, what the test split says, and how fast it went."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console, Group
from rich.table import Table

from uniter_cli.recipe import Recipe

__all__ = ["RunResult", "markdown", "show"]

# What a metric is called in front of a person, and which way is better.
DIRECTIONS = {"loss": "lower", "matched_distance": "lower", "accuracy": "higher", "recall": "higher"}


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a finished run measured.

    Attributes:
        before, after: validation metrics without and with training.
        baselines: what always giving the most frequent answer would reach, by the same names.
        test: metrics of the test split; empty where there is none.
        seconds: of training, without generation, validation and test.
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
    units: int
    utilisation: float
    parameters: int
    peak_memory: int

    def missed(self, recipe: Recipe) -> list[str]:
        """Bars of the recipe that the test split does not meet."""
        return [name for name, bar in recipe.bars.items() if self.test.get(name, float("-inf")) < bar]


def show(result: RunResult, recipe: Recipe, console: Console) -> None:
    """Print the run's tables."""
    console.print(Group(*_tables(result, recipe), _line(result, recipe)))


def markdown(result: RunResult, recipe: Recipe) -> str:
    """The same as a Markdown page."""
    pages = [f"# {recipe.name}", "", recipe.description, "", _line(result, recipe), ""]
    for table in _tables(result, recipe):
        cells = [[str(cell) for cell in column.cells] for column in table.columns]
        heads = [str(column.header) for column in table.columns]
        pages += [f"## {table.title}", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        pages += ["| " + " | ".join(row) + " |" for row in zip(*cells, strict=True)]
        pages.append("")
    return "\n".join(pages)


# ---------------------------------------------------------------------------------------------------------------------


def _tables(result: RunResult, recipe: Recipe) -> list[Table]:
    tables = [_validation_table(result)]
    if result.test:
        tables.append(_test_table(result.test, recipe.bars))
    return tables


def _validation_table(result: RunResult) -> Table:
    table = Table(title="Validation, before and after", title_justify="left")
    table.add_column("metric")
    for column in ("before", "after", "most frequent answer"):
        table.add_column(column, justify="right")
    for name, after in result.after.items():
        baseline = result.baselines.get(name)
        table.add_row(name, _number(result.before.get(name)), _number(after), _number(baseline))
    return table


def _test_table(test: Mapping[str, float], bars: Mapping[str, float]) -> Table:
    table = Table(title="Test split, looked at once", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("bar", justify="right")
    table.add_column("met")
    ordered = [*(name for name in bars), *(name for name in test if name not in bars)]
    for name in ordered:
        bar = bars.get(name)
        met = "" if bar is None else ("yes" if test.get(name, float("-inf")) >= bar else "NO")
        table.add_row(name, _number(test.get(name)), "" if bar is None else f"≥ {bar:g}", met)
    return table


def _line(result: RunResult, recipe: Recipe) -> str:
    rate = result.units / result.seconds if result.seconds else 0.0
    return (
        f"{recipe.steps:,} steps in {_duration(result.seconds)}: {result.units:,} real units at {rate:,.0f} a second "
        f"(a padded batch would have been {result.utilisation:.0%} full); {result.parameters / 1e6:.2f} M parameters; "
        f"peak memory {result.peak_memory / 2**20:,.0f} MiB."
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
