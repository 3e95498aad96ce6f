"""The pre-training objectives by name."""

from difflib import get_close_matches

from uniter_tasks.itm import ITM
from uniter_tasks.mlm import MLM
from uniter_tasks.mrc import MRC
from uniter_tasks.mrc_kl import MRC_KL
from uniter_tasks.mrfr import MRFR
from uniter_tasks.objective import Objective

__all__ = ["OBJECTIVES", "objective", "parse_tasks"]

OBJECTIVES: dict[str, Objective] = {each.name: each for each in (MLM, ITM, MRC, MRC_KL, MRFR)}


def objective(name: str) -> Objective:
    """The objective called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name == "wra":
        raise ValueError("wra is no objective of its own: it rides on itm (ObjectiveSettings.wra_weight)")
    if name not in OBJECTIVES:
        near = get_close_matches(name, OBJECTIVES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"objective {name!r}: expected one of {', '.join(OBJECTIVES)}{hint}")
    return OBJECTIVES[name]


def parse_tasks(tasks: str) -> tuple[str, ...]:
    """Names of objectives from a comma-separated list, in its order; `wra` may stand beside `itm`.

    Raises:
        ValueError: a name is unknown or stands twice, the list is empty, or `wra` stands without `itm`.

    >>> parse_tasks("mlm, itm, wra")
    ('mlm', 'itm', 'wra')
    """
    names = tuple(name for name in (part.strip() for part in tasks.split(",")) if name)
    if not names:
        raise ValueError(f"expected some of {', '.join((*OBJECTIVES, 'wra'))}, got none")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} stands twice in {tasks!r}")
        if name != "wra":
            objective(name)
    if "wra" in names and "itm" not in names:
        raise ValueError("wra rides on the batches of itm: add itm")
    return names
