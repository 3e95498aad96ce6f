"""`uniter evaluate`: the official score of a fine-tuned model, or of a file of predictions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uniter_cli.commands.score_matrices import evaluate_retrieval
from uniter_cli.errors import UsageError

if TYPE_CHECKING:
    from uniter_tasks.predictions import ScoreOptions

__all__ = ["Annotations", "AsJson", "Data", "Run", "Setting", "Split", "Task", "evaluate", "say"]

Task = Annotated[str, typer.Argument(help="vqa, vcr, nlvr2, snli-ve or refexp.")]
Run = Annotated[str, typer.Argument(help="A fine-tuned model: a run's directory, a model folder or a hub id.")]
Split = Annotated[
    str | None, typer.Option("--split", help="Of the data set or the annotations; default what the run tests on, test.")
]
Data = Annotated[
    str | None, typer.Option("--data", help="The task's data set; default that of the run, else generated scenes.")
]
Setting = Annotated[
    str, typer.Option("--setting", help="Of the task; only for a converted model, which does not say its own.")
]
Annotations = Annotated[
    list[str] | None,
    typer.Option("--annotations", help="The task's official file (repeat for several), or a data set of the task."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

OF_MATRICES = {"retrieval": evaluate_retrieval}  # tasks whose predictions are a score matrix


def evaluate(  # noqa: PLR0913 - a parameter an option
    task: Annotated[str, typer.Argument(help="vqa, vcr, nlvr2, snli-ve, retrieval or refexp.")],
    run: Annotated[
        str | None,
        typer.Argument(
            help="A fine-tuned model, for retrieval also a pre-trained one: a run's directory, model folder or hub id."
        ),
    ] = None,
    split: Split = None,
    data: Data = None,
    setting: Setting = "",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Keep the predictions: the official file, and .npz beside it; of retrieval a Zarr matrix."
        ),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Score this file, official or .npz, instead of a model.")
    ] = None,
    annotations: Annotations = None,
    balanced: Annotated[Path | None, typer.Option("--balanced", help="nlvr2: the file of the balanced subset.")] = None,
    unbalanced: Annotated[
        Path | None, typer.Option("--unbalanced", help="nlvr2: the file of the unbalanced subset.")
    ] = None,
    phenomena: Annotated[
        Path | None, typer.Option("--phenomena", help="nlvr2: the file of sentences annotated for phenomena.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", help="retrieval: also the mean over so many galleries.")] = 1,
    json: AsJson = False,
) -> None:
    """Score a fine-tuned model, or a file of predictions, by the task's official metric, with 95 % intervals.

    Several processes: put `torchrun --nproc-per-node N -m uniter_cli` in front of the same arguments.
    """
    if (run is None) == (predictions is None):
        raise UsageError("give a fine-tuned model or --predictions FILE, not both or neither")
    if predictions is None and annotations is not None:
        raise UsageError("--annotations belong to --predictions: a model is shown a data set (--data)")
    if predictions is not None and (annotations is None or data or out or setting):
        raise UsageError("--predictions FILE needs --annotations PATH, and no option of a model")

    if task not in OF_MATRICES and folds != 1:
        raise UsageError(f"--folds is an option of {', '.join(OF_MATRICES)}, not of {task}")
    if task in OF_MATRICES:
        others = {"--setting": setting, "--balanced": balanced, "--unbalanced": unbalanced, "--phenomena": phenomena}
        report = OF_MATRICES[task](
            run, predictions, annotations, split=split, data=data, folds=folds, out=out, json=json, others=others
        )
        if report:
            say(report, json=json)
        return

    from uniter_cli.scoring import check_out, check_task, score_options

    check_task(task)
    if out:
        check_out(task, out)
    options = score_options(task, {"balanced": balanced, "unbalanced": unbalanced}, phenomena)
    if predictions is not None:
        report = _of_file(task, predictions, annotations or [], split, options, json=json)
    else:
        report = _of_model(task, str(run), options, split=split, data=data, setting=setting, out=out, json=json)
    if report:
        say(report, json=json)


def say(report: dict[str, Any], *, json: bool) -> None:
    """Print a report, as JSON or for a person."""
    if json:
        from json import dumps

        typer.echo(dumps(report, ensure_ascii=False))
        return
    from uniter_cli.display import console
    from uniter_cli.score_tables import show_scores

    where = f" {report['split']}" if report.get("split") else ""
    show_scores(report, console, title=f"{report['task']}{where}")


# ---------------------------------------------------------------------------------------------------------------------


def _of_file(
    task: str, predictions: Path, annotations: list[str], split: str | None, options: "ScoreOptions", *, json: bool
) -> dict[str, Any]:
    from uniter_cli.display import progress_bars
    from uniter_cli.scoring import naming, read_annotations
    from uniter_tasks.predictions import score_predictions

    with progress_bars(hidden=json) as progress:
        records = read_annotations(task, annotations, split, progress=progress)
    with naming(annotations):
        score = score_predictions(task, predictions, records, options)
    return {"predictions": str(predictions), **({"split": split} if split else {}), **score}


def _of_model(
    task: str,
    run: str,
    options: "ScoreOptions",
    *,
    split: str | None,
    data: str | None,
    setting: str,
    out: Path | None,
    json: bool,
) -> dict[str, Any]:
    """The report; empty on all processes but the main one."""
    from uniter_cli.predicting import predict_split, score_split
    from uniter_tasks.predictions import save_predictions

    found, dataset, main = predict_split(task, run, data=data, split=split, setting=setting, hidden=json, labelled=True)
    if not main:
        return {}
    if out:
        save_predictions(found, out)
    score = score_split(found, dataset, options)
    return {"model": run, "data": dataset.directory, "split": dataset.split, "setting": found.setting, **score}
