"""`uniter ablate`: comparisons of many runs, from the command line to one table."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Compare many runs in one table.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """With one command only, its name would be left out."""


@app.command()
def transfer(
    init: Annotated[
        str | None,
        typer.Option(
            "--init", help="The pre-trained model: a run, a model folder or a hub id. Without it: DIR/pretrained."
        ),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="Tasks or lines of the table, separated by commas; default all.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each kind, with seeds 1, 2, …")] = 3,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Of a fine-tuning; the recipes' by default.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Where all runs lie.")] = Path("runs/transfer"),
) -> None:
    """Fine-tune every task on scenes from fresh weights and from the pre-trained model, and tabulate the test split.

    Called again, it goes on where it was stopped: what is finished is not repeated.
    """
    from uniter_cli.ablation import choose_subjects, complete, pretrained_model, runs_of
    from uniter_cli.ablation_table import Outcome, tables, write_tables
    from uniter_cli.display import console
    from uniter_cli.priors import scene_priors

    subjects = choose_subjects(tasks)
    model = pretrained_model(init, out / "pretrained")
    runs = list(runs_of(subjects, out, init=model, seeds=range(1, seeds + 1), steps=steps))
    priors = {task: scene_priors(task) for task in {subject.task for subject in subjects}}
    outcomes = {subject.name: Outcome(subject=subject, priors=priors[subject.task]) for subject in subjects}
    for number, run in enumerate(runs, start=1):
        console.print(f"\n[{number}/{len(runs)}] {run.subject.name}, {run.origin}, seed {run.seed}", markup=False)
        outcomes[run.subject.name].results[run.origin][run.seed] = complete(run)
        write_tables(list(outcomes.values()), out, init=model)
    console.print("", *tables(list(outcomes.values())), f"\nwritten to {out}/table.md and table.json")
