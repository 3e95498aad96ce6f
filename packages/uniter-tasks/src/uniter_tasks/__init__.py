"""UNITER pre-training objectives, heads and metrics."""

from uniter_tasks.alignment import AttentionAlignment, PlanAlignment, attention_alignment, plan_alignment
from uniter_tasks.batch import TaskBatch
from uniter_tasks.grid import score_grid
from uniter_tasks.loss import Loss
from uniter_tasks.majority import MajorityBaseline
from uniter_tasks.metrics.retrieval import recall_at
from uniter_tasks.objective import Objective
from uniter_tasks.objectives import OBJECTIVES, objective, parse_tasks
from uniter_tasks.pretraining import PretrainingModel
from uniter_tasks.settings import ObjectiveSettings

__all__ = [
    "OBJECTIVES",
    "AttentionAlignment",
    "Loss",
    "MajorityBaseline",
    "Objective",
    "ObjectiveSettings",
    "PlanAlignment",
    "PretrainingModel",
    "TaskBatch",
    "attention_alignment",
    "objective",
    "parse_tasks",
    "plan_alignment",
    "recall_at",
    "score_grid",
]

__version__ = "0.1.0"
