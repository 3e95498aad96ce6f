"""`uniter recipes`: the recipes that come with UNITER."""

from typing import TYPE_CHECKING, Annotated

import typer

from uniter_cli.errors import UsageError

if TYPE_CHECKING:
    from uniter_cli.recipe import Recipe

__all__ = ["app", "grouped"]

app = typer.Typer(help="List and show the recipes that come with UNITER.", no_args_is_help=True, rich_markup_mode=None)

PRETRAINING = "pretrain"  # the group of the recipes without a downstream task


@app.command("list")
def list_recipes(
    group: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="Only those of a task, or `pretrain`; default all.")
    ] = None,
) -> None:
    """Name and purpose of each shipped recipe, by task.

    Released values come from the configuration of a run of 2020; the paper's, in NAME-paper, from its appendix A.2.
    """
    from rich.table import Table

    from uniter_cli.display import console
    from uniter_cli.nearest import nearest

    groups = grouped()
    if group is not None and group not in groups:
        raise UsageError(f"no recipes for {group!r}: {nearest(group, groups)}")
    table = Table(box=None, pad_edge=False)
    table.add_column("recipe", no_wrap=True)
    table.add_column("what it does")
    table.add_column("steps", justify="right", no_wrap=True)
    for name, recipes in groups.items():
        if group not in (None, name):
            continue
        if table.row_count:
            table.add_row()
        table.add_row(name, style="bold")
        for recipe in recipes:
            table.add_row(f"  {recipe.name}", recipe.description, f"{recipe.steps:,}")
    console.print(table)


@app.command("show")
def show_recipe(name: Annotated[str, typer.Argument(help="A shipped recipe's name or a TOML file.")]) -> None:
    """Every value of a recipe, defaults included, as TOML."""
    from uniter_cli.recipe_files import load_recipe, to_toml

    typer.echo(to_toml(load_recipe(name)), nl=False)


def grouped() -> "dict[str, list[Recipe]]":
    """The shipped recipes by task, those of pre-training first, each group by name."""
    from uniter_cli.recipe_files import load_recipe, shipped_recipes

    groups: dict[str, list[Recipe]] = {PRETRAINING: []}
    for recipe in map(load_recipe, shipped_recipes()):
        groups.setdefault(recipe.task.name or PRETRAINING, []).append(recipe)
    return {name: sorted(recipes, key=lambda recipe: recipe.name) for name, recipes in groups.items()}
