"""`uniter data repack`: write a store or a data set again, compressed or with fewer bits."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["add_repack"]


def add_repack(app: typer.Typer) -> None:
    """Give the command its sub-command."""
    app.command("repack")(repack)


def repack(
    source: Annotated[str, typer.Argument(help="A region store, or a data set's directory.")],
    out: Annotated[Path, typer.Argument(help="What to write.")],
    layout: Annotated[
        str | None, typer.Option("--layout", help="mapped (fastest) or compressed; default as the source.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="Of the features: float16 or int8; default as the source.")
    ] = None,
    top_labels: Annotated[
        int | None,
        typer.Option("--top-labels", min=0, help="Classes of each soft label to keep, 0 = all; default as the source."),
    ] = None,
) -> None:
    """Write region features and soft labels in fewer bytes, or in faster ones; goes on after a stop."""
    from uniter_cli.display import progress_bars
    from uniter_data import repack

    with progress_bars() as progress:
        repack(source, out, layout=layout, precision=precision, top_labels=top_labels, progress=progress)
    typer.echo(f"wrote {out}")
