"""What answers reach that do not look: the most frequent one of all, or of each type of question."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from uniter_cli.predicting import baselines
from uniter_cli.recipe_files import load_recipe
from uniter_cli.task_sources import open_task_sources
from uniter_tasks.predictions import ScoreOptions, constant_predictions, prediction_format, score

__all__ = ["TYPES", "accuracy_by_type", "scene_priors"]

# The field of an annotation of scenes that tells its type.
TYPES = {"vqa": "question_type", "nlvr2": "synset"}

Annotations = Iterable[Mapping[str, Any]]


def scene_priors(task: str) -> dict[str, dict[str, float]]:
    """By metric, on the test split of scenes: `constant`, the most frequent answer of the training split; `by_type`."""
    sources = open_task_sources(task, load_recipe(f"{task}-quickstart").data)
    if sources.test is None:
        return {"constant": {}, "by_type": {}}
    constant = baselines(sources.train, sources.test)
    return {
        "constant": {name.removeprefix(f"{task}/"): value for name, value in constant.items()},
        "by_type": (
            {"accuracy": accuracy_by_type(task, sources.train.annotations(), sources.test.annotations())}
            if task in TYPES
            else {}
        ),
    }


def accuracy_by_type(task: str, training: Annotations, records: Annotations) -> float:
    """Accuracy of answering each record as most training records of its type are.

    >>> training = [{"synset": "all", "label": True}, {"synset": "none", "label": False}]
    >>> records = [{"synset": "all", "label": True}, {"synset": "none", "label": True}]
    >>> named = [{"identifier": f"dev-{row}-0-0", "sentence": "", **record} for row, record in enumerate(records)]
    >>> accuracy_by_type("nlvr2", training, named)
    0.5
    """
    typical, asked = _by_type(task, training), _by_type(task, records)
    id_field = prediction_format(task).id_field
    right = 0.0
    for kind, group in asked.items():
        said = constant_predictions(task, typical[kind], [str(record[id_field]) for record in group])
        right += len(group) * score(said, group, ScoreOptions(draws=0))["accuracy"]
    return right / sum(map(len, asked.values()))


def _by_type(task: str, records: Annotations) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        found[record[TYPES[task]]].append(record)
    return found
