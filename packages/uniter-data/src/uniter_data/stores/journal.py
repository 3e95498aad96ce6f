"""Writing beside and publishing by rename: the partial store and the journal of what is whole in it.

While `X` is written, `X.partial/` holds `store/` (what will become X) and `journal.jsonl`: a line of settings, then a
line a record, written after the record's data. A writer that was killed is opened again on the same path: it reads the
journal, cuts off what lies behind its last whole line, and goes on.
"""

import errno
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import zarr

if sys.platform != "win32":
    import fcntl

__all__ = ["Journal", "report_full_disk"]


class Journal:
    """The partial store of one path.

    Args:
        path: where the store will be published.
        settings: of the writer; a partial store begun with others is refused. Must survive a round trip through JSON.

    Raises:
        ValueError: the store is published already, or was begun with other settings.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any]) -> None:
        self.path = Path(path)
        self.folder = self.path.with_name(self.path.name + ".partial")
        self.store = self.folder / "store"
        self.file = self.folder / "journal.jsonl"
        self.failed = False  # whether something was cut short: only a new writer knows what is whole
        if self.path.exists():
            raise ValueError(f"{self.path} exists already: remove it, or choose another path")
        with report_full_disk(self.path):
            self.store.mkdir(parents=True, exist_ok=True)
            self._out = FileIO(self.file, "ab")
            try:
                _lock(self._out, self.path)
                self._take_up(settings)
            except BaseException:
                self._out.close()
                raise

    def records(self) -> Iterator[list[Any]]:
        """The records that are whole, in order."""
        with self.file.open(encoding="utf-8") as lines:
            next(lines)
            for line in lines:
                yield json.loads(line)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around everything that writes: once something failed, nothing more is written.

        Raises:
            ValueError: something failed before.
            OSError: the disk is full.
        """
        if self.failed:
            raise ValueError(f"{self.path}: writing failed before; open a new writer on this path to go on")
        self.failed = True
        with report_full_disk(self.path):
            yield
        self.failed = False

    def append(self, records: Iterable[list[Any]]) -> None:
        """Note records whose data are written."""
        self._append("".join(_line(record) for record in records))

    def begin_group(self, attributes: dict[str, Any], keep: Iterable[str] = ()) -> zarr.Group:
        """The group of the store to be published, without what an interrupted publication left.

        Args:
            attributes: of the group.
            keep: names of the arrays whose shards are written already.
        """
        for leftover in self.store.iterdir():
            if leftover.is_dir() and leftover.name in keep:
                (leftover / "zarr.json").unlink(missing_ok=True)
            elif leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        return zarr.create_group(self.store, attributes=attributes)

    def publish(self) -> Path:
        """Move the finished store to its place."""
        self.close()
        self.store.rename(self.path)
        shutil.rmtree(self.folder)
        return self.path

    def close(self) -> None:
        """Let go of the file."""
        self._out.close()

    def _append(self, text: str) -> None:
        left = memoryview(text.encode())
        while left:
            left = left[self._out.write(left) :]

    def _take_up(self, settings: dict[str, Any]) -> None:
        """Read what stands there, dropping a line that was cut short; begin with the settings where nothing does."""
        raw = self.file.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if not whole:
            self._out.truncate(0)
            self._append(_line(settings))
            return
        if whole < len(raw):
            self._out.truncate(whole)
        begun = json.loads(raw[: raw.index(b"\n")])
        for name, value in json.loads(_line(settings)).items():
            if begun.get(name) != value:
                raise ValueError(
                    f"{self.folder} was begun with {name} = {_short(begun.get(name))}, now it is {_short(value)}: "
                    "go on with the former, or remove the folder and begin anew"
                )


@contextmanager
def report_full_disk(path: Path) -> Iterator[None]:
    """Say of a full disk what was being written and how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            error.errno,
            "the disk is full, nothing was published: free some space and run the same command again to go on",
            str(path),
        ) from error


def _lock(file: FileIO, path: Path) -> None:
    """Keep other processes from writing the same store; the lock goes with the process, however it ends."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"{path} is being written by another process: wait for it, or stop it") from error


def _line(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
