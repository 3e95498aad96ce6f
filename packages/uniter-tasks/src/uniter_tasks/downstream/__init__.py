"""The six downstream tasks: layout, head, loss and answers of each, and the model that is fine-tuned."""

from uniter_tasks.downstream.hard_negatives import HARD, pool_of
from uniter_tasks.downstream.model import DownstreamModel
from uniter_tasks.downstream.retrieval import group, match_scores
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.downstream.task import SecondStage, Task
from uniter_tasks.downstream.tasks import TASKS, task
from uniter_tasks.downstream.vqa import answer_scores, build_answers

__all__ = [
    "HARD",
    "TASKS",
    "DownstreamModel",
    "SecondStage",
    "Task",
    "TaskSettings",
    "answer_scores",
    "build_answers",
    "group",
    "match_scores",
    "pool_of",
    "task",
]
