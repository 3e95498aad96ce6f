"""`uniter recipes`: the recipes that come with UNITER."""

from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="List and show the recipes that come with UNITER.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_recipes() -> None:
    """Name and purpose of each shipped recipe."""
    from rich.table import Table

    from uniter_cli.display import console
    from uniter_cli.recipe_files import load_recipe, shipped_recipes

    table = Table("recipe", "what it does", "steps", box=None, pad_edge=False)
    for name in shipped_recipes():
        recipe = load_recipe(name)
        table.add_row(name, recipe.description, f"{recipe.steps:,}")
    console.print(table)


@app.command("show")
def show_recipe(name: Annotated[str, typer.Argument(help="A shipped recipe's name or a TOML file.")]) -> None:
    """Every value of a recipe, defaults included, as TOML."""
    from uniter_cli.recipe_files import load_recipe, to_toml

    typer.echo(to_toml(load_recipe(name)), nl=False)
