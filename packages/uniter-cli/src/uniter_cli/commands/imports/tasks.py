"""`uniter data import TASK`: the annotations of the downstream tasks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uniter_cli.commands.imports.options import Out, Regions, SplitFiles, import_options, run_import, split_files
from uniter_cli.commands.shared_options import sharing

if TYPE_CHECKING:
    from uniter_data.examples import ImportOptions

__all__ = ["add_tasks"]


def add_tasks(app: typer.Typer) -> None:
    """Give the command its sub-commands."""
    for command in (vqa, snli_ve, nlvr2, vcr, refcoco, karpathy):
        app.command(command.__name__.replace("_", "-"))(sharing(import_options)(command))


def vqa(
    regions: Regions,
    out: Out,
    options: "ImportOptions",
    questions: Annotated[
        list[str] | None, typer.Option("--questions", help="[SPLIT=]v2_OpenEnded_mscoco_…_questions.json; repeatable.")
    ] = None,
    annotations: Annotated[
        list[str] | None,
        typer.Option("--annotations", help="[SPLIT=]v2_mscoco_…_annotations.json, in the order of the questions."),
    ] = None,
    genome: Annotated[
        list[str] | None,
        typer.Option("--genome", help="[SPLIT=]question_answers.json of Visual Genome; goes into train."),
    ] = None,
) -> None:
    """VQA v2, and Visual Genome's questions; several files may go into one split."""
    from uniter_data.examples import import_vqa

    files = {
        "questions": split_files(questions),
        "annotations": split_files(annotations),
        "genome": split_files(genome),
    }
    run_import(import_vqa, out, options=options, regions=regions, **files)


def snli_ve(
    files: SplitFiles,
    regions: Regions,
    out: Out,
    options: "ImportOptions",
) -> None:
    """SNLI-VE: snli_ve_train.jsonl, snli_ve_dev.jsonl, snli_ve_test.jsonl."""
    from uniter_data.examples import import_snli_ve

    run_import(import_snli_ve, out, options=options, files=split_files(files), regions=regions)


def nlvr2(
    files: SplitFiles,
    regions: Regions,
    out: Out,
    options: "ImportOptions",
) -> None:
    """NLVR2: train.json, dev.json, test1.json."""
    from uniter_data.examples import import_nlvr2

    run_import(import_nlvr2, out, options=options, files=split_files(files), regions=regions)


def vcr(
    files: SplitFiles,
    regions: Regions,
    out: Out,
    options: "ImportOptions",
    objects: Annotated[
        list[str] | None,
        typer.Option("--objects", help="A store of the annotated objects' regions, put before the others; repeatable."),
    ] = None,
    tags: Annotated[
        str, typer.Option("--tags", help="How texts name objects: names (Casey, Riley, …) or regions (person 1, …).")
    ] = "names",
) -> None:
    """VCR: train.jsonl, val.jsonl, test.jsonl."""
    from uniter_data.examples import import_vcr

    run_import(
        import_vcr, out, options=options, files=split_files(files), regions=regions, objects=objects or (), tags=tags
    )


def refcoco(
    refs: Annotated[Path, typer.Argument(help="refs(unc).p of RefCOCO or RefCOCO+, refs(umd).p of RefCOCOg.")],
    instances: Annotated[Path, typer.Option("--instances", help="The instances.json beside it.")],
    regions: Regions,
    out: Out,
    options: "ImportOptions",
    boxes: Annotated[
        str, typer.Option("--boxes", help="What the regions are: ground-truth, or detected.")
    ] = "ground-truth",
) -> None:
    """RefCOCO, RefCOCO+, RefCOCOg: expressions, and the region that each means."""
    from uniter_data.examples import import_refcoco

    run_import(import_refcoco, out, options=options, refs=refs, instances=instances, regions=regions, boxes=boxes)


def karpathy(
    file: Annotated[Path, typer.Argument(help="dataset_coco.json or dataset_flickr30k.json.")],
    regions: Regions,
    out: Out,
    options: "ImportOptions",
    merge_restval: Annotated[
        bool, typer.Option("--merge-restval", help="Put COCO's restval into train; one store must hold both.")
    ] = False,
) -> None:
    """Karpathy's splits of COCO or Flickr30k, as pairs for retrieval."""
    from uniter_data.examples import import_karpathy

    run_import(import_karpathy, out, options=options, file=file, regions=regions, merge_restval=merge_restval)
