"""Reads a pickle that holds data alone: lists, dicts, tuples, strings and numbers. Everything else is refused by name.

Python's own unpickler calls whatever a file names, so nobody should open a stranger's pickle with it. Here the opcodes
(documented in `pickletools`) are carried out by a small stack machine that cannot call anything.
"""

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["read_plain_pickle"]

VALUES = frozenset(
    ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE",
     "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
)  # fmt: skip
STRINGS = frozenset(("STRING", "BINSTRING", "SHORT_BINSTRING"))  # of Python 2, in whatever encoding the writer used
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
PUT = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
GET = frozenset(("GET", "BINGET", "LONG_BINGET"))
SILENT = frozenset(("PROTO", "FRAME", "STOP"))
MARK = object()


def read_plain_pickle(path: Path) -> Any:
    """What a pickle of plain data holds, whatever protocol and Python wrote it.

    Raises:
        ValueError: it cannot be read, is damaged, or holds something else than plain data; the message names what.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): correct the path") from error
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except _Refused as error:
        raise ValueError(
            f"{path} holds {error}: expected lists, dicts, strings and numbers alone; do not trust this file"
        ) from error
    # what garbage makes the machine stumble over depends on the garbage
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} is no whole pickle ({error}): copy the file again") from error
    if value is MARK:
        raise ValueError(f"{path} is no whole pickle: copy the file again")
    return value


# ---------------------------------------------------------------------------------------------------------------------


class _Refused(Exception):
    """Names what is no plain data."""


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        """Carry out one opcode."""
        if opcode in VALUES:
            self.stack.append(argument)
        elif opcode in STRINGS:
            self.stack.append(_decoded(argument))
        elif opcode in PUT:
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif opcode in GET:
            self.stack.append(self.memo[argument])
        elif opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode])
        elif opcode in ACTIONS:
            ACTIONS[opcode](self)
        elif opcode not in SILENT:
            raise _Refused(self._name(opcode, argument))

    def pop_mark(self) -> list[Any]:
        """Everything above the last mark, which goes too."""
        at = len(self.stack) - 1
        while self.stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        above = self.stack[at + 1 :]
        del self.stack[at:]
        return above

    def pop(self, count: int) -> list[Any]:
        """The last `count` values."""
        above = self.stack[-count:] if count else []
        if len(above) < count or any(value is MARK for value in above):
            raise ValueError("a value is missing")
        del self.stack[len(self.stack) - count :]
        return above

    def extend(self, values: list[Any]) -> None:
        """Put values into the list below them."""
        list.extend(self.stack[-1], values)

    def set_items(self, values: list[Any]) -> None:
        """Put keys and values into the dict below them."""
        dict.update(self.stack[-1], _pairs(values))

    def _name(self, opcode: str, argument: Any) -> str:
        if opcode in ("GLOBAL", "INST"):
            return str(argument).replace(" ", ".")
        if opcode == "STACK_GLOBAL":
            return ".".join(map(str, self.stack[-2:]))
        return f"the opcode {opcode}" + ("" if argument is None else f" {argument!r}"[:40])


def _decoded(text: str) -> str:
    """A string of Python 2, whose bytes `pickletools` hands out one a character."""
    try:
        return text.encode("latin-1").decode("utf-8", errors="replace")
    except UnicodeEncodeError:
        return text


def _pairs(values: list[Any]) -> dict[Any, Any]:
    if len(values) % 2:
        raise ValueError("a key has no value")
    return dict(zip(values[::2], values[1::2], strict=True))


ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "MARK": lambda machine: machine.stack.append(MARK),
    "POP": lambda machine: machine.stack.__delitem__(-1),
    "POP_MARK": lambda machine: machine.pop_mark().clear(),
    "DUP": lambda machine: machine.stack.append(machine.stack[-1]),
    "EMPTY_LIST": lambda machine: machine.stack.append([]),
    "EMPTY_DICT": lambda machine: machine.stack.append({}),
    "EMPTY_TUPLE": lambda machine: machine.stack.append(()),
    "LIST": lambda machine: machine.stack.append(machine.pop_mark()),
    "DICT": lambda machine: machine.stack.append(_pairs(machine.pop_mark())),
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine: machine.stack.append(tuple(machine.pop(1))),
    "TUPLE2": lambda machine: machine.stack.append(tuple(machine.pop(2))),
    "TUPLE3": lambda machine: machine.stack.append(tuple(machine.pop(3))),
    "APPEND": lambda machine: machine.extend(machine.pop(1)),
    "APPENDS": lambda machine: machine.extend(machine.pop_mark()),
    "SETITEM": lambda machine: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine: machine.set_items(machine.pop_mark()),
}
