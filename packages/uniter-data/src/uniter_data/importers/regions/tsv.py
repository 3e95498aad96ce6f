"""Files of tab-separated lines whose columns are base64 of arrays: read line after line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from uniter_data.importers.regions.record import RawRecord

try:  # some thirty times as fast
    from pybase64 import b64decode
except ImportError:
    from base64 import b64decode

__all__ = ["TsvFiles", "decode_column", "split_columns"]

LONGEST = 1 << 26  # bytes of a line: what is longer has lost its line feeds
BUFFER = 1 << 22  # of a file: lines are long, and joined of what the buffer held


class TsvFiles:
    """The lines of some files.

    Args:
        paths: of the files, in order.

    Raises:
        ValueError: there is none, or one cannot be read.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.paths = [Path(path) for path in paths]
        if not self.paths:
            raise ValueError("expected one TSV file at least, got none")
        missing = next((path for path in self.paths if not path.is_file()), None)
        if missing:
            raise ValueError(f"{missing} is no file: correct the path")
        self._read = 0
        self._total = sum(path.stat().st_size for path in self.paths)

    def records(self) -> Iterator[RawRecord]:
        """Each line as a record: its image is the first column, its data the line; empty lines are passed over.

        Raises:
            ValueError: a line is too long to be one, or the index beside a file (`.lineidx`) has its lines elsewhere.
        """
        for path in self.paths:
            places = _read_places(path.with_suffix(".lineidx"))
            number = place = 0
            with path.open("rb", buffering=BUFFER) as file:
                while line := file.readline(LONGEST):
                    number += 1
                    where = f"{path}:{number}"
                    if len(line) == LONGEST:
                        raise ValueError(f"{where} has no end within {LONGEST:,} bytes: copy the file again")
                    if places is not None and places[number - 1 : number] != [place]:
                        raise ValueError(f"{where} is not where {path.stem}.lineidx has it: copy both files again")
                    place += len(line)
                    self._read += len(line)
                    if line.strip():
                        yield _record(path.name, where, line)
            if places is not None and number < len(places):
                raise ValueError(f"{path} is cut short: expected {len(places):,} lines, got {number:,}: copy it again")

    def progress(self) -> tuple[int, int]:
        """Bytes read, of how many."""
        return self._read, self._total


def split_columns(line: bytes) -> list[memoryview]:
    """The columns of a line, without a copy: most of them are long.

    >>> [bytes(column) for column in split_columns(b"cat\\t36\\r\\n")]
    [b'cat', b'36']
    """
    end = len(line)
    while end and line[end - 1] in b"\r\n":
        end -= 1
    columns, start, whole = [], 0, memoryview(line)
    while (tab := line.find(b"\t", start, end)) >= 0:
        columns.append(whole[start:tab])
        start = tab + 1
    return [*columns, whole[start:end]]


def decode_column(name: str, text: memoryview | str, dtype: DTypeLike) -> NDArray[Any]:
    """The numbers of a column.

    Args:
        name: for messages.
        text: base64 of an array.
        dtype: of the array.

    Raises:
        ValueError: it is no base64, or no whole array.

    >>> decode_column("boxes", "AACAPwAAAEA=", "<f4").tolist()
    [1.0, 2.0]
    """
    try:
        return np.frombuffer(b64decode(text, validate=True), dtype)
    except ValueError as error:
        raise ValueError(f"{name}: no base64 of {np.dtype(dtype).name} ({error})") from error


# ---------------------------------------------------------------------------------------------------------------------


def _record(file: str, where: str, line: bytes) -> RawRecord:
    try:
        image = line[: line.index(b"\t")].decode().strip()
    except ValueError:
        problem = "expected columns behind tabs, the first a name in UTF-8"
        return RawRecord(image="", file=file, where=where, data=line, problem=problem)
    problem = "" if image else "expected a name in the first column, got none"
    return RawRecord(image=image, file=file, where=f"{where} ({image})", data=line, problem=problem)


def _read_places(file: Path) -> list[int] | None:
    """Where lines begin, as the index of a file says; None where there is no index."""
    try:
        return [int(place) for place in file.read_text().split()]
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}): copy it again, or remove it") from error
