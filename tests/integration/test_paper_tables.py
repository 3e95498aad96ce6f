"""What docs/paper-tables.md tells to type exists: commands, options, tasks, recipes."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from uniter_cli.main import app
from uniter_cli.recipe_files import load_recipe, shipped_recipes
from uniter_tasks.objectives import parse_tasks

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "paper-tables.md").read_text()
LINES = sorted(set(re.findall(r"`(uniter [a-z][^`\n]*)`|^ *(uniter [a-z].*)$", PAGE, re.MULTILINE)))
COMMANDS = [re.split(r" +#", line)[0].strip() for lines in LINES for line in lines if line]


def command_of(words):
    """The command that the words name, and the words that are left."""
    found = typer.main.get_command(app)
    while hasattr(found, "commands") and words and words[0] in found.commands:
        found, words = found.commands[words[0]], words[1:]
    return found, words


def test_the_page_has_commands():
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_and_option_exists(line):
    command, words = command_of(shlex.split(line, comments=True)[1:])
    assert not hasattr(command, "commands"), f"{line}: no such command"
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word.strip("[]") for word in words if word.strip("[").startswith("--")} <= known | {"--help"}
    options = dict(pairwise(words))
    if "--recipe" in options:
        recipe = load_recipe(options["--recipe"])
        assert recipe.task.name in ("", words[0])
        assert bool(recipe.task.name) == (command.name == "finetune")
    if "--tasks" in options:
        assert parse_tasks(options["--tasks"])


def test_every_released_recipe_stands_in_the_table():
    for name in shipped_recipes():
        recipe = load_recipe(name)
        if recipe.source.startswith("released run "):
            row = rf"\| `{re.escape(name)}` \| `[\w+-]+` \| \d+ \| {recipe.steps:,} \| {recipe.batch.units:,} \|"
            assert re.search(row, PAGE), f"{name}: the table of docs/paper-tables.md does not hold it as it is"
