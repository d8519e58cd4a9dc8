"""Uploaded pictures are cropped and encoded again, or refused with a message."""

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from videovault.errors import InvalidInput
from videovault.services.generation import avatars

SECRET = b"taken at home"


def picture(kind: str, size: tuple[int, int] = (400, 300), mode: str = "RGB", **options: Any) -> bytes:
    """Red at the left, blue at the right, green between."""
    drawn = Image.new(mode, size, "green")
    drawn.paste("red", (0, 0, size[0] // 8, size[1]))
    drawn.paste("blue", (size[0] - size[0] // 8, 0, *size))
    written = BytesIO()
    drawn.save(written, kind, **options)
    return written.getvalue()


def malformed_exif() -> bytes:
    """A rotated JPEG whose EXIF has the width as text, which cannot be written again."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif.get_ifd(0x8769)[0x9003] = 6, "x" * 40, "2020:01:01 00:00:00"
    raw = picture("JPEG", (64, 48), exif=exif)
    description, width = b"\x01\x0e\x00\x02", b"\x01\x00\x00\x02"  # tag and type
    assert description in raw
    return raw.replace(description, width)


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x010E] = SECRET.decode()
    return picture("JPEG", (300, 400), exif=exif.tobytes())


def bomb() -> bytes:
    """A PNG of a few hundred bytes that claims 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "raw",
    [
        picture("PNG"),
        picture("PNG", mode="RGBA"),
        picture("PNG", mode="L"),
        picture("PNG", size=(1, 1)),
        picture("PNG", size=(3000, 20)),
        picture("JPEG"),
        picture("JPEG", mode="CMYK"),
        picture("WEBP", lossless=True),
        rotated(),
    ],
    ids=range(9),
)
def test_pictures_become_small_squares_without_metadata(raw: bytes) -> None:
    made = avatars.resize_picture(raw)
    with Image.open(BytesIO(made)) as shown:
        assert (shown.format, shown.size) == ("WEBP", (avatars.PICTURE_SIDE, avatars.PICTURE_SIDE))
        assert not {"exif", "icc_profile", "xmp"} & set(shown.info)
    assert SECRET not in made
    assert len(made) < 32 * 1024


def test_pictures_are_cropped_to_the_centre() -> None:
    with Image.open(BytesIO(avatars.resize_picture(picture("PNG", size=(800, 200))))) as shown:
        red, green, blue = shown.convert("RGB").getpixel((2, 128))  # type: ignore[misc] # three bands
    assert green > max(red, blue)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", avatars.UNREADABLE_PICTURE),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", avatars.UNREADABLE_PICTURE),
        (b"<html>", avatars.UNREADABLE_PICTURE),
        (picture("GIF"), avatars.UNREADABLE_PICTURE),
        (picture("BMP"), avatars.UNREADABLE_PICTURE),
        (picture("TIFF"), avatars.UNREADABLE_PICTURE),
        (picture("PNG")[:200], avatars.UNREADABLE_PICTURE),
        (picture("JPEG")[:300], avatars.UNREADABLE_PICTURE),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 500, avatars.UNREADABLE_PICTURE),
        (malformed_exif(), avatars.UNREADABLE_PICTURE),
        (bomb(), avatars.TOO_MANY_PIXELS),
        (picture("PNG", size=(1, avatars.MAX_SIDE + 1)), avatars.TOO_MANY_PIXELS),
        (b"x" * (avatars.MAX_PICTURE_BYTES + 1), avatars.TOO_LARGE),
    ],
    ids=range(13),
)
def test_other_files_are_refused_with_a_message(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        avatars.resize_picture(raw)
    assert caught.value.fields == {"picture": why}
