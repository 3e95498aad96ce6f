"""MessagePack of plain data alone."""

import contextlib
import pickle

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from uniter_data.importers.plain_msgpack import unpack, unpack_array

NUMBERS = st.sampled_from(["<f2", "<f4", "<f8", "<i8", "<i4", "|u1", "|b1"])


def encode(array: np.ndarray) -> dict[bytes, object]:
    return {
        b"nd": True, b"type": array.dtype.str, b"kind": b"", b"shape": list(array.shape), b"data": array.tobytes()
    }  # fmt: skip


@given(hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_arrays_come_back(array: np.ndarray) -> None:
    record = unpack(msgpack.packb({"x": encode(array)}, use_bin_type=True), where="here")
    back = unpack_array(record["x"], where="here: x")
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({b"kind": b"O", b"type": "O", b"data": pickle.dumps([1])}, "array of numbers"),
        ({b"type": "|O8"}, "array of numbers"),
        ({b"kind": b"V", b"type": [["a", "<f4"]]}, "array of numbers"),
        ({b"type": ">f4"}, "array of numbers"),
        ({b"shape": [3]}, "expected 12 bytes"),
        ({b"shape": [-2]}, "shape"),
        ({b"shape": [1 << 62, 1 << 62]}, "bytes"),
        ({b"shape": [True, 2]}, "shape"),
        ({b"data": "text"}, "bytes"),
        ({b"nd": False}, "msgpack-numpy"),
    ],
)
def test_other_arrays_are_refused(changed: dict[bytes, object], said: str) -> None:
    value = encode(np.zeros(2, np.float32)) | changed
    with pytest.raises(ValueError, match=said) as error:
        unpack_array(value, where="x.mdb: 'cat': conf")
    assert "x.mdb: 'cat': conf" in str(error.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "damaged"),
        (b"\x81", "damaged"),
        (b"\x81\xa1a\x07\x00", "damaged"),  # bytes behind the record
        (b"\x81\x07\x07", "damaged"),  # a key that is no text
        (b"\x93\x01\x02\x03", "expected a map"),
        (b"\xc1", "damaged"),
        (b"\x81\xa1a" + b"\x91" * 5000, "damaged"),  # too deep
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", "damaged"),  # a list that claims four milliard items
        (b"\x81\xa1a" + msgpack.packb(msgpack.ExtType(42, pickle.dumps([1]))), "extension type"),
    ],
)
def test_other_records_are_refused(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        unpack(raw, where="x.mdb: 'cat'")
    assert "x.mdb: 'cat'" in str(error.value)


@given(st.binary(max_size=60))
def test_random_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(unpack(raw, where="here"), dict)
