"""`uniter data import nlvr`: the sentences and boxes of NLVR v1."""

from pathlib import Path
from typing import Annotated

import typer

from uniter_cli.commands.imports.options import Cased, Vocab, read_tokenizer

__all__ = ["add_nlvr"]


def add_nlvr(app: typer.Typer) -> None:
    """Give the command its sub-command."""
    app.command("nlvr")(nlvr)


def nlvr(
    source: Annotated[Path, typer.Argument(help="The NLVR v1 directory: SPLIT/SPLIT.json, SPLIT/images/….")],
    out: Annotated[Path, typer.Argument(help="The data set to write.")],
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", help="Word pieces of a sentence; longer are dropped.")
    ] = 60,
    truncate: Annotated[bool, typer.Option("--truncate", help="Keep the head of a long sentence instead.")] = False,
) -> None:
    """NLVR v1: sentences labelled true as captions of their pictures, boxes from the structured representation."""
    from uniter_cli.display import progress_bars
    from uniter_data.importers.nlvr import import_nlvr

    with progress_bars() as progress:
        report = import_nlvr(
            source,
            out,
            tokenizer=read_tokenizer(vocab, cased=cased),
            max_tokens=max_tokens,
            truncate=truncate,
            progress=progress,
        )
    typer.echo(report)
    typer.echo(f"next: uniter data extract {out}")
