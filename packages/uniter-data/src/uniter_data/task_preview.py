"""A contact sheet of a task's data set: pictures with the question or statement, and what is right.

R regions of an example's images.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uniter_core import Example, key_of, permutation
from uniter_data.contact_sheet import CARD, COLOURS, Card, blank, draw_sheet, fitted, wrapped
from uniter_data.examples import ExampleDataset

__all__ = ["draw_task_preview"]

BETWEEN = 8  # pixels between two pictures of one example
RIGHT, OTHER = 0, -1  # a line in the first region's colour, or in ink
CHOICES = "ABCD"

# (texts, annotation) -> lines, each RIGHT or OTHER
Lines = Callable[[Sequence[str], Mapping[str, Any]], list[tuple[str, int]]]


def draw_task_preview(dataset: ExampleDataset, path: str | Path, *, count: int = 12, seed: int = 0) -> Path:
    """Draw some examples of a task with what is right in colour. A referring expression's object has its box drawn.

    Args:
        dataset: to look at.
        path: of the PNG to write.
        count: examples, at most as many as there are.
        seed: which ones.

    Returns:
        The path.

    Raises:
        ValueError: `count` is below 1, or the data set is of a task that is not known here.
    """
    if count < 1:
        raise ValueError(f"count: expected at least 1, got {count}")
    if dataset.task not in LINES:
        raise ValueError(f"dataset: expected one of the tasks {', '.join(LINES)}, got {dataset.task!r}")
    chosen = permutation(key_of(seed, "task preview"), len(dataset))[:count].tolist()
    cards = [_card(dataset, index) for index in chosen]
    facts = f"{len(dataset):,} examples"
    return draw_sheet(cards, path, title=f"{dataset.name} · {dataset.split}", facts=facts)


# ---------------------------------------------------------------------------------------------------------------------


def _card(dataset: ExampleDataset, index: int) -> Card:
    example = dataset.example(index)
    lines = LINES[dataset.task](dataset.sentences(index), example.annotation)
    boxes, colours = _box(example)
    return Card(
        picture=_pictures(dataset, index, len(example.images)),
        boxes=boxes,
        colours=colours,
        sentences=[wrapped([(word, colour) for word in text.split()]) for text, colour in lines],
        left_out=0,
    )


def _pictures(dataset: ExampleDataset, index: int, number: int) -> Image.Image:
    """The example's pictures side by side."""
    width = (CARD - BETWEEN * (number - 1)) // number
    pictures = [fitted(dataset.picture(index, image) or blank(width, width), width) for image in range(number)]
    sheet = Image.new("RGB", (CARD if number > 1 else pictures[0].width, max(p.height for p in pictures)), "#ffffff")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place * (width + BETWEEN), 0))
    return sheet


def _box(example: Example) -> tuple[NDArray[np.float32], list[str | None]]:
    """The gold box, if there is one, and the colour of it and of lines that are right."""
    if "box" not in example.annotation:
        return np.zeros((0, 4), dtype=np.float32), [COLOURS[0]]
    (x, y, width, height), (of_width, of_height) = example.annotation["box"], example.annotation["size"]
    box = np.array([[x, y, x + width, y + height]]) / np.array([of_width, of_height, of_width, of_height])
    return box.astype(np.float32), [COLOURS[0]]


def _vqa(texts: Sequence[str], annotation: Mapping[str, Any]) -> list[tuple[str, int]]:
    answers = annotation.get("answers", [])
    counted = sorted(((answers.count(answer), answer) for answer in set(answers)), reverse=True)
    return [(texts[0], OTHER), (", ".join(f"{answer} ({number})" for number, answer in counted), RIGHT)]


def _labelled(texts: Sequence[str], annotation: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(texts[0], OTHER), (str(annotation.get("label", "")), RIGHT)]


def _refexp(texts: Sequence[str], annotation: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(texts[0], RIGHT)]


def _vcr(texts: Sequence[str], annotation: Mapping[str, Any]) -> list[tuple[str, int]]:
    question, choices = texts[0], texts[1:]
    right = (annotation.get("answer_label"), annotation.get("rationale_label"))
    lines = [(question, OTHER)]
    for place, text in enumerate(choices):
        group, number = divmod(place, len(CHOICES))
        lines.append((f"{CHOICES[number]}: {text}", RIGHT if right[group] == number else OTHER))
    return lines


LINES: dict[str, Lines] = {
    "vqa": _vqa,
    "nlvr2": _labelled,
    "snli-ve": _labelled,
    "refexp": _refexp,
    "vcr": _vcr,
}
