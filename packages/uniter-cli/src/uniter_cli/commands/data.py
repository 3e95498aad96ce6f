"""`uniter data`: import, extract, look at and check data sets."""

from pathlib import Path
from typing import Annotated

import typer

from uniter_cli.commands import imports
from uniter_cli.commands.extract import extract
from uniter_cli.commands.repack import add_repack
from uniter_cli.commands.splits import add_splits

__all__ = ["app"]

app = typer.Typer(help="Import, extract, look at and check data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(imports.app, name="import")
app.command("extract")(extract)
add_repack(app)
add_splits(app)

DataSet = Annotated[str, typer.Argument(help="A data set's directory, or scenes:NAME for a generated one.")]


@app.command()
def info(dataset: DataSet) -> None:
    """What a data set holds: splits, pairs, regions, vocabulary, provenance, licence."""
    from uniter_data import info as describe
    from uniter_data.examples import describe_examples, holds_examples

    directory = _locate(dataset)
    typer.echo(describe_examples(directory) if holds_examples(directory) else describe(directory))


@app.command()
def verify(dataset: DataSet) -> None:
    """Read every byte of a data set and compare it with its checksums; exit status 1 where something is damaged."""
    from uniter_cli.display import progress_bars
    from uniter_cli.verification import find_damage

    with progress_bars() as progress:
        findings = find_damage(dataset, progress)
    for finding in findings:
        typer.echo(finding)
    if findings:
        raise typer.Exit(1)
    typer.echo(f"{dataset}: every checksum is right")


@app.command()
def preview(
    dataset: DataSet,
    split: Annotated[str, typer.Option("--split", help="Which split.")] = "train",
    out: Annotated[Path, typer.Option("--out", help="The PNG to write.")] = Path("preview.png"),
    count: Annotated[int, typer.Option("--count", min=1, help="Pictures on the sheet.")] = 12,
    seed: Annotated[int, typer.Option("--seed", help="Which pictures.")] = 0,
) -> None:
    """Draw a sheet of samples: pictures with their regions, sentences with gold words in their region's colour."""
    from uniter_data import PairDataset
    from uniter_data.preview import draw_preview

    draw_preview(PairDataset.open(_locate(dataset), split), out, count=count, seed=seed)
    typer.echo(f"wrote {out}")


# ---------------------------------------------------------------------------------------------------------------------


def _locate(dataset: str) -> str:
    from uniter_cli.display import progress_bars
    from uniter_cli.sources import locate

    with progress_bars() as progress:
        return locate(dataset, progress)
