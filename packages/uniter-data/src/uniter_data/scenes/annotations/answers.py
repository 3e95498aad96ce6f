"""Ten people's answers to a question: most are right, the others say what is easily taken for it."""

import numpy as np

from uniter_data.scenes.world import pick

__all__ = ["MOST_WRONG", "PEOPLE", "ten_answers"]

PEOPLE = 10
MOST_WRONG = 4  # the right answer is always the most frequent one
WRONG = 0.12  # how often a person errs
WRONG_YES_NO = 0.05

CONFUSABLE: dict[str, tuple[str, ...]] = {
    "red": ("orange", "pink"),
    "green": ("turquoise",),
    "blue": ("purple", "turquoise"),
    "yellow": ("orange",),
    "purple": ("blue", "pink"),
    "orange": ("red", "yellow", "brown"),
    "pink": ("red", "purple"),
    "brown": ("black", "orange"),
    "black": ("brown",),
    "turquoise": ("green", "blue"),
    "plain": ("dotted",),
    "striped": ("checkered",),
    "dotted": ("checkered", "plain"),
    "checkered": ("striped", "dotted"),
    "ball": ("ring",),
    "box": ("house", "kite"),
    "cone": ("tree",),
    "star": ("cross", "kite"),
    "ring": ("ball", "moon"),
    "cross": ("star",),
    "heart": ("ball",),
    "moon": ("ring",),
    "kite": ("box", "star"),
    "house": ("box",),
    "tree": ("cone", "house"),
    "fish": ("heart", "kite"),
    "curtain": ("box",),
    "yes": ("no",),
    "no": ("yes",),
}


def ten_answers(answer: str, rng: np.random.Generator) -> list[str]:
    """What ten people say of whom each may err.

    Args:
        answer: the right one: a word of the world, "yes", "no", or a number in digits.
        rng: draws who errs, and how.
    """
    wrong = rng.random(PEOPLE) < (WRONG_YES_NO if answer in ("yes", "no") else WRONG)
    wrong &= np.cumsum(wrong) <= MOST_WRONG
    return [pick(rng, _confusable(answer)) if errs else answer for errs in wrong.tolist()]


def _confusable(answer: str) -> tuple[str, ...]:
    """
    >>> _confusable("0"), _confusable("3")
    (('1',), ('2', '4'))
    """
    if answer.isdigit():
        return tuple(str(number) for number in (int(answer) - 1, int(answer) + 1) if number >= 0)
    return CONFUSABLE[answer]
