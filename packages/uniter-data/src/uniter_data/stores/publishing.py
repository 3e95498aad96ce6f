"""How a data set comes to its place: written beside it, moved there when it is whole, naming its stores from there."""

import os
import shutil
from pathlib import Path

from uniter_data.stores.locations import is_remote

__all__ = ["beside", "publish", "relative_to"]


def beside(target: Path) -> Path:
    """Where a data set is written before it is published; what an interrupted import left there is removed.

    Raises:
        ValueError: the data set exists already.
    """
    if target.exists():
        raise ValueError(f"{target} exists already: remove it, or choose another path")
    folder = target.with_name(target.name + ".partial")
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def publish(target: Path) -> None:
    """Move the finished data set to its place."""
    target.with_name(target.name + ".partial").rename(target)


def relative_to(target: Path, place: str | Path) -> str:
    """A store as the manifest in `target` names it: a relative path, or the URL as it is."""
    if is_remote(str(place)):
        return str(place)
    return Path(os.path.relpath(Path(place).resolve(), target.resolve())).as_posix()
