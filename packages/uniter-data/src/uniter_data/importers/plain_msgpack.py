"""MessagePack records of plain data, and the arrays that msgpack-numpy keeps in them; nothing is ever unpickled."""

import re
from importlib import import_module
from math import prod
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

__all__ = ["require_library", "unpack", "unpack_array"]

PLAIN = re.compile(r"[<|=]?(?:f[248]|[iu][1248]|b1)")  # dtypes of numbers alone
MOST_ITEMS = 1 << 16  # of a list or map: room for them is made before they are read
MOST_AXES = 4


def require_library(name: str, extra: str = "lmdb") -> ModuleType:
    """A library that an extra of this package brings.

    Raises:
        ValueError: it is not installed; the message says how to.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(f'this import needs {name} ({error}): pip install "uniter-data[{extra}]"') from error


def unpack(raw: bytes | memoryview, *, where: str) -> dict[str, Any]:
    """A record: a map from texts to texts, numbers, byte strings, lists and maps.

    Args:
        raw: MessagePack.
        where: names file and record in messages.

    Raises:
        ValueError: it is cut short, damaged, too large, no map, or holds an extension type; or msgpack is missing.

    >>> unpack(bytes([0x81, 0xA1, 0x61, 0x07]), where="x.mdb: 'cat'")
    {'a': 7}
    >>> unpack(bytes([0x81, 0xA1, 0x61, 0xD4, 0x2A, 0x00]), where="x.mdb: 'cat'")
    Traceback (most recent call last):
    ValueError: x.mdb: 'cat' holds an extension type (42): expected plain data alone; do not trust this file
    """
    msgpack = require_library("msgpack")

    def refuse(code: int, data: bytes) -> NoReturn:
        raise _Refused(f"{where} holds an extension type ({code}): expected plain data alone; do not trust this file")

    limits = {"max_array_len": MOST_ITEMS, "max_map_len": MOST_ITEMS}
    try:
        record = msgpack.unpackb(raw, ext_hook=refuse, **limits)
    except _Refused as error:
        raise ValueError(str(error)) from None
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise ValueError(f"{where} is damaged: {error}: copy the file again") from error
    if not isinstance(record, dict) or not all(isinstance(key, str) for key in record):
        raise ValueError(f"{where}: expected a map from texts, got {type(record).__name__}")
    return record


def unpack_array(value: Any, *, where: str) -> NDArray[Any]:
    """An array as msgpack-numpy keeps it: a map with `nd`, `type`, `kind`, `shape`, `data`, all of them binary keys.

    Args:
        value: of a record.
        where: names file, record and field in messages.

    Returns:
        A read-only array of numbers; its memory is the record's.

    Raises:
        ValueError: it is no such map, or an array of something else than numbers (such as pickled objects), or its
            shape and its bytes do not agree.

    >>> value = {b"nd": True, b"type": "<f2", b"kind": b"", b"shape": [1, 2], b"data": bytes([0, 60, 0, 64])}
    >>> unpack_array(value, where="x.mdb: 'cat': conf").tolist()
    [[1.0, 2.0]]
    """
    if not isinstance(value, dict) or value.get(b"nd") is not True:
        raise ValueError(f"{where}: expected an array as msgpack-numpy keeps it, got {type(value).__name__}")
    dtype, shape, data = value.get(b"type"), value.get(b"shape"), value.get(b"data")
    if value.get(b"kind", b"") != b"" or not isinstance(dtype, str) or not PLAIN.fullmatch(dtype):
        raise ValueError(
            f"{where}: expected an array of numbers, got kind {value.get(b'kind')!r} of type {str(dtype)[:40]!r}: "
            "do not trust this file"
        )
    if not isinstance(shape, list) or len(shape) > MOST_AXES or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"{where}: expected a shape of up to {MOST_AXES} axes, got {str(shape)[:40]}")
    expected = prod(shape) * np.dtype(dtype).itemsize
    if not isinstance(data, bytes) or len(data) != expected:
        got = f"{len(data):,} of them" if isinstance(data, bytes) else type(data).__name__
        raise ValueError(f"{where}: expected {expected:,} bytes of shape {tuple(shape)}, got {got}")
    return np.frombuffer(data, dtype).reshape(shape)


# ---------------------------------------------------------------------------------------------------------------------


class _Refused(Exception):
    """Passes through msgpack, which would wrap an error of its own kinds."""
