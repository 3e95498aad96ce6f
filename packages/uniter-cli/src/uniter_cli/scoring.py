"""Scores of predictions: the annotations they are held against, and what is asked of the scorer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from uniter_cli.errors import UsageError
from uniter_cli.sources import SCENES, locate
from uniter_data.annotations import annotation_records
from uniter_data.examples import holds_examples, stored_annotations
from uniter_tasks.metrics import read_phenomena, read_subset
from uniter_tasks.predictions import FORMATS, ScoreOptions

__all__ = ["check_out", "check_task", "naming", "read_annotations", "score_options"]


def check_task(task: str) -> None:
    """
    Raises:
        UsageError: it is not a task whose predictions are answers.
    """
    if task not in FORMATS:
        hint = ": it is scored from its score matrix" if task == "retrieval" else ""
        raise UsageError(f"task: expected one of {', '.join(FORMATS)}, got {task!r}{hint}")


def check_out(task: str, out: Path) -> None:
    """Make the folder of a file that predictions go to, before they cost anything.

    Raises:
        UsageError: its name does not end as the task's official file does.
    """
    suffix = FORMATS[task].suffix
    if out.suffix != suffix:
        raise UsageError(f"--out {out}: expected a name that ends in {suffix}, as the official files of {task} do")
    out.parent.mkdir(parents=True, exist_ok=True)


def read_annotations(
    task: str,
    paths: Sequence[str],
    split: str | None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """The annotations of a split, from a task's data set (`test` unless told otherwise) or from official files.

    Raises:
        UsageError: files of refexp hold all splits, and none is named.
        ValueError, OSError: see `annotation_records`, `stored_annotations`.
    """
    if len(paths) == 1 and (paths[0].startswith(SCENES) or holds_examples(Path(paths[0]).expanduser())):
        return stored_annotations(locate(paths[0], progress), task, split or "test")
    if task == "refexp" and not split:
        raise UsageError("--split: the file holds all splits, name one, such as val, testA or testB")
    return annotation_records(task, [Path(path).expanduser() for path in paths], split=split or "")


@contextmanager
def naming(paths: Sequence[str]) -> Iterator[None]:
    """What the scorer says of a record, which it knows without its file, begins with the file's name.

    >>> with naming(["val.json"]):
    ...     raise ValueError("record 7 has no 'answers'")
    Traceback (most recent call last):
    ValueError: val.json: record 7 has no 'answers'
    """
    try:
        yield
    except ValueError as error:
        if str(error).startswith("record"):
            raise ValueError(f"{', '.join(paths)}: {error}") from error
        raise


def score_options(task: str, subsets: Mapping[str, Path | None], phenomena: Path | None) -> ScoreOptions:
    """What the command line asks of NLVR2's scorer beyond its two figures.

    Args:
        task: its name.
        subsets: name → file of the examples, None where there is none.
        phenomena: file of sentences with the phenomena that each shows.

    Raises:
        UsageError: another task has no such subsets.
        ValueError, OSError: a file is missing or of another format.
    """
    given = {name: path for name, path in subsets.items() if path is not None}
    if task != "nlvr2" and (given or phenomena):
        option = next(iter(given), "phenomena")
        raise UsageError(f"--{option}: {task} has no such subset, nlvr2 has")
    return ScoreOptions(
        subsets={name: read_subset(path) for name, path in given.items()},
        phenomena=read_phenomena(phenomena) if phenomena else {},
    )
