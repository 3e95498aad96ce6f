"""`uniter data import`: data sets from the files that their owners publish, one command a format."""

import typer

from uniter_cli.commands.imports.captions import add_captions
from uniter_cli.commands.imports.nlvr import add_nlvr
from uniter_cli.commands.imports.official import add_official
from uniter_cli.commands.imports.regions import add_regions
from uniter_cli.commands.imports.tasks import add_tasks

__all__ = ["app"]

app = typer.Typer(
    help="Import a data set from the layout its owners publish.", no_args_is_help=True, rich_markup_mode=None
)
for add in (add_captions, add_nlvr, add_official, add_regions, add_tasks):
    add(app)
