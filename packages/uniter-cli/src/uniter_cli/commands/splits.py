"""`uniter data audit` and `uniter data filter`: pictures of evaluation splits among those of pre-training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from uniter_cli.commands.shared_options import sharing
from uniter_cli.errors import UsageError

__all__ = ["add_splits"]


def add_splits(app: typer.Typer) -> None:
    """Give the command its sub-commands."""
    app.command("audit")(sharing(_inputs)(audit))
    app.command("filter")(sharing(_inputs)(filter))


def audit(
    options: dict[str, Any],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for audit.json and audit.md.")] = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Write the report into the data sets: pretrain refuses those with a leak."),
    ] = False,
) -> None:
    """Find and name the images of pre-training data that are pictures of evaluation splits; exit status 1 if any is."""
    from uniter_cli.display import progress_bars
    from uniter_data.splits import audit, record_audit, summary, write_report

    if out is None and not record:
        raise UsageError("where shall the report go? Give --out FOLDER, or --record to keep it in the data sets")
    with progress_bars() as progress:
        found = audit(**options, progress=progress)
    reports = []
    if out is not None:
        write_report(out, found)
        reports.append(out / "audit.json")
    if record:
        reports += record_audit(found, options["sources"])
    typer.echo(summary(found))
    for report in reports:
        typer.echo(f"wrote {report} and {report.with_suffix('.md').name}")
    if found.leaks:
        raise typer.Exit(1)


def filter(
    options: dict[str, Any],
    out: Annotated[Path, typer.Option("--out", help="The data set to write; of several sources a folder of them.")],
) -> None:
    """Write views of pre-training data without the pictures of evaluation splits: no copy, and the audit inside."""
    from uniter_cli.display import progress_bars
    from uniter_data.splits import filter_datasets, summary

    with progress_bars() as progress:
        found, views = filter_datasets(**options, out=out, progress=progress)
    typer.echo(summary(found))
    for view in views:
        typer.echo(f"wrote {view}, with audit.md")


# ---------------------------------------------------------------------------------------------------------------------


def _inputs(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(help="Pre-training data: [COLLECTION=]DIRECTORY[:SPLIT]; without a split, all of its splits."),
    ],
    against: Annotated[
        list[str],
        typer.Option(
            "--against",
            help="An evaluation split: [COLLECTION=]DIRECTORY:SPLIT, or COLLECTION:SPLIT=FILE, a list of ids. "
            "COLLECTION says whose numbers they are: coco, genome, flickr30k, nlvr2, vcr, or a name of your own.",
        ),
    ],
    vg_images: Annotated[
        list[Path] | None,
        typer.Option("--vg-images", help="Visual Genome's image_data.json, with COCO's and Flickr's ids."),
    ] = None,
    coco_images: Annotated[
        list[Path] | None,
        typer.Option(
            "--coco-images", help="A file of COCO with the pictures' Flickr URLs: captions, instances, image_info."
        ),
    ] = None,
    urls: Annotated[
        list[str] | None,
        typer.Option(
            "--urls", help="NAME=FILE: image ids, tabs and URLs of a source; imports keep them by themselves."
        ),
    ] = None,
    pictures: Annotated[
        list[str] | None, typer.Option("--pictures", help="NAME=FOLDER: pictures of a source or a split, to be hashed.")
    ] = None,
    distance: Annotated[
        int, typer.Option("--distance", min=0, max=15, help="Bits of 64 in which the hashes of one picture may differ.")
    ] = 6,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Threads that read pictures.")] = 2,
) -> dict[str, Any]:
    from uniter_data.splits import named_places, open_downstream, open_sources, read_cross_ids, with_places

    ours, theirs = open_sources(map(_generated, sources)), open_downstream(against)
    sets = with_places([*ours, *theirs], urls=named_places(urls or ()), pictures=named_places(pictures or ()))
    return {
        "sources": sets[: len(ours)],
        "downstream": sets[len(ours) :],
        "cross": read_cross_ids(genome=vg_images or (), coco=coco_images or ()),
        "distance": distance,
        "workers": workers,
    }


def _generated(source: str) -> str:
    """A source whose scenes are there."""
    from uniter_cli.sources import SCENES, locate

    if not source.startswith(SCENES):
        return source
    name, colon, split = source.removeprefix(SCENES).partition(":")
    return locate(SCENES + name) + colon + split
