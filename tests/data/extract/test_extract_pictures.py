"""Reading pictures: colours and orientation as documented, and everything damaged refused with its reason."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from uniter_data.extract.pictures import PictureFolder, decode_picture, refuse_bombs

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
PICTURE = Image.fromarray(COLOURS)


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def colours_of(raw: bytes) -> np.ndarray:
    decoded = decode_picture(raw)
    assert isinstance(decoded, Image.Image), decoded
    assert decoded.mode == "RGB"
    return np.asarray(decoded)


def reason_of(raw: bytes) -> str:
    reason = decode_picture(raw)
    assert isinstance(reason, str)
    assert reason
    assert "\n" not in reason
    return reason


# ------------------------------------------------------------------------------------------------------------- colours


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_colours_come_through(kind: str) -> None:
    np.testing.assert_array_equal(colours_of(saved(PICTURE, kind)), COLOURS)


def test_grey_and_palette_become_rgb() -> None:
    grey = PICTURE.convert("L")
    np.testing.assert_array_equal(colours_of(saved(grey)), np.repeat(np.asarray(grey)[..., None], 3, axis=2))
    few = PICTURE.quantize(colors=4)
    np.testing.assert_array_equal(colours_of(saved(few)), np.asarray(few.convert("RGB")))
    bits = PICTURE.convert("1")
    np.testing.assert_array_equal(colours_of(saved(bits)), np.asarray(bits.convert("RGB")))


def test_cmyk_is_not_inverted() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    mean = colours_of(saved(red, "JPEG", quality=95)).reshape(-1, 3).mean(axis=0)
    assert mean[0] > 240
    assert (mean[1:] < 15).all()


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    levels = np.array([[0, 257, 25_700, 65_535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        assert colours_of(saved(Image.fromarray(levels), kind))[0, :, 0].tolist() == [0, 1, 100, 255]


def test_numbers_without_a_white_are_refused() -> None:
    assert "mode F has no known white" in reason_of(saved(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"))
    assert "mode I has no known white" in reason_of(saved(Image.fromarray(np.ones((2, 2), np.int32)), "TIFF"))


def test_what_is_transparent_lies_on_white() -> None:
    layer = Image.fromarray(np.array([[[9, 8, 7, 0], [9, 8, 7, 255]]], dtype=np.uint8))
    assert colours_of(saved(layer)).tolist() == [[[255] * 3, [9, 8, 7]]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 8, 7])
    assert colours_of(saved(palette, transparency=0)).tolist() == [[[255] * 3]]


def test_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    raw = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert colours_of(raw)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation: int) -> None:
    # EXIF 2.32, tag 274: which sides of the scene are the stored first row and first column
    stored = {
        1: COLOURS,
        2: COLOURS[:, ::-1],
        3: COLOURS[::-1, ::-1],
        4: COLOURS[::-1],
        5: COLOURS.swapaxes(0, 1),
        6: COLOURS.swapaxes(0, 1)[::-1],
        7: COLOURS.swapaxes(0, 1)[::-1, ::-1],
        8: COLOURS.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw = saved(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(colours_of(raw), COLOURS)


def test_nonsense_in_exif_leaves_the_picture_as_it_lies() -> None:
    np.testing.assert_array_equal(colours_of(saved(PICTURE, exif=b"Exif\0\0nonsense")), COLOURS)


# -------------------------------------------------------------------------------------------------------------- damage


def test_files_that_are_no_pictures_are_refused() -> None:
    assert reason_of(b"") == "the file is empty"
    for raw in (b"no picture", b"<svg/>", b"\xff\xd8\xff", saved(PICTURE)[:20]):
        reason_of(raw)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_a_picture_that_ends_early_is_refused(kind: str) -> None:
    raw = saved(Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)), kind)
    for part in (0.1, 0.5, 0.9):
        reason_of(raw[: int(len(raw) * part)])


@settings(max_examples=150, deadline=None)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_of_a_png_never_gives_other_colours(place: int, bit: int) -> None:
    raw = bytearray(saved(PICTURE))
    raw[place % len(raw)] ^= 1 << bit
    decoded = decode_picture(bytes(raw))
    assert isinstance(decoded, str) or np.array_equal(np.asarray(decoded), COLOURS)


@settings(max_examples=100, deadline=None)
@given(place=st.integers(min_value=0), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_jpeg_gives_a_picture_or_a_reason(place: int, byte: int, cut: bool) -> None:
    raw = bytearray(saved(PICTURE, "JPEG"))
    raw[place % len(raw)] = byte
    with refuse_bombs():
        decoded = decode_picture(bytes(raw[: place % len(raw)] if cut else raw))
    assert isinstance(decoded, (str, Image.Image))


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 10_000, 10_000, 1, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with refuse_bombs():
        assert "100000000 pixels" in reason_of(bomb)


def test_a_missing_file_and_a_folder_are_told(tmp_path) -> None:
    (tmp_path / "folder.png").mkdir()
    assert PictureFolder(str(tmp_path)).read("absent.png") == "there is no such file"
    assert PictureFolder(str(tmp_path)).read("folder.png") == "the file cannot be read (Is a directory)"
