"""`uniter data import`: data sets from the files that their owners publish, one command a format."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uniter_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from uniter_data import Tokenizer
    from uniter_data.examples import ImportOptions

__all__ = ["app"]

app = typer.Typer(
    help="Import a data set from the layout its owners publish.", no_args_is_help=True, rich_markup_mode=None
)

SPLIT_FILE = re.compile(r"(?:([\w+-]+)=)?(.+)")  # SPLIT=FILE, or FILE

Regions = Annotated[
    list[str], typer.Option("--regions", help="A store of regions to look for the pictures in; repeat for several.")
]
Out = Annotated[Path, typer.Option("--out", help="The data set to write.")]
Vocab = Annotated[
    Path | None, typer.Option("--vocab", help="A BERT vocabulary (vocab.txt) or tokenizer.json; else built.")
]
Cased = Annotated[bool, typer.Option("--cased", help="The vocabulary tells upper from lower case.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=1, help="Word pieces of a text; the head is kept.")]
DropLong = Annotated[bool, typer.Option("--drop-long", help="Leave out what has a longer text, as released.")]
SkipMissing = Annotated[
    bool, typer.Option("--skip-missing", help="Leave out, and count, what has no regions or lacks something else.")
]
ImageName = Annotated[
    str,
    typer.Option(
        "--image-name",
        help="What the stores call a picture, with {stem}, {number:012d}, {collection}, {path}; else what is usual.",
    ),
]
Pictures = Annotated[
    list[str] | None, typer.Option("--pictures", help="A folder of the pictures, for previews; repeat for several.")
]
SplitFiles = Annotated[
    list[str], typer.Argument(help="SPLIT=FILE, or FILE whose name ends in its split (dev is val); any number.")
]


@app.command("nlvr")
def nlvr(
    source: Annotated[Path, typer.Argument(help="The NLVR v1 directory: SPLIT/SPLIT.json, SPLIT/images/….")],
    out: Annotated[Path, typer.Argument(help="The data set to write.")],
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", help="Word pieces of a sentence; longer are dropped.")
    ] = 60,
    truncate: Annotated[bool, typer.Option("--truncate", help="Keep the head of a long sentence instead.")] = False,
) -> None:
    """NLVR v1: sentences labelled true as captions of their pictures, boxes from the structured representation."""
    from uniter_cli.display import progress_bars
    from uniter_data.importers.nlvr import import_nlvr

    with progress_bars() as progress:
        report = import_nlvr(
            source,
            out,
            tokenizer=_tokenizer(vocab, cased=cased),
            max_tokens=max_tokens,
            truncate=truncate,
            progress=progress,
        )
    typer.echo(report)
    typer.echo(f"next: uniter data extract {out}")


@app.command("vqa")
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

    options = _options(_tokenizer(vocab, cased=cased), max_tokens, drop_long, skip_missing, image_name, pictures)
    files = {"questions": _files(questions), "annotations": _files(annotations), "genome": _files(genome)}
    _run(import_vqa, out, options, regions=regions, **files)


@app.command("snli-ve")
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

    options = _options(_tokenizer(vocab, cased=cased), max_tokens, drop_long, skip_missing, image_name, pictures)
    _run(import_snli_ve, out, options, files=_files(files), regions=regions)


@app.command("nlvr2")
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

    options = _options(_tokenizer(vocab, cased=cased), max_tokens, drop_long, skip_missing, image_name, pictures)
    _run(import_nlvr2, out, options, files=_files(files), regions=regions)


@app.command("vcr")
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

    options = _options(_tokenizer(vocab, cased=cased), max_tokens, drop_long, skip_missing, image_name, pictures)
    _run(import_vcr, out, options, files=_files(files), regions=regions, objects=objects or (), tags=tags)


@app.command("refcoco")
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

    options = _options(_tokenizer(vocab, cased=cased), max_tokens, drop_long, skip_missing, image_name, pictures)
    _run(import_refcoco, out, options, refs=refs, instances=instances, regions=regions, boxes=boxes)


@app.command("karpathy")
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

    options = _options(_tokenizer(vocab, cased=cased), max_tokens, drop_long, skip_missing, image_name, pictures)
    _run(import_karpathy, out, options, file=file, regions=regions, merge_restval=merge_restval)


# ---------------------------------------------------------------------------------------------------------------------


def _run(task: "Callable[..., Any]", out: Path, options: "ImportOptions", **files: Any) -> None:
    """Import with a bar, and print what came of it."""
    from dataclasses import replace

    from uniter_cli.display import progress_bars

    with progress_bars() as progress:
        report = task(out, options=replace(options, progress=progress), **files)
    typer.echo(report)


def _options(
    tokenizer: "Tokenizer | None",
    max_tokens: int,
    drop_long: bool,
    skip_missing: bool,
    image_name: str,
    pictures: list[str] | None,
) -> "ImportOptions":
    from uniter_data.examples import ImportOptions

    return ImportOptions(
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        drop_long=drop_long,
        skip_missing=skip_missing,
        image_name=image_name,
        pictures=pictures or (),
    )


def _files(arguments: "Iterable[str] | None") -> dict[str, list[str]]:
    """The files of each split; those without SPLIT= stand under the empty name.

    >>> _files(["train=a.json", "train=b.json", "dev.json"])
    {'train': ['a.json', 'b.json'], '': ['dev.json']}
    """
    found: dict[str, list[str]] = {}
    for argument in arguments or ():
        match = SPLIT_FILE.fullmatch(argument)
        if match is None:
            raise UsageError(f"expected SPLIT=FILE or FILE, got {argument!r}")
        found.setdefault(match[1] or "", []).append(match[2])
    return found


def _tokenizer(vocab: Path | None, *, cased: bool) -> "Tokenizer | None":
    from uniter_data import Tokenizer

    if vocab is None:
        return None
    if vocab.suffix == ".json":
        return Tokenizer.from_file(vocab)
    return Tokenizer.from_vocabulary_file(vocab, cased=cased)
