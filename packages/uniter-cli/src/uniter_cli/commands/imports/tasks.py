"""`uniter data import TASK`: the annotations of the downstream tasks."""

from pathlib import Path
from typing import Annotated

import typer

from uniter_cli.commands.imports.options import (
    Cased,
    DropLong,
    ImageName,
    MaxTokens,
    Out,
    Pictures,
    Regions,
    SkipMissing,
    SplitFiles,
    Vocab,
    import_options,
    run_import,
    split_files,
)

__all__ = ["add_tasks"]


def add_tasks(app: typer.Typer) -> None:
    """Give the command its sub-commands."""
    for command in (vqa, snli_ve, nlvr2, vcr, refcoco, karpathy):
        app.command(command.__name__.replace("_", "-"))(command)


def vqa(
    regions: Regions,
    out: Out,
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
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: MaxTokens = 60,
    drop_long: DropLong = False,
    skip_missing: SkipMissing = False,
    image_name: ImageName = "",
    pictures: Pictures = None,
) -> None:
    """VQA v2, and Visual Genome's questions; several files may go into one split."""
    from uniter_data.examples import import_vqa

    options = import_options(vocab, cased, max_tokens, drop_long, skip_missing, image_name, pictures)
    files = {
        "questions": split_files(questions),
        "annotations": split_files(annotations),
        "genome": split_files(genome),
    }
    run_import(import_vqa, out, options, regions=regions, **files)


def snli_ve(
    files: SplitFiles,
    regions: Regions,
    out: Out,
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: MaxTokens = 60,
    drop_long: DropLong = False,
    skip_missing: SkipMissing = False,
    image_name: ImageName = "",
    pictures: Pictures = None,
) -> None:
    """SNLI-VE: snli_ve_train.jsonl, snli_ve_dev.jsonl, snli_ve_test.jsonl."""
    from uniter_data.examples import import_snli_ve

    options = import_options(vocab, cased, max_tokens, drop_long, skip_missing, image_name, pictures)
    run_import(import_snli_ve, out, options, files=split_files(files), regions=regions)


def nlvr2(
    files: SplitFiles,
    regions: Regions,
    out: Out,
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: MaxTokens = 60,
    drop_long: DropLong = False,
    skip_missing: SkipMissing = False,
    image_name: ImageName = "",
    pictures: Pictures = None,
) -> None:
    """NLVR2: train.json, dev.json, test1.json."""
    from uniter_data.examples import import_nlvr2

    options = import_options(vocab, cased, max_tokens, drop_long, skip_missing, image_name, pictures)
    run_import(import_nlvr2, out, options, files=split_files(files), regions=regions)


def vcr(
    files: SplitFiles,
    regions: Regions,
    out: Out,
    objects: Annotated[
        list[str] | None,
        typer.Option("--objects", help="A store of the annotated objects' regions, put before the others; repeatable."),
    ] = None,
    tags: Annotated[
        str, typer.Option("--tags", help="How texts name objects: names (Casey, Riley, …) or regions (person 1, …).")
    ] = "names",
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: MaxTokens = 60,
    drop_long: DropLong = False,
    skip_missing: SkipMissing = False,
    image_name: ImageName = "",
    pictures: Pictures = None,
) -> None:
    """VCR: train.jsonl, val.jsonl, test.jsonl."""
    from uniter_data.examples import import_vcr

    options = import_options(vocab, cased, max_tokens, drop_long, skip_missing, image_name, pictures)
    run_import(import_vcr, out, options, files=split_files(files), regions=regions, objects=objects or (), tags=tags)


def refcoco(
    refs: Annotated[Path, typer.Argument(help="refs(unc).p of RefCOCO or RefCOCO+, refs(umd).p of RefCOCOg.")],
    instances: Annotated[Path, typer.Option("--instances", help="The instances.json beside it.")],
    regions: Regions,
    out: Out,
    boxes: Annotated[
        str, typer.Option("--boxes", help="What the regions are: ground-truth, or detected.")
    ] = "ground-truth",
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: MaxTokens = 60,
    drop_long: DropLong = False,
    skip_missing: SkipMissing = False,
    image_name: ImageName = "",
    pictures: Pictures = None,
) -> None:
    """RefCOCO, RefCOCO+, RefCOCOg: expressions, and the region that each means."""
    from uniter_data.examples import import_refcoco

    options = import_options(vocab, cased, max_tokens, drop_long, skip_missing, image_name, pictures)
    run_import(import_refcoco, out, options, refs=refs, instances=instances, regions=regions, boxes=boxes)


def karpathy(
    file: Annotated[Path, typer.Argument(help="dataset_coco.json or dataset_flickr30k.json.")],
    regions: Regions,
    out: Out,
    merge_restval: Annotated[
        bool, typer.Option("--merge-restval", help="Put COCO's restval into train; one store must hold both.")
    ] = False,
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: MaxTokens = 60,
    drop_long: DropLong = False,
    skip_missing: SkipMissing = False,
    image_name: ImageName = "",
    pictures: Pictures = None,
) -> None:
    """Karpathy's splits of COCO or Flickr30k, as pairs for retrieval."""
    from uniter_data.examples import import_karpathy

    options = import_options(vocab, cased, max_tokens, drop_long, skip_missing, image_name, pictures)
    run_import(import_karpathy, out, options, file=file, regions=regions, merge_restval=merge_restval)
