"""Reads annotation files a record at a time: JSON lines, and the arrays inside one large JSON document.

The annotations of VQA are one JSON object of several hundred megabytes; as Python objects they would fill some
gigabytes. Only one element of its arrays is in memory here at any time.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from uniter_data.annotations.fields import shortened

__all__ = ["Member", "read_lines", "read_members"]

CHUNK = 1 << 20  # characters read at once
BEHIND = tuple(",]} \t\r\n")  # what may stand behind a number


# A value of a document: the key of a member of its object (empty where the document is an array), the index of an
# element where that member is an array (None where it is none, or empty), and the member's or the element's value.
Member = tuple[str, int | None, Any]


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, with the numbers of their lines from 1. Empty lines are passed over.

    Raises:
        ValueError: the file cannot be read, or a line is no JSON object; the message names file and line.
    """
    with _open(path) as file:
        number = 0
        try:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError(f"{path}:{number}: expected a JSON object, got {shortened(record)}: mend the line")
                yield number, record
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            where = number + isinstance(error, UnicodeDecodeError)
            raise ValueError(f"{path}:{where}: expected a JSON object ({error}): copy the file again") from error


def read_members(path: Path) -> Iterator[Member]:
    """The members of a JSON document, arrays element by element, in the order in which they stand there.

    Yields:
        The key, the element's index (None where the member is no array, or an empty one) and the value.

    Raises:
        ValueError: the file cannot be read or is no JSON object or array; the message says where it stops being one.
    """
    with _open(path) as file:
        scanner = _Scanner(path, file)
        opening = scanner.peek()
        if opening == "[":
            yield from _elements(scanner, "")
        elif opening == "{":
            yield from _object(scanner)
        else:
            scanner.fail("a JSON object or array")
        if scanner.peek():
            scanner.fail("the end of the file")


# ---------------------------------------------------------------------------------------------------------------------


def _object(scanner: "_Scanner") -> Iterator[Member]:
    scanner.take("{")
    while scanner.peek() != "}":
        key = scanner.value()
        if not isinstance(key, str):
            scanner.fail("the name of a member")
        scanner.take(":")
        if scanner.peek() == "[":
            yield from _elements(scanner, key)
        else:
            yield key, None, scanner.value()
        if scanner.peek() != "}":
            scanner.take(",")
    scanner.take("}")


def _elements(scanner: "_Scanner", key: str) -> Iterator[Member]:
    scanner.take("[")
    index = 0
    while scanner.peek() != "]":
        yield key, index, scanner.value()
        index += 1
        if scanner.peek() != "]":
            scanner.take(",")
    scanner.take("]")
    if not index:
        yield key, None, []


class _Scanner:
    """A window that moves over the text of a document."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path = path
        self._file = file
        self._decoder = json.JSONDecoder()
        self._window = ""
        self._at = 0
        self._before = 0  # characters that have left the window
        self._ended = False

    def peek(self) -> str:
        """The next character that is not white; empty at the end."""
        while True:
            while self._at < len(self._window):
                if not self._window[self._at].isspace():
                    return self._window[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._read_on()

    def take(self, character: str) -> None:
        """Pass over this character, which must be the next."""
        if self.peek() != character:
            self.fail(repr(character))
        self._at += 1

    def value(self) -> Any:
        """The next value as a whole."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._window, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                if self._ended or isinstance(error, RecursionError):
                    self.fail("a JSON value")
            else:
                # a number may go on behind the window's edge, even if its beginning is one: 1 of 1.5, or of 1e5
                if self._ended or self._window[end : end + 1] in BEHIND or not isinstance(value, (int, float)):
                    self._at = end
                    return value
            self._read_on()

    def fail(self, expected: str) -> NoReturn:
        """Say where the document is wrong."""
        rest = self._window[self._at : self._at + 20]
        raise ValueError(
            f"{self._path}: expected {expected} at character {self._before + self._at}, "
            f"got {rest!r}: copy the file again"
            if rest
            else f"{self._path}: expected {expected}, but the file ends there: copy the file again"
        )

    def _read_on(self) -> None:
        # twice as much each time, so that one huge value is not parsed over and over
        left = self._window[self._at :]
        try:
            more = self._file.read(max(CHUNK, len(left)))
        except UnicodeDecodeError as error:
            raise ValueError(f"{self._path} is not UTF-8 text ({error.reason}): copy the file again") from error
        self._before += self._at
        self._window, self._at, self._ended = left + more, 0, not more


def _open(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): correct the path") from error
