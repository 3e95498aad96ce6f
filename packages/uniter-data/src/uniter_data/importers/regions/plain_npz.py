"""NumPy's .npz without pickle: members are compared with their checksums, and hold numbers or are refused."""

import io
import zipfile
import zlib
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

try:  # several times as fast
    from isal import isal_zlib

    inflating: Any = isal_zlib
except ImportError:
    inflating = zlib

__all__ = ["read_npz"]

MOST_BYTES = 1 << 30  # of a member
ENCRYPTED = 1  # flag of a member
HEADER, NAME_AT = 30, 26  # bytes before a member's name; where the lengths of its name and of what follows it stand


def read_npz(data: bytes, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Some arrays of an .npz, those of the names that it holds. Other members, pickled or not, are not looked at.

    Args:
        data: the file.
        names: of arrays.

    Raises:
        ValueError: it is no .npz, damaged or cut short, or one of these arrays holds pickled objects.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            held = {info.filename: info for info in archive.infolist()}
        members = {name: held[f"{name}.npy"] for name in names if f"{name}.npy" in held}
        return {name: _read_array(_read_member(data, info), info.filename) for name, info in members.items()}
    except _Refused as error:
        raise ValueError(str(error)) from error
    # damaged archives make zipfile, zlib and numpy raise all sorts of errors
    except Exception as error:
        raise ValueError(f"no whole .npz ({error or type(error).__name__})") from error


# ---------------------------------------------------------------------------------------------------------------------


class _Refused(Exception):
    """Names what is not read for other reasons than damage."""


def _read_member(data: bytes, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a member; `zipfile` would take a fifth longer, and has no other way to inflate."""
    if info.file_size > MOST_BYTES or info.flag_bits & ENCRYPTED:
        raise ValueError(f"{info.filename} is encrypted or claims {info.file_size:,} bytes")
    start = info.header_offset
    lengths = [int.from_bytes(data[start + at : start + at + 2], "little") for at in (NAME_AT, NAME_AT + 2)]
    begin = start + HEADER + sum(lengths)
    if data[start + HEADER : start + HEADER + lengths[0]] != info.orig_filename.encode():
        raise ValueError(f"{info.filename} has another name at its beginning")
    raw = data[begin : begin + info.compress_size]
    if info.compress_type == zipfile.ZIP_DEFLATED:
        raw = inflating.decompressobj(wbits=-zlib.MAX_WBITS).decompress(raw, info.file_size + 1)
    elif info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed in an unknown way ({info.compress_type})")
    if len(raw) != info.file_size or zlib.crc32(raw) != info.CRC:
        raise ValueError(f"{info.filename} differs from its checksum")
    return raw


def _read_array(raw: bytes, member: str) -> NDArray[Any]:
    file = io.BytesIO(raw)
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{member} has format version {version}")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read_header(file)
    if dtype.hasobject or dtype.kind not in "fiub":
        raise _Refused(f"{member} holds {dtype} and not numbers: nothing is unpickled; do not trust this file")
    array = np.frombuffer(raw, dtype, offset=file.tell())
    return array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)
