"""The model and the settings of its objectives, as a recipe and the data decide them."""

from uniter_cli.errors import UsageError
from uniter_cli.pair_source import PairSource
from uniter_cli.recipe import Recipe
from uniter_cli.sources import Sources, check_fit
from uniter_core import PRESETS, UniterConfig, key_of
from uniter_tasks import ObjectiveSettings, PretrainingModel, objective

__all__ = ["build_model", "build_settings", "lacking_labels"]


def lacking_labels(dataset: PairSource, task: str) -> str:
    """What a data set has instead of the labels that an objective needs; empty where it has them."""
    wanted = objective(task)
    if wanted.needs_labels and not dataset.num_classes:
        return "none"
    if wanted.needs_distributions and dataset.hard_labels:
        return "one class a region (mrc can do with that)"
    return ""


def build_settings(recipe: Recipe, sources: Sources) -> ObjectiveSettings:
    """How the objectives corrupt and weigh, with the data's vocabulary.

    Raises:
        UsageError: an objective needs soft labels, and a data set it trains on has none, or one class each.
    """
    for name, dataset in sources.train.items():
        for task, weight in (recipe.tasks | recipe.data[name].tasks).items():
            lack = lacking_labels(dataset, task)
            if weight and lack:
                raise UsageError(
                    f"{task} needs the soft labels of the regions, {name} has {lack}: leave it out of --tasks, "
                    f"or of this data set with --set data.{name}.tasks.{task}=0"
                )
    masking = recipe.masking
    return ObjectiveSettings(
        vocabulary=sources.any.vocabulary,
        word_probability=masking.word_probability,
        region_probability=masking.region_probability,
        masking=masking.masking,
        mismatch_probability=masking.mismatch_probability,
        wra_weight=masking.wra_weight,
    )


def build_model(recipe: Recipe, sources: Sources, settings: ObjectiveSettings) -> PretrainingModel:
    """A fresh model of the data's sizes, or the checkpoint the recipe starts from, widened where the data need it.

    Raises:
        UsageError: the preset or a field of it is unknown, the checkpoint does not fit the data, or a sentence of the
            data is longer than a fresh model's positions.
    """
    seed = key_of(recipe.seed, "init")
    if recipe.model.init:
        model = PretrainingModel.from_pretrained(
            recipe.model.init,
            settings,
            attention=recipe.model.attention,
            type_sources=sources.type_sources,
            max_positions=sources.longest,
            seed=seed,
        )
        check_fit(model.encoder.config, model.vocabulary, sources.any, origin=recipe.model.init)
        return model
    config = _config(recipe, sources)
    for _, split in sources.named:
        longest = int(split.text_lengths.max())
        if longest > config.max_positions:
            raise UsageError(
                f"{split.name} ({split.split}) has a sentence of {longest} tokens, the model {config.max_positions} "
                "positions: raise model.config.max_positions or import with --truncate"
            )
    return PretrainingModel(config, settings, seed=seed, attention=recipe.model.attention)


def _config(recipe: Recipe, sources: Sources) -> UniterConfig:
    if recipe.model.preset not in PRESETS:
        raise UsageError(f"model.preset {recipe.model.preset!r}: there are {', '.join(PRESETS)}")
    dataset = sources.any
    sizes = {
        "vocab_size": dataset.vocabulary.size,
        "region_dim": dataset.region_dim,
        "num_classes": dataset.num_classes or 2,
        "num_types": max(2, len(sources.type_sources)),
    }
    try:
        return PRESETS[recipe.model.preset](**(sizes | recipe.model.config))
    except TypeError as error:
        raise UsageError(f"model.config: {error}") from error
