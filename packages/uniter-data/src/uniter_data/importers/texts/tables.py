"""Rows of text files: plain lines, CSV with its quotes, TSV without, JSON lines. What is wrong names file and line."""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

from uniter_data.annotations.fields import Fields, shortened
from uniter_data.importers.texts.damage import Damages

__all__ = ["FORMATS", "read_abreast", "read_lines", "read_table"]

FORMATS = (".csv", ".tsv", ".json", ".jsonl")
LONGEST = 1 << 20  # bytes of a line


def read_lines(path: Path, damages: Damages) -> Iterator[tuple[int, str]]:
    """The lines of a file, numbered from 1, without what ends them; a byte order mark at the beginning is passed over.

    Raises:
        ValueError: the file cannot be read; or, unless damaged lines are left out, a line is longer than 1 MiB or not
            UTF-8.
    """
    yield from damages.sift(lambda line: (line[0], _decoded(path, *line)), _raw_lines(path))


def read_abreast(paths: Sequence[Path], damages: Damages) -> Iterator[tuple[int, list[str]]]:
    """The lines of several files, each line with those it stands beside; a damaged one takes the others with it.

    Raises:
        ValueError: as `read_lines`; or one file has more lines than another.
    """

    def decoded(numbered: tuple[int, Sequence[bytes]]) -> tuple[int, list[str]]:
        number, raws = numbered
        return number, [_decoded(path, number, raw) for path, raw in zip(paths, raws, strict=True)]

    yield from damages.sift(decoded, _raw_abreast(paths))


def read_table(path: Path, wanted: Sequence[str], damages: Damages) -> Iterator[Fields]:
    """The records of a file of CSV or TSV with a header, or of JSON lines, as its suffix says.

    Args:
        path: of the file.
        wanted: columns that a header must have.
        damages: what becomes of wrong records.

    Yields:
        The fields of each record; those of CSV and TSV are strings.

    Raises:
        ValueError: the file cannot be read, its suffix is none of `FORMATS`, or its header lacks a column; or, unless
            damaged records are left out, a record is wrong.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path}: expected a file of {', '.join(FORMATS)}, got {suffix or 'no suffix'!r}: rename it")
    if suffix in (".json", ".jsonl"):
        filled = (line for line in read_lines(path, damages) if line[1].strip())
        yield from damages.sift(lambda line: _json(path, *line), filled)
        return
    rows = _csv_rows(path, damages) if suffix == ".csv" else _tsv_rows(path, damages)
    _, header = next(rows, (0, []))
    absent = [name for name in wanted if name not in header]
    if absent:
        raise ValueError(
            f"{path}: expected a header with {', '.join(map(repr, wanted))}, got {shortened(header)}: name "
            "the columns, or write them into the first line"
        )
    yield from damages.sift(lambda row: _record(path, header, *row), rows)


# ---------------------------------------------------------------------------------------------------------------------


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): correct the path") from error
    with file:
        for number, raw in enumerate(iter(lambda: _read_line(file), b""), start=1):
            yield number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw


def _raw_abreast(paths: Sequence[Path]) -> Iterator[tuple[int, Sequence[bytes]]]:
    for number, lines in enumerate(zip_longest(*map(_raw_lines, paths)), start=1):
        if None in lines:
            short, long = paths[lines.index(None)], next(p for p, line in zip(paths, lines, strict=True) if line)
            raise ValueError(
                f"{long}:{number}: {short} ends before it: expected files of as many lines, copy both again"
            )
        yield number, [raw for _, raw in lines]


def _read_line(file: BinaryIO) -> bytes:
    """A line with its end; of one that is too long a little more than is allowed, the rest passed over."""
    line = file.readline(LONGEST + 1)
    rest = line
    while len(rest) > LONGEST and not rest.endswith(b"\n"):
        rest = file.readline(LONGEST + 1)
    return line


def _decoded(path: Path, number: int, raw: bytes) -> str:
    if len(raw) > LONGEST:
        raise ValueError(f"{path}:{number}: expected a line of at most {LONGEST} bytes: mend or remove the line")
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}:{number}: not UTF-8 text ({error.reason} at byte {error.start}): save the file as UTF-8, or mend "
            "the line"
        ) from error


def _json(path: Path, number: int, line: str) -> Fields:
    try:
        return Fields(json.loads(line), f"{path}:{number}")
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}:{number}: expected a JSON object ({error}): mend or remove the line") from error


def _tsv_rows(path: Path, damages: Damages) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in read_lines(path, damages) if line.strip())


def _csv_rows(path: Path, damages: Damages) -> Iterator[tuple[int, list[str]]]:
    """A record may go on over lines, so that what is not UTF-8 is found only when the record is whole."""
    lines = (raw.decode(errors="surrogateescape") for _, raw in _raw_lines(path))
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            damages.note(
                ValueError(f"{path}:{reader.line_num}: not CSV ({error}): mend its quotes, or remove the record")
            )
        else:
            if row:
                yield reader.line_num, row


def _record(path: Path, header: list[str], number: int, row: list[str]) -> Fields:
    where = f"{path}:{number}"
    if len(row) != len(header):
        raise ValueError(f"{where}: expected {len(header)} fields, got {len(row)}: mend or remove the record")
    for name, value in zip(header, row, strict=True):
        if any("\udc80" <= character <= "\udcff" for character in value):
            raise ValueError(f"{where}: {name}: not UTF-8 text: save the file as UTF-8, or mend the record")
    values: dict[str, Any] = dict(zip(header, row, strict=True))
    return Fields(values, where)
