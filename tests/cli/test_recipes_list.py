"""The listing of recipes: grouped by task, each once, readable where lines are short."""

import pytest
from typer.testing import CliRunner

from uniter_cli.commands.finetune import resolve_task
from uniter_cli.commands.recipes import app, grouped
from uniter_cli.errors import UsageError
from uniter_cli.recipe_files import load_recipe, shipped_recipes
from uniter_core import PRESETS, Vocabulary
from uniter_tasks.downstream import TaskSettings, task


def test_groups_hold_every_recipe_once():
    listed = [recipe.name for recipes in grouped().values() for recipe in recipes]
    assert sorted(listed) == sorted(shipped_recipes())
    assert next(iter(grouped())) == "pretrain"


def test_a_recipe_stands_before_its_papers_variant():
    for recipes in grouped().values():
        names = [recipe.name for recipe in recipes]
        assert all(names.index(name) < names.index(f"{name}-paper") for name in names if f"{name}-paper" in names)


def test_a_task_can_be_listed_alone(uniter):
    for group, recipes in list(grouped().items())[:2]:
        lines = uniter("recipes", "list", group).stdout.splitlines()
        assert lines[1].strip() == group
        assert [line.split()[0] for line in lines[2:]] == [recipe.name for recipe in recipes]


def test_an_unknown_task_is_named():
    done = CliRunner().invoke(app, ["list", "refex"])
    assert isinstance(done.exception, UsageError)
    assert "did you mean 'refexp'" in str(done.exception)


def test_papers_recipes_name_their_section():
    papers = [load_recipe(name) for name in shipped_recipes() if name.endswith("-paper")]
    assert papers
    assert all(recipe.source.startswith("paper, appendix A.2, ") for recipe in papers)


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if load_recipe(name).task.name])
def test_a_tasks_recipe_says_what_the_task_knows(name):
    recipe = resolve_task(load_recipe(name).task.name, name=name)
    words = Vocabulary(size=8, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, random_range=(5, 8))
    settings = TaskSettings(vocabulary=words, setting=recipe.task.setting, **recipe.task.options)
    assert task(recipe.task.name).resolve(settings).loss in task(recipe.task.name).losses
    assert len(recipe.data) == 1
    assert recipe.model.preset in PRESETS
