"""Recipes: every shipped one reads and round-trips, and what is wrong in one is named."""

import dataclasses

import pytest

from uniter_cli.errors import UsageError
from uniter_cli.recipe import Recipe
from uniter_cli.recipe_files import load_recipe, override, shipped_recipes, to_toml


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipes_survive_writing_and_reading(name, tmp_path):
    recipe = load_recipe(name)
    (tmp_path / "again.toml").write_text(to_toml(recipe))
    assert load_recipe(str(tmp_path / "again.toml")) == recipe
    assert recipe.description
    assert recipe.source
    assert set(recipe.data) >= {name for stage in recipe.stages for name in stage.data}


def test_released_pretraining_values():
    base = load_recipe("pretrain-indomain-base")
    assert (base.optimizer.lr, base.optimizer.betas, base.optimizer.clip) == (5e-5, (0.9, 0.98), 5.0)
    assert base.optimizer.warmup * base.steps == 10_000
    everything = load_recipe("pretrain-alldata-base")
    weights = {
        (name, task): source.weight * weight
        for name, source in everything.data.items()
        for task, weight in everything.tasks.items()
    }
    assert weights["vg", "mlm"] == 12
    assert weights["sbu", "mrc-kl"] == 4
    assert load_recipe("pretrain-alldata-large").optimizer.warmup * 500_000 == 10_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", "did you mean 'steps'"),
        ("[optimizer]\nlearning_rate = 1", "unknown key 'learning_rate'"),
        ("steps = 'many'", "expected int, got 'many'"),
        ("steps = true", "expected int"),
        ("steps = 0", "steps = 0 is out of range"),
        ("precision = 'int8'", "precision = 'int8' is out of range"),
        ("[tasks]\nmlm = -1", "tasks = "),
        ("[optimizer]\nbetas = [0.9]", "expected two numbers"),
        ("[data.a]\nweight = 2", "path"),
        ("[data.a]\npath = 'x'\n[[stages]]\ndata = { b = 1 }", "names data set 'b'"),
        ("[data.a]\npath = 'x'\nweight = 0", "data = "),
        ("steps = ", "not a TOML file"),
        ("tasks = 3", "expected a table"),
    ],
)
def test_wrong_recipes_are_named(text, message, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_recipe(str(path))
    assert message in str(caught.value)
    assert "wrong" in str(caught.value)


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'quickstart'"):
        load_recipe("quikstart")


def test_override_reaches_every_depth_and_checks_types():
    recipe = Recipe(name="r")
    changed = override(recipe, {"optimizer.lr": "2e-4", "steps": 7, "model.config.num_layers": "3", "tasks.mlm": 1})
    assert changed.optimizer.lr == 2e-4
    assert changed.steps == 7
    assert changed.model.config == {"num_layers": 3}
    assert changed.tasks == {"mlm": 1.0}
    assert recipe == Recipe(name="r"), "the recipe itself stays as it was"
    with pytest.raises(UsageError, match="did you mean 'lr'"):
        override(recipe, {"optimizer.rl": 1})
    with pytest.raises(UsageError, match="is not a table"):
        override(recipe, {"steps.more": 1})


def test_recipes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe(name="r").steps = 3  # type: ignore[misc]
