"""Every recipe of a released run has that run's values, as the table of released settings gives them."""

import csv
import re
from ast import literal_eval
from collections import defaultdict

import pytest

from uniter_cli.recipe_files import load_recipe, shipped_recipes

pytestmark = pytest.mark.real_data

OBJECTIVES = {"mlm": "mlm", "itm": "itm", "mrfr": "mrfr", "mrckl": "mrc-kl"}
SEQUENCES = {"vcr": 4}  # of an example, of which the released code counts one
# Units that an example is taken to have, where batches are counted in examples: real data may have fewer or more.
EXAMPLES = {"refexp": range(12, 30), "retrieval": range(120, 210), "retrieval-hard": range(3200, 5200)}


def released_runs():
    """Names of the recipes that say they are a released run's, with the run."""
    named = {name: re.match(r"released run ([\w+-]+)", load_recipe(name).source) for name in shipped_recipes()}
    return {name: match[1] for name, match in named.items() if match}


@pytest.fixture(scope="module")
def settings(real_data_dir):
    """Settings of every released run, by name."""
    table = real_data_dir.parent / "recipes.csv"
    if not table.is_file():
        pytest.skip(f"{table} is absent: it lists the settings of the released runs")
    found = defaultdict(dict)
    with table.open(newline="") as rows:
        for row in csv.DictReader(rows):
            found[row["released run"]][row["setting"]] = row["value"]
    return {run: values for run, values in found.items() if "num_train_steps" in values}


def test_every_released_run_has_a_recipe(settings):
    assert set(settings) == set(released_runs().values())


@pytest.mark.parametrize("name", released_runs())
def test_values_are_the_released_ones(name, settings):
    recipe, values = load_recipe(name), settings[released_runs()[name]]
    clip = float(values["grad_norm"])
    expected = {
        "steps": int(values["num_train_steps"]),
        "seed": int(values["seed"]),
        "lr": float(values["learning_rate"]),
        "betas": tuple(literal_eval(values["betas"])),
        "weight_decay": float(values["weight_decay"]),
        "warmup steps": int(values["warmup_steps"]),
        "clip": max(clip, 0.0),
        "head_multiplier": float(values.get("lr_mul", 1)),
        "validation.every": int(values.get("valid_steps", recipe.validation.every)),
        "region_probability": float(values.get("mrm_prob", recipe.masking.region_probability)),
        "mismatch_probability": float(values.get("itm_neg_prob", recipe.masking.mismatch_probability)),
        "wra_weight": float(values.get("itm_ot_lambda", recipe.masking.wra_weight)),
        "head_layers": int(values.get("mlp", 1)),
        "margin": float(values.get("margin", 0.2)),
    }
    assert expected == {
        "steps": recipe.steps,
        "seed": recipe.seed,
        "lr": recipe.optimizer.lr,
        "betas": recipe.optimizer.betas,
        "weight_decay": recipe.optimizer.weight_decay,
        "warmup steps": round(recipe.optimizer.warmup * recipe.steps),
        "clip": recipe.optimizer.clip,
        "head_multiplier": recipe.optimizer.head_multiplier,
        "validation.every": recipe.validation.every,
        "region_probability": recipe.masking.region_probability,
        "mismatch_probability": recipe.masking.mismatch_probability,
        "wra_weight": recipe.masking.wra_weight,
        "head_layers": recipe.task.options.get("head_layers", 1),
        "margin": recipe.task.options.get("margin", 0.2),
    }
    assert f"-{recipe.model.preset}-" in released_runs()[name]


@pytest.mark.parametrize("name", released_runs())
def test_a_step_holds_as_many_units(name, settings):
    recipe, run = load_recipe(name), released_runs()[name]
    values = settings[run]
    devices = int(re.search(r"-(\d+)gpu", run)[1])
    counted = devices * int(values.get("gradient_accumulation_steps", 1)) * int(values["train_batch_size"])
    kind = recipe.task.name + ("-hard" if "hard_neg_size" in values else "")
    if kind in EXAMPLES:
        assert recipe.batch.units % counted == 0
        assert recipe.batch.units // counted in EXAMPLES[kind]
    else:
        assert recipe.batch.units == counted * SEQUENCES.get(kind, 1)


@pytest.mark.parametrize("name", [name for name, run in released_runs().items() if run.startswith("train-itm-")])
def test_negatives_are_as_many(name, settings):
    recipe, values = load_recipe(name), settings[released_runs()[name]]
    negatives, size = recipe.negatives, int(values["negative_size"])
    if "hard_neg_size" in values:
        assert (negatives.every, negatives.pool, negatives.keep) == (1, size, int(values["hard_neg_size"]))
    else:
        assert (negatives.every, negatives.images, negatives.texts) == (0, size, size)
    assert (recipe.validation.pairs == 0) == (values["full_val"] == "true")


@pytest.mark.parametrize("name", released_runs())
def test_the_mixture_is_the_released_one(name, settings):
    values = settings[released_runs()[name]]
    mixes = {key.removeprefix("mix "): mix for key, mix in values.items() if key.startswith("mix ")}
    recipe = load_recipe(name)
    weights = {
        (source, objective): data.weight * (recipe.tasks | data.tasks)[objective]
        for source, data in recipe.data.items()
        for objective in recipe.tasks
    }
    assert weights == {
        (source, OBJECTIVES[objective]): float(weight)
        for source, mix in mixes.items()
        for objective, weight in (part.split(":") for part in mix.split())
    }
