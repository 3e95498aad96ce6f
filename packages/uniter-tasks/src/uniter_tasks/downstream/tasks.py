"""The downstream tasks by name."""

from difflib import get_close_matches

from uniter_tasks.downstream.nlvr2 import NLVR2
from uniter_tasks.downstream.refexp import REFEXP
from uniter_tasks.downstream.retrieval import RETRIEVAL
from uniter_tasks.downstream.snli_ve import SNLI_VE
from uniter_tasks.downstream.task import Task
from uniter_tasks.downstream.vcr import VCR
from uniter_tasks.downstream.vqa import VQA

__all__ = ["TASKS", "task"]

TASKS: dict[str, Task] = {each.name: each for each in (VQA, VCR, NLVR2, SNLI_VE, RETRIEVAL, REFEXP)}


def task(name: str) -> Task:
    """The task called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.

    >>> task("nlvr")
    Traceback (most recent call last):
    ValueError: task 'nlvr': expected one of vqa, vcr, nlvr2, snli-ve, retrieval, refexp; did you mean nlvr2?
    """
    if name not in TASKS:
        near = get_close_matches(name, TASKS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"task {name!r}: expected one of {', '.join(TASKS)}{hint}")
    return TASKS[name]
