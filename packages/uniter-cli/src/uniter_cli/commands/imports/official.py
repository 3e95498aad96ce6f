"""`uniter data import uniter-texts`: the text databases that were released with UNITER."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uniter_cli.commands.imports.captions import caption_options, run_captions
from uniter_cli.commands.imports.options import Out, split_files
from uniter_cli.commands.shared_options import sharing

if TYPE_CHECKING:
    from uniter_data.importers.texts import CaptionOptions

__all__ = ["add_official"]


def add_official(app: typer.Typer) -> None:
    """Give the command its sub-command."""
    app.command("uniter-texts")(sharing(caption_options)(uniter_texts))


def uniter_texts(
    databases: Annotated[list[str], typer.Argument(help="[SPLIT=]FOLDER.db; else the folder's name says the split.")],
    out: Out,
    options: "CaptionOptions",
    task: Annotated[
        str, typer.Option("--task", help="captions, vqa, snli-ve, nlvr2, refexp or vcr; else the databases say it.")
    ] = "",
    answers: Annotated[
        Path | None, typer.Option("--answers", help="ans2label.json of the released code; for vqa.")
    ] = None,
    objects: Annotated[
        list[str] | None,
        typer.Option("--objects", help="A store of the annotated objects' regions, put before the others; for vcr."),
    ] = None,
    boxes: Annotated[
        str, typer.Option("--boxes", help="What the regions are: ground-truth, or detected; for refexp.")
    ] = "ground-truth",
) -> None:
    """The text databases released with UNITER: captions as pairs, those of a task as its examples."""
    from uniter_data.importers.texts import import_uniter_texts

    run_captions(
        import_uniter_texts,
        out,
        options,
        files=split_files(databases),
        task=task,
        answers=answers,
        objects=objects or (),
        boxes=boxes,
    )
