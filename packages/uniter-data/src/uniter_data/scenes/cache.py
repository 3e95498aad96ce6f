"""Things that are made once and kept: waiting for whoever makes one already."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["made_once"]


def made_once(folder: Path, make: Callable[[], object]) -> Path:
    """The folder, made if it is not there; of several processes that ask, one makes it and the others wait.

    Args:
        folder: which `make` has to put in its place by renaming.
        make: makes it.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(f"{folder.name}.lock")):
            if not folder.exists():
                make()
    return folder


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Wait until no other process of this machine is inside; the lock goes with the process, however it ends."""
    with path.open("w") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
