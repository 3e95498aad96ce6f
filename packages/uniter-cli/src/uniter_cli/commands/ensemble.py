"""`uniter ensemble`: several runs' predictions as one, by the mean of their probabilities."""

from pathlib import Path
from typing import Annotated

import typer

from uniter_cli.commands.evaluate import Annotations, AsJson, say
from uniter_cli.errors import UsageError

__all__ = ["ensemble"]


def ensemble(
    files: Annotated[list[Path], typer.Argument(help="Probabilities (.npz) that uniter predict wrote, of each run.")],
    out: Annotated[
        Path, typer.Option("--out", help="The official file to write; the probabilities go beside it as .npz.")
    ],
    annotations: Annotations = None,
    split: Annotated[str | None, typer.Option("--split", help="Of the annotations.")] = None,
    json: AsJson = False,
) -> None:
    """Average the probabilities of several runs over the same examples; with --annotations, score them too."""
    if json and not annotations:
        raise UsageError("--json prints a score: give --annotations")

    from uniter_cli.display import progress_bars
    from uniter_cli.scoring import check_out, naming, read_annotations
    from uniter_tasks.predictions import ensemble as average
    from uniter_tasks.predictions import load_archive, save_predictions, score

    found = average(map(load_archive, files), names=[str(path) for path in files])
    check_out(found.task, out)
    if out.with_suffix(".npz").resolve() in {path.resolve() for path in files}:
        raise UsageError(f"--out {out}: its .npz would take the place of one of the runs, choose another name")
    official, archive = save_predictions(found, out)
    if not json:
        typer.echo(f"{len(files)} runs of {found.task}: {len(found.ids):,} predictions in {official}, {archive}")
    if annotations:
        with progress_bars(hidden=json) as progress:
            records = read_annotations(found.task, annotations, split, progress=progress)
        with naming(annotations):
            report = score(found, records)
        say({"predictions": str(official), **({"split": split} if split else {}), **report}, json=json)
