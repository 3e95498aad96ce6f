"""Annotations of the in-domain pictures of scenes for every downstream task, in the tasks' official file formats."""

from uniter_data.scenes.annotations.generate import VERSION, ensure_annotations, generate_annotations
from uniter_data.scenes.annotations.task_data import TASK_DATA, ensure_task_data, import_task_data

__all__ = [
    "TASK_DATA",
    "VERSION",
    "ensure_annotations",
    "ensure_task_data",
    "generate_annotations",
    "import_task_data",
]
