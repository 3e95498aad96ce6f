"""`uniter data import uniter-images|butd|npz|vinvl|volta`: region features, into a store of regions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uniter_cli.commands.imports.options import run_import
from uniter_cli.commands.shared_options import sharing

if TYPE_CHECKING:
    from uniter_data.importers.regions import RegionImport

__all__ = ["add_regions"]

Out = Annotated[Path, typer.Option("--out", help="The store to write, such as coco_train2014.zarr.")]
Threshold = Annotated[
    float, typer.Option("--threshold", help="Boxes of a larger confidence are kept; -1 keeps as many as --most.")
]
Least = Annotated[int, typer.Option("--least", min=1, help="Boxes of a picture that are kept whatever they are.")]
Most = Annotated[int, typer.Option("--most", min=1, help="Boxes of a picture that are kept at most.")]


def add_regions(app: typer.Typer) -> None:
    """Give the command its sub-commands."""
    for command in (uniter_images, butd, npz, vinvl, volta):
        app.command(command.__name__.replace("_", "-"))(sharing(region_import)(command))


def region_import(
    *,
    class_names: Annotated[
        Path | None,
        typer.Option("--class-names", help="A file of the soft labels' class names: one a line, or VinVL's JSON."),
    ] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out, count and list records that are damaged.")
    ] = False,
    layout: Annotated[str, typer.Option("--layout", help="mapped (fastest) or compressed.")] = "mapped",
    precision: Annotated[str, typer.Option("--precision", help="Of the features: float16 or int8.")] = "float16",
    top_labels: Annotated[
        int, typer.Option("--top-labels", min=0, help="Classes of each soft label to keep, 0 = all.")
    ] = 0,
) -> "RegionImport":
    """What the options say, the class names read."""
    from uniter_data.importers.regions import RegionImport, read_class_names

    return RegionImport(
        skip_damaged=skip_damaged,
        class_names=read_class_names(class_names) if class_names else (),
        layout=layout,
        precision=precision,
        top_labels=top_labels,
    )


def uniter_images(
    source: Annotated[
        Path, typer.Argument(help="Folder of data.mdb, such as img_db/coco_train2014/feat_th0.2_max100_min10.")
    ],
    out: Out,
    options: "RegionImport",
    threshold: Threshold = 0.2,
    least: Least = 10,
    most: Most = 100,
) -> None:
    """An official image database of UNITER; how many boxes are kept matters for a database `all` alone."""
    from uniter_data.importers.regions import BoxRule, import_uniter_images

    rule = BoxRule(threshold=threshold, least=least, most=most)
    run_import(import_uniter_images, source, out, options=options, rule=rule)


def butd(
    sources: Annotated[list[Path], typer.Argument(help="TSV files of bottom-up attention, LXMERT or VOLTA.")],
    out: Out,
    options: "RegionImport",
) -> None:
    """Bottom-up attention's TSV files; several go into one store."""
    from uniter_data.importers.regions import import_butd

    run_import(import_butd, sources, out, options=options)


def npz(
    folder: Annotated[Path, typer.Argument(help="Folder of .npz, a file a picture.")],
    out: Out,
    options: "RegionImport",
    threshold: Threshold = 0.2,
    least: Least = 10,
    most: Most = 100,
) -> None:
    """Files as UNITER's extraction or bottom-up-attention.pytorch write them."""
    from uniter_data.importers.regions import BoxRule, import_npz

    rule = BoxRule(threshold=threshold, least=least, most=most)
    run_import(import_npz, folder, out, options=options, rule=rule)


def vinvl(
    features: Annotated[
        Path, typer.Argument(help="features.tsv, train.feature.tsv, or predictions.tsv with features.")
    ],
    out: Out,
    options: "RegionImport",
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="predictions.tsv or train.label.tsv of the same pictures.")
    ] = None,
    sizes: Annotated[
        Path | None, typer.Option("--sizes", help="train.hw.tsv, where nothing else has the pictures' sizes.")
    ] = None,
) -> None:
    """VinVL's TSV files; with --class-names and --predictions, their classes too."""
    from uniter_data.importers.regions import import_vinvl

    run_import(import_vinvl, features, out, options=options, predictions=predictions, sizes=sizes)


def volta(source: Annotated[Path, typer.Argument(help="HDF5 file.")], out: Out, options: "RegionImport") -> None:
    """VOLTA's HDF5 files."""
    from uniter_data.importers.regions import import_volta

    run_import(import_volta, source, out, options=options)
