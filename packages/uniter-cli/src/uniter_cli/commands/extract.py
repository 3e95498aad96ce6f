"""`uniter data extract`: region features of a data set's pictures, or of a folder of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uniter_cli.errors import UsageError

if TYPE_CHECKING:
    from uniter_data.extract import RegionExtractor

__all__ = ["extract"]

BOXES = ("given", "grid", "detected")


def extract(  # noqa: PLR0913 - a parameter an option
    source: Annotated[str, typer.Argument(help="A data set that waits for regions, or a folder or URL of pictures.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The region store to write; for a folder of pictures.")
    ] = None,
    boxes: Annotated[
        str | None,
        typer.Option(
            "--boxes",
            help="given (of the data set), grid, or detected; default: as --detector, --extractor or the data set has",
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="Any timm model's name.")] = "resnet18",
    grid: Annotated[str, typer.Option("--grid", help="COLUMNSxROWS, or map: the places of the last level.")] = "7x7",
    levels: Annotated[
        str | None, typer.Option("--levels", help="timm's feature levels, such as 0,1; -1 is the coarsest.")
    ] = None,
    cells: Annotated[int | None, typer.Option("--cells", help="Vectors along a side of a region.")] = None,
    detector: Annotated[
        str | None, typer.Option("--detector", help="A torchvision detector, such as fasterrcnn_resnet50_fpn_v2.")
    ] = None,
    threshold: Annotated[float, typer.Option("--threshold", help="Confidence above which a region counts.")] = 0.2,
    min_boxes: Annotated[int, typer.Option("--min-boxes", help="At least so many regions of a picture.")] = 10,
    max_boxes: Annotated[int, typer.Option("--max-boxes", help="At most so many.")] = 100,
    extractor: Annotated[
        str | None, typer.Option("--extractor", help="One of your own: package.module:factory. Its code is run.")
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", help="hub (pretrained), random, or a file: .safetensors, .pt.")
    ] = "hub",
    seed: Annotated[int, typer.Option("--seed", help="Of random weights and of the standardisation's sample.")] = 0,
    standardise: Annotated[
        bool | None,
        typer.Option("--standardise/--raw", help="Features of one scale; default for timm models, not for others."),
    ] = None,
    ids: Annotated[
        str, typer.Option("--ids", help="An image's id: stem of its file, or path below the folder.")
    ] = "stem",
    batch: Annotated[int, typer.Option("--batch", help="Pictures at once; a GPU wants more.")] = 8,
    workers: Annotated[int, typer.Option("--workers", help="Threads that read and decode pictures.")] = 2,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda, …; default the fastest there is.")] = None,
) -> None:
    """Region features of pictures: a timm model over given boxes or a grid, a torchvision detector, or your own code.

    Goes on after a stop. Pictures that cannot be read are skipped, counted, and listed in STORE.skipped.jsonl.
    """
    from uniter_cli.rates import rated_progress
    from uniter_data.extract import backbone_extractor, detector_extractor, extract_regions, has_boxes, load_extractor

    if detector and extractor:
        raise UsageError("--detector and --extractor: give one of them")
    finds = bool(detector or extractor)
    chosen = boxes or ("detected" if finds else "given" if has_boxes(source) else "grid")
    if chosen not in BOXES or (chosen == "grid" and finds) or (chosen == "detected" and not finds):
        raise UsageError(
            f"--boxes: expected {', '.join(BOXES)}; grid goes with --model, detected with --detector or --extractor; "
            f"got {chosen!r}"
        )
    made: RegionExtractor
    if extractor:
        made = load_extractor(extractor, device=device)
    elif detector:
        made = detector_extractor(
            detector,
            weights=weights,
            seed=seed,
            threshold=threshold,
            min_boxes=min_boxes,
            max_boxes=max_boxes,
            device=device,
        )
    else:
        made = backbone_extractor(
            model,
            weights=weights,
            seed=seed,
            levels=None if levels is None else _numbers("--levels", levels, ","),
            cells=cells,
            grid=_grid(grid) if chosen == "grid" else None,
            device=device,
        )
    with rated_progress("pictures") as progress:
        report = extract_regions(
            source,
            extractor=made,
            out=out,
            given_boxes=chosen == "given",
            standardise=not finds if standardise is None else standardise,
            seed=seed,
            ids=ids,
            batch=batch,
            workers=workers,
            progress=progress,
        )
    typer.echo(report)


# ---------------------------------------------------------------------------------------------------------------------


def _grid(text: str) -> tuple[int, ...] | str:
    return text if text == "map" else _numbers("--grid", text, "x")


def _numbers(option: str, text: str, separator: str) -> tuple[int, ...]:
    """The whole numbers of an option.

    >>> _numbers("--grid", "7x7", "x")
    (7, 7)
    """
    try:
        return tuple(int(number) for number in text.split(separator))
    except ValueError as error:
        raise UsageError(f"{option}: expected whole numbers with {separator!r} between them, got {text!r}") from error
