"""`uniter data`: import, extract, look at and check data sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from uniter_data import Tokenizer

__all__ = ["app"]

app = typer.Typer(help="Import, extract, look at and check data sets.", no_args_is_help=True, rich_markup_mode=None)
importers = typer.Typer(
    help="Import a data set from the layout its owners publish.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(importers, name="import")

DataSet = Annotated[str, typer.Argument(help="A data set's directory, or scenes:NAME for a generated one.")]


@importers.command("nlvr")
def import_nlvr(
    source: Annotated[Path, typer.Argument(help="The NLVR v1 directory: SPLIT/SPLIT.json, SPLIT/images/….")],
    out: Annotated[Path, typer.Argument(help="The data set to write.")],
    vocab: Annotated[
        Path | None, typer.Option("--vocab", help="A BERT vocabulary (vocab.txt) or tokenizer.json; else built.")
    ] = None,
    cased: Annotated[bool, typer.Option("--cased", help="The vocabulary tells upper from lower case.")] = False,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", help="Word pieces of a sentence; longer are dropped.")
    ] = 60,
    truncate: Annotated[bool, typer.Option("--truncate", help="Keep the head of a long sentence instead.")] = False,
) -> None:
    """NLVR v1: sentences labelled true as captions of their pictures, boxes from the structured representation."""
    from uniter_data.importers.nlvr import import_nlvr as run

    with _progress() as progress:
        report = run(
            source,
            out,
            tokenizer=_tokenizer(vocab, cased=cased),
            max_tokens=max_tokens,
            truncate=truncate,
            progress=progress,
        )
    typer.echo(report)
    typer.echo(f"next: uniter data extract {out}")


@app.command()
def extract(
    directory: Annotated[Path, typer.Argument(help="An imported data set whose regions have boxes but no features.")],
    model: Annotated[str, typer.Option("--model", help="Any timm model's name.")] = "resnet18",
    weights: Annotated[
        str, typer.Option("--weights", help="hub (pretrained), random, or a file: .safetensors, .pt.")
    ] = "hub",
    seed: Annotated[int, typer.Option("--seed", help="Of random weights.")] = 0,
    batch: Annotated[int, typer.Option("--batch", help="Pictures at once; a GPU wants more.")] = 8,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda, …; default the fastest there is.")] = None,
) -> None:
    """Region features of the pictures: a timm backbone and RoIAlign over the data set's boxes; goes on after a stop."""
    from uniter_data.extract import extract_regions

    with _progress() as progress:
        report = extract_regions(
            directory, model=model, weights=weights, seed=seed, batch=batch, device=device, progress=progress
        )
    typer.echo(report)


@app.command()
def info(dataset: DataSet) -> None:
    """What a data set holds: splits, pairs, regions, vocabulary, provenance, licence."""
    from uniter_data import info as describe

    typer.echo(describe(_locate(dataset)))


@app.command()
def verify(dataset: DataSet) -> None:
    """Read every byte of a data set and compare it with its checksums; exit status 1 where something is damaged."""
    from uniter_data import verify as check

    with _progress() as progress:
        findings = check(_locate(dataset), progress=progress)
    for finding in findings:
        typer.echo(finding)
    if findings:
        raise typer.Exit(1)
    typer.echo(f"{dataset}: every checksum is right")


@app.command()
def preview(
    dataset: DataSet,
    split: Annotated[str, typer.Option("--split", help="Which split.")] = "train",
    out: Annotated[Path, typer.Option("--out", help="The PNG to write.")] = Path("preview.png"),
    count: Annotated[int, typer.Option("--count", min=1, help="Pictures on the sheet.")] = 12,
    seed: Annotated[int, typer.Option("--seed", help="Which pictures.")] = 0,
) -> None:
    """Draw a sheet of samples: pictures with their regions, sentences with gold words in their region's colour."""
    from uniter_data import PairDataset
    from uniter_data.preview import draw_preview

    draw_preview(PairDataset.open(_locate(dataset), split), out, count=count, seed=seed)
    typer.echo(f"wrote {out}")


# ---------------------------------------------------------------------------------------------------------------------


def _locate(dataset: str) -> str:
    from uniter_cli.sources import locate

    with _progress() as progress:
        return locate(dataset, progress)


def _tokenizer(vocab: Path | None, *, cased: bool) -> "Tokenizer | None":
    from uniter_data import Tokenizer

    if vocab is None:
        return None
    if vocab.suffix == ".json":
        return Tokenizer.from_file(vocab)
    return Tokenizer.from_vocabulary_file(vocab, cased=cased)


@contextmanager
def _progress() -> "Iterator[Callable[[str, int, int], None]]":
    """Bars for long work, gone when it is done."""
    from rich.progress import Progress

    from uniter_cli.display import console, progress_callback

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        yield progress_callback(bars)
