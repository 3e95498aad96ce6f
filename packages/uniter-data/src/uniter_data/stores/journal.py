"""Writing beside and publishing by rename: the partial store and the journal of what is whole in it.

While `X` is written, `X.partial/` holds `store/` (what will become X) and `journal.jsonl`: a line of settings, then a
line a record, written after the record's data. A writer that was killed is opened again on the same path: it reads the
journal, cuts off what lies behind its last whole line, and goes on.
"""

import errno
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import zarr

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
        if self.path.exists():
            raise ValueError(f"{self.path} exists already: remove it, or choose another path")
        self.folder = self.path.with_name(self.path.name + ".partial")
        self.store = self.folder / "store"
        self.file = self.folder / "journal.jsonl"
        with report_full_disk(self.path):
            self.store.mkdir(parents=True, exist_ok=True)
            self._take_up(settings)
            self._out = FileIO(self.file, "ab")

    def records(self) -> Iterator[list[Any]]:
        """The records that are whole, in order."""
        with self.file.open(encoding="utf-8") as lines:
            next(lines)
            for line in lines:
                yield json.loads(line)

    def append(self, records: Iterable[list[Any]]) -> None:
        """Note records whose data are written."""
        left = memoryview("".join(_line(record) for record in records).encode())
        while left:
            left = left[self._out.write(left) :]

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

    def _take_up(self, settings: dict[str, Any]) -> None:
        """Read what stands there, dropping a line that was cut short; begin with the settings where nothing does."""
        raw = self.file.read_bytes() if self.file.exists() else b""
        whole = raw.rfind(b"\n") + 1
        if not whole:
            self.file.write_text(_line(settings), encoding="utf-8")
            return
        if whole < len(raw):
            with self.file.open("r+b") as file:
                file.truncate(whole)
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


def _line(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
