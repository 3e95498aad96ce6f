"""`uniter demo`: from nothing to a pre-trained model, on generated scenes, in minutes on a CPU."""

from pathlib import Path
from typing import Annotated

import typer

from uniter_cli.commands.new_directory import new_directory

__all__ = ["demo"]


def demo(
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps; the quickstart's by default.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's directory; default runs/demo-DATE.")] = None,
) -> None:
    """Generate scenes, draw a sheet of them, pre-train the tiny model, test it, and say how to go on."""
    from uniter_cli.commands.pretrain import resolve
    from uniter_cli.display import console
    from uniter_cli.pretraining import pretrain
    from uniter_cli.sources import locate
    from uniter_data import PairDataset
    from uniter_data.preview import draw_preview

    recipe = resolve("quickstart", flags={"steps": steps, "seed": seed})
    directory = out or new_directory("demo")
    pretrain(recipe, directory)
    sheet = directory / "scenes.png"
    shown = next(iter(recipe.data.values()))
    draw_preview(PairDataset.open(locate(shown.path), shown.train), sheet)
    console.print(
        f"\nEverything lies in {directory}: summary.md, curves.png, model/, and scenes.png, a sheet of the "
        "data.\nHow to go on:\n"
        f"  tensorboard --logdir {directory}\n"
        "  uniter pretrain --tasks mlm,itm,mrc-kl,mrfr --set masking.masking=joint     another way to mask\n"
        "  uniter pretrain --data YOUR_STORE                                           your own data\n"
        "  uniter recipes list                                                         the published runs",
        highlight=False,
    )
