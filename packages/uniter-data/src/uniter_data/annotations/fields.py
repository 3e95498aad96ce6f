"""Reads the fields of one record, and says of one that is wrong what was expected there and what to do."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

__all__ = ["Fields", "Seen", "shortened"]

REMEDY = "mend or remove the record"


class Fields:
    """The fields of a record.

    Args:
        raw: the record.
        where: names file and record in messages.

    >>> Fields({"label": "maybe"}, "dev.json:3").choice("label", ("yes", "no"))
    Traceback (most recent call last):
    ValueError: dev.json:3: label: expected one of 'yes', 'no', got 'maybe': mend or remove the record
    """

    def __init__(self, raw: Any, where: str) -> None:
        self.where = where
        if not isinstance(raw, Mapping):
            raise ValueError(f"{where}: expected an object, got {shortened(raw)}: {REMEDY}")
        self.raw = raw

    def text(self, name: str, *, empty: bool = False) -> str:
        """A string, not of white alone unless it may be `empty`."""
        value = self.raw.get(name)
        if not isinstance(value, str) or not (empty or value.strip()):
            self.fail(name, "a string" if empty else "a string that is not empty", value)
        return value

    def integer(self, name: str, *, least: int = 0, most: int | None = None) -> int:
        """A whole number from `least` to `most`."""
        value: Any = self.raw.get(name)
        # JSON as some tools write it has whole numbers as floats
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not whole or value != int(value) or value < least or (most is not None and value > most):
            self.fail(name, f"a whole number from {least}" + ("" if most is None else f" to {most}"), value)
        return int(value)

    def choice(self, name: str, options: Sequence[str]) -> str:
        """One of these strings."""
        value = self.raw.get(name)
        if value not in options:
            self.fail(name, "one of " + ", ".join(map(repr, options)), value)
        return str(value)

    def items(self, name: str, *, count: int | None = None) -> list[Any]:
        """A list, of `count` items if that is given."""
        value = self.raw.get(name)
        if not isinstance(value, (list, tuple)) or (count is not None and len(value) != count):
            self.fail(name, "a list" + ("" if count is None else f" of {count} items"), value)
        return list(value)

    def numbers(self, name: str, *, count: int) -> tuple[float, ...]:
        """So many finite numbers."""
        values = self.items(name, count=count)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                self.fail(name, f"{count} finite numbers", values)
        return tuple(float(value) for value in values)

    def within(self, name: str, index: int) -> "Fields":
        """The fields of one item of a list."""
        return Fields(self.items(name)[index], f"{self.where}: {name}[{index}]")

    def fail(self, name: str, expected: str, got: Any) -> NoReturn:
        """Refuse a field."""
        raise ValueError(f"{self.where}: {name}: expected {expected}, got {shortened(got)}: {REMEDY}")


class Seen:
    """The ids of one file so far, none of which may come twice."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers: dict[int | str, int] = {}
        self._next = 1

    def add(self, identifier: int | str, where: str) -> None:
        """Note an id.

        Raises:
            ValueError: it stood in an earlier record.
        """
        earlier = self._numbers.setdefault(identifier, self._next)
        if earlier != self._next:
            raise ValueError(
                f"{where}: {self._name}: expected one of its own, {identifier!r} is that of record {earlier} "
                f"already: {REMEDY}"
            )
        self._next += 1


def shortened(value: Any) -> str:
    """A value as messages show it.

    >>> shortened(None), shortened("a" * 99)[-8:]
    ('nothing', 'aaaaa...')
    """
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
