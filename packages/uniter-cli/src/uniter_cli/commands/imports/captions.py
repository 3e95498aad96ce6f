"""`uniter data import coco|genome|conceptual-captions|sbu|pictures`: captions of pictures, to pre-train on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uniter_cli.commands.imports.options import Cased, Out, SplitFiles, Vocab, read_tokenizer, run_import, split_files
from uniter_cli.commands.shared_options import sharing
from uniter_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from uniter_data.importers.texts import CaptionOptions

__all__ = ["add_captions", "caption_options", "run_captions"]

Manifest = Annotated[
    Path | None, typer.Option("--manifest", help="Lines of a URL, a tab and its file; else files are row numbers.")
]


def caption_options(
    *,
    regions: Annotated[
        list[str] | None,
        typer.Option("--regions", help="A region store; repeatable: each split uses the one that has its pictures."),
    ] = None,
    pictures: Annotated[
        list[str] | None,
        typer.Option("--pictures", help="[SPLIT=]FOLDER of pictures; without --regions they are to be extracted from."),
    ] = None,
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Word pieces of a sentence, 60; longer are dropped.")
    ] = None,
    truncate: Annotated[bool, typer.Option("--truncate", help="Keep the head of a long sentence instead.")] = False,
    image_name: Annotated[
        str, typer.Option("--image-name", help="What stores or files call a picture, with {stem}, {number:012d}, …")
    ] = "",
    skip_missing: Annotated[
        bool,
        typer.Option("--skip-missing", help="Leave out, and count, captions whose picture or regions lack."),
    ] = False,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out, count and list records that are wrong.")
    ] = False,
    val_share: Annotated[
        float, typer.Option("--val-share", help="Of train's pictures that go to val with all their captions, as 0.02.")
    ] = 0.0,
) -> "CaptionOptions":
    """What the options say, the vocabulary read."""
    from uniter_data.importers.texts import CaptionOptions

    folders = split_files(pictures)
    for split, found in folders.items():
        if len(found) > 1:
            raise UsageError(f"--pictures: expected one folder{split and ' of '}{split}, got {', '.join(found)}")
    return CaptionOptions(
        tokenizer=read_tokenizer(vocab, cased=cased),
        max_tokens=max_tokens,
        truncate=truncate,
        regions=regions or (),
        pictures={split: found[0] for split, found in folders.items()},
        image_name=image_name,
        skip_missing=skip_missing,
        skip_damaged=skip_damaged,
        val_share=val_share,
    )


def add_captions(app: typer.Typer) -> None:
    """Give the command its sub-commands."""
    for command in (coco, genome, conceptual_captions, sbu, pictures):
        app.command(command.__name__.replace("_", "-"))(sharing(caption_options)(command))


def coco(
    files: SplitFiles,
    out: Out,
    options: "CaptionOptions",
    instances: Annotated[
        list[Path] | None, typer.Option("--instances", help="instances_….json: extract features of its boxes.")
    ] = None,
) -> None:
    """COCO captions: captions_train2014.json, captions_val2014.json, or those of 2017."""
    from uniter_data.importers.texts import import_coco

    run_captions(import_coco, out, options, files=split_files(files), instances=instances or ())


def genome(
    files: Annotated[list[Path], typer.Argument(help="region_descriptions.json.")], out: Out, options: "CaptionOptions"
) -> None:
    """Visual Genome's region descriptions, each as a text of its picture."""
    from uniter_data.importers.texts import import_genome

    run_captions(import_genome, out, options, files=files)


def conceptual_captions(files: SplitFiles, out: Out, options: "CaptionOptions", manifest: Manifest = None) -> None:
    """Conceptual Captions: Train_GCC-training.tsv, and the pictures that could be downloaded."""
    from uniter_data.importers.texts import import_conceptual_captions

    run_captions(import_conceptual_captions, out, options, files=split_files(files), manifest=manifest)


def sbu(
    files: Annotated[
        list[Path],
        typer.Argument(help="SBU_captioned_photo_dataset_urls.txt and …_captions.txt; or sbu-captions-all.json."),
    ],
    out: Out,
    options: "CaptionOptions",
    manifest: Manifest = None,
) -> None:
    """SBU captioned photos, and the pictures that could be downloaded."""
    from uniter_data.importers.texts import import_sbu

    run_captions(import_sbu, out, options, files=files, manifest=manifest)


def pictures(
    files: Annotated[list[str], typer.Argument(help="[SPLIT=]FILE of captions: .csv, .tsv or .jsonl; any number.")],
    out: Out,
    options: "CaptionOptions",
    image_field: Annotated[str, typer.Option("--image-field", help="The column of the picture's file.")] = "image",
    caption_field: Annotated[str, typer.Option("--caption-field", help="The column of the sentence.")] = "caption",
    split_field: Annotated[str, typer.Option("--split-field", help="The column of the split, if any.")] = "split",
    url_field: Annotated[str, typer.Option("--url-field", help="The column of the picture's URL, if any.")] = "url",
) -> None:
    """Pictures of your own: a folder, and files that say what each picture shows."""
    from uniter_data.importers.texts import Columns, import_pictures

    columns = Columns(image=image_field, caption=caption_field, split=split_field, url=url_field)
    run_captions(import_pictures, out, options, files=split_files(files), columns=columns, name=out.name)


# ---------------------------------------------------------------------------------------------------------------------


def run_captions(importer: "Callable[..., Any]", out: Path, options: "CaptionOptions", /, **files: Any) -> None:
    """Import with a bar, print what came of it and, of pairs, what to do next."""
    from uniter_data.importers.texts import CaptionReport

    report = run_import(importer, out, options=options, **files)
    if isinstance(report, CaptionReport):
        typer.echo(f"next: uniter data extract {out}" if report.waits else f"next: uniter pretrain --data {out}")
