"""The `uniter` command: sub-commands, and how errors reach a person.

Nothing heavy is imported here: `uniter --help` answers before torch would have been loaded.
"""

import os
import sys
from typing import Annotated

import typer

from uniter_cli.commands import ablate, convert, data, demo, ensemble, evaluate, finetune, predict, pretrain, recipes
from uniter_cli.errors import UsageError
from uniter_cli.interruption import Interrupted

__all__ = ["app", "run"]

app = typer.Typer(
    name="uniter",
    help="Learn one Transformer over the words of a sentence and the regions of an image (UNITER, ECCV 2020).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("pretrain")(pretrain.pretrain)
app.command("finetune")(finetune.finetune)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("ensemble")(ensemble.ensemble)
app.add_typer(data.app, name="data")
app.add_typer(convert.app, name="convert")
app.add_typer(recipes.app, name="recipes")
app.add_typer(ablate.app, name="ablate")


def _version(asked: bool) -> None:
    if asked:
        from uniter_cli import __version__

        typer.echo(f"uniter {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if debug:
        os.environ["UNITER_DEBUG"] = "1"


def _one_line(error: Exception) -> str:
    """What went wrong; of a file the name first, without the number of the system's error."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split()) or type(error).__name__


def run() -> None:
    """Entry point: one line for an error (`--debug`: its traceback); exit status 2 usage, 1 failure, 130 interrupt."""
    try:
        app()
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("UNITER_DEBUG"):
            raise
        sys.stderr.write(f"error: {_one_line(error)}\n")
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except Interrupted as stop:
        if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
            sys.stderr.write(f"{stop}\n")
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
