"""What a pre-trained model knows that no objective's own metric tells: the lines of the test table.

How much of the words it takes from the image, zero-shot retrieval, and where nouns look. Each probe runs where the data
allow it (gold word-region links; a hundred pictures) and says nothing elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from accelerate import Accelerator

from uniter_cli.pair_source import PairSource
from uniter_cli.recipe import Recipe
from uniter_cli.validation import measure
from uniter_core import Sample, key_of, permutation
from uniter_tasks import ObjectiveSettings, PretrainingModel
from uniter_tasks.alignment import AttentionAlignment, attention_alignment
from uniter_tasks.grid import score_grid
from uniter_tasks.metrics import recall_at

__all__ = ["evaluate"]

GALLERY = 100  # pictures (and one sentence of each) of the zero-shot retrieval
ALIGNMENT_PAIRS = 500


def evaluate(
    model: PretrainingModel,
    accelerator: Accelerator,
    *,
    test: Mapping[str, PairSource],
    val: Mapping[str, PairSource],
    recipe: Recipe,
    settings: ObjectiveSettings,
    busy: Callable[[str], Callable[[int, int], None]],
) -> dict[str, float]:
    """Every metric of the test split: the objectives' own and the probes'.

    Args:
        model: unwrapped.
        accelerator: whose processes share the objectives' batches; the probes run on each alike.
        test, val: splits by name; what has to be chosen (the attention head) is chosen on `val`.
        recipe: tasks, and how much to measure.
        settings: of the objectives.
        busy: gives a progress callback for a named piece of work.
    """
    tasks = list(recipe.tasks)
    found = measure(model, accelerator, test, tasks, settings, recipe.validation, progress=busy("test split"))
    if "mlm" in tasks:
        other = measure(
            model, accelerator, test, ["mlm"], settings, recipe.validation,
            another_picture=True, progress=busy("with another picture"),
        )  # fmt: skip
        found |= {f"{name}_with_another_picture": value for name, value in other.items()}
        if "mlm/content_accuracy" in found:
            found["mlm/content_gain"] = found["mlm/content_accuracy"] - other["mlm/content_accuracy"]
    if "itm" in tasks:
        found |= _retrieval(model, test, units=recipe.validation.units, progress=busy("retrieval"))
    found |= _attention(model, test, val, units=recipe.validation.units, progress=busy("attention"))
    return found


# ---------------------------------------------------------------------------------------------------------------------


def _retrieval(
    model: PretrainingModel, test: Mapping[str, PairSource], *, units: int, progress: Callable[[int, int], None]
) -> dict[str, float]:
    """R@1, 5 and 10 of the first data set with enough pictures, one sentence a picture, by the ITM head alone."""
    for dataset in test.values():
        firsts = np.unique(dataset.image_rows, return_index=True)[1]
        if len(firsts) < GALLERY:
            continue
        chosen = firsts[permutation(key_of("gallery"), len(firsts))[:GALLERY].numpy()]
        samples = dataset.samples(chosen)
        scores = score_grid(model, samples, samples, units=units, progress=progress)
        truth = np.eye(len(samples), dtype=bool)
        found = {}
        for k in (1, 5, 10):
            found[f"retrieval/image_recall@{k}"] = recall_at(scores, truth, k)
            found[f"retrieval/text_recall@{k}"] = recall_at(scores.T, truth.T, k)
        return found
    return {}


def _attention(
    model: PretrainingModel,
    test: Mapping[str, PairSource],
    val: Mapping[str, PairSource],
    *,
    units: int,
    progress: Callable[[int, int], None],
) -> dict[str, float]:
    """How often the best head's attention from a gold noun falls most on its gold region; `val` chooses the head."""
    for name, dataset in test.items():
        if not dataset.has_gold or name not in val:
            continue
        on_val: AttentionAlignment = attention_alignment(
            model.encoder, _some(val[name]), units=units, progress=progress
        )
        on_test: AttentionAlignment = attention_alignment(model.encoder, _some(dataset), units=units, progress=progress)
        layer, head = on_val.best
        return {
            "attention/best_head": on_test.accuracy[layer][head],
            "attention/chance": on_test.chance,
        }
    return {}


def _some(dataset: PairSource) -> Sequence[Sample]:
    order = permutation(key_of("alignment", dataset.split), len(dataset))[:ALIGNMENT_PAIRS]
    return dataset.samples(order.numpy())
