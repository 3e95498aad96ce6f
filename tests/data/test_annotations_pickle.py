"""RefCOCO's pickles: plain data of every protocol come back; nothing else is built, and what it is gets named."""

import collections
import contextlib
import os
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data.annotations import read_plain_pickle

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=12,
)


class Bomb:
    """Calls something when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@given(value=PLAIN, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_come_back_in_every_protocol(
    tmp_path_factory: pytest.TempPathFactory, value: Any, protocol: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "refs.p"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    found = read_plain_pickle(path)
    assert found == value
    assert repr(found) == repr(value)


@given(data=st.binary(max_size=60))
def test_garbage_raises_nothing_but_value_errors(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.p"
    path.write_bytes(data)
    with contextlib.suppress(ValueError):
        read_plain_pickle(path)


@given(value=PLAIN, cut=st.floats(0, 1))
def test_a_file_that_was_cut_short_is_refused(tmp_path_factory: pytest.TempPathFactory, value: Any, cut: float) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.p"
    data = pickle.dumps([value, "end"], protocol=4)
    path.write_bytes(data[: int(cut * (len(data) - 1))])
    with pytest.raises(ValueError, match=r"cut\.p"):
        read_plain_pickle(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (lambda marker: Bomb(os.system, f"touch {marker}"), "system"),
        (lambda marker: Bomb(eval, f"open({str(marker)!r}, 'w')"), "eval"),
        (lambda marker: Bomb(Path.touch, marker), "Path|getattr"),
        (lambda marker: np.int64(3), "numpy"),
        (lambda marker: collections.OrderedDict(a=1), "OrderedDict"),
        (lambda marker: Decimal("1.5"), "Decimal"),
        (lambda marker: {1, 2}, "set|EMPTY_SET"),
        (lambda marker: bytearray(b"x"), "bytearray|BYTEARRAY8"),
    ],
)
def test_what_is_not_plain_is_refused_by_name_and_never_called(
    tmp_path: Path, value: Any, name: str, protocol: int
) -> None:
    marker = tmp_path / "called"
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps([{"ref_id": 1, "tokens": value(marker)}], protocol=protocol))
    with pytest.raises(ValueError, match=rf"refs\(unc\)\.p holds .*({name}).*do not trust this file"):
        read_plain_pickle(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cposix\nsystem\n(S'true'\ntR.", "posix.system"),
        (b"(S'true'\niposix\nsystem\n.", "posix.system"),
        (b"Pid\n.", "PERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
        (b"}}b.", "BUILD"),
    ],
)
def test_opcodes_that_call_or_import_are_refused_by_name(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "bomb.p"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=name):
        read_plain_pickle(path)


def test_a_huge_memo_index_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "memo.p"
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\x7f.")
    assert read_plain_pickle(path) == []


def test_python_2_strings_are_text(tmp_path: Path) -> None:
    path = tmp_path / "python2.p"
    # as cPickle of Python 2 wrote them, binary and not
    path.write_bytes(b"\x80\x02]q\x00(U\x05caf\xc3\xa9q\x01U\x01\xffq\x02e.")
    assert read_plain_pickle(path) == ["café", "\ufffd"]
    path.write_bytes(b"(lp1\nS'left man'\np2\naVcaf\xe9\np3\na(dp4\nS'id'\np5\nI7\nsa(I01\nI00\nta.")
    assert read_plain_pickle(path) == ["left man", "café", {"id": 7}, (True, False)]


def test_an_object_that_holds_itself_is_read(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    path = tmp_path / "loop.p"
    path.write_bytes(pickle.dumps(loop))
    found = read_plain_pickle(path)
    assert found[0] is found


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.p cannot be read"):
        read_plain_pickle(tmp_path / "absent.p")
