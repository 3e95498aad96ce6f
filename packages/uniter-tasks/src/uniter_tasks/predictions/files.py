"""Files that are there whole or not at all, and the lines and entries of those that are read."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["field", "read_json", "replacing", "text_lines"]


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write, which takes the place of `path` when all is written; on an error nothing is left behind."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    encoding = None if "b" in mode else "utf-8"
    newline = None if "b" in mode else ""
    try:
        with beside.open(mode, encoding=encoding, newline=newline) as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def text_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place (file and number from 1) and text of each line that is not blank."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{path}:{number}", line.strip()


def read_json(text: str, where: str) -> Any:
    """The value that the text holds.

    Raises:
        ValueError: it is not JSON; the message says where.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where}: not JSON ({error}): write the file again") from error


def field(entry: Any, name: str, kinds: tuple[type, ...], where: str) -> Any:
    """A field of a JSON object.

    Raises:
        ValueError: the entry is no object, or the field is absent or of another kind; the message says where.
    """
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, kinds) or isinstance(value, bool):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{where}: expected an object with {name!r} ({expected}), got {entry!s:.60}")
    return value
