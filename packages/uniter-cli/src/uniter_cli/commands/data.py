"""`uniter data`: import, extract, look at and check data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["app"]

app = typer.Typer(help="Import, extract, look at and check data sets.", no_args_is_help=True, rich_markup_mode=None)
importers = typer.Typer(help="Import a data set from the layout its owners publish.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(importers, name="import")
