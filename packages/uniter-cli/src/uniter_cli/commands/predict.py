"""`uniter predict`: what a fine-tuned model says of a split, in the task's official file."""

from pathlib import Path
from typing import Annotated

import typer

from uniter_cli.commands.evaluate import Data, Run, Setting, Split, Task

__all__ = ["predict"]


def predict(
    task: Task,
    run: Run,
    out: Annotated[
        Path, typer.Option("--out", help="The official file to write; the probabilities go beside it as .npz.")
    ],
    split: Split = None,
    data: Data = None,
    setting: Setting = "",
) -> None:
    """Predict a split, with labels or without: the file that the task's server takes, and all probabilities as .npz.

    Several processes: put `torchrun --nproc-per-node N -m uniter_cli` in front of the same arguments.
    """
    from uniter_cli.scoring import check_out, check_task

    check_task(task)
    check_out(task, out)

    from uniter_cli.predicting import predict_split
    from uniter_tasks.predictions import save_predictions

    found, dataset, main = predict_split(task, run, data=data, split=split, setting=setting)
    if main:
        official, archive = save_predictions(found, out)
        typer.echo(f"{dataset.name} {dataset.split}: {len(dataset):,} predictions in {official}, {archive}")
