"""What the README shows works when pasted."""

import re
import shlex
from pathlib import Path

import pytest

from uniter_cli.commands.pretrain import resolve
from uniter_cli.recipe_files import shipped_recipes

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_python_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("line", re.findall(r"^uniter pretrain .*$", README, re.MULTILINE))
def test_commands_resolve_to_a_recipe(line):
    words = shlex.split(re.split(r" {3,}", line)[0])[2:]
    options = dict(zip(words[::2], words[1::2], strict=True))
    if "--resume" in options:
        return
    data = [value for name, value in zip(words[::2], words[1::2], strict=True) if name == "--data"]
    settings = [options["--set"]] if "--set" in options else None
    name = options.get("--recipe", "quickstart")
    assert name in shipped_recipes()
    assert resolve(name, tasks=options.get("--tasks"), data=data or None, settings=settings).tasks
