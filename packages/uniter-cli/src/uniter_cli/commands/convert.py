"""`uniter convert`: official UNITER checkpoints and BERT's weights into model folders, and back."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Convert checkpoints.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def official(
    checkpoint: Annotated[Path, typer.Argument(help="A state dict of the 2020 code: .pt or .safetensors.")],
    out: Annotated[Path, typer.Argument(help="Model folder to write.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="Its JSON configuration, e.g. uniter-base.json.")
    ] = None,
    back: Annotated[
        bool, typer.Option("--back", help="The other way: CHECKPOINT is a model folder, OUT an official .pt file.")
    ] = False,
) -> None:
    """An official UNITER checkpoint into a model folder, or back; the tensors are the same to the last bit."""
    from uniter_core.checkpoints import convert_official, export_official

    if back:
        typer.echo(export_official(checkpoint, out))
    else:
        typer.echo(convert_official(checkpoint, config, out))


@app.command()
def bert(
    source: Annotated[str, typer.Argument(help="A local folder or a hub id, e.g. google-bert/bert-base-cased.")],
    out: Annotated[Path, typer.Argument(help="Model folder to write.")],
    region_dim: Annotated[int, typer.Option("--region-dim", help="Width of the region features.")] = 2048,
    num_classes: Annotated[int, typer.Option("--num-classes", help="Soft-label classes, background included.")] = 1601,
    seed: Annotated[int, typer.Option("--seed", help="Of the parts BERT does not have.")] = 1,
) -> None:
    """BERT's weights as the initialisation of UNITER: the text side from BERT, the region side fresh."""
    from uniter_core.checkpoints import convert_bert

    typer.echo(convert_bert(source, out, region_dim=region_dim, num_classes=num_classes, seed=seed))
