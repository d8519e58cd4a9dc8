"""Pictures from outside, made small and of one kind: only what was decoded here is kept and served."""

import struct
from io import BytesIO

from videovault.bulkhead import Bulkhead
from videovault.errors import InvalidInput

SIDE = 256  # pixels
MEDIA_TYPE = "image/webp"
MOST_BYTES = 1024 * 1024
MOST_PIXELS = 16_000_000  # 64 MB once decoded
LONGEST_SIDE = 16_000  # a row costs memory of its own, however short it is
NO_PICTURE = "This is not a picture that can be read. Use a PNG, JPEG or WebP file."
TOO_MANY_PIXELS = "This picture has too many pixels. Make it at most 4,000 by 4,000, and try again."
TOO_LARGE = "This picture is too large: at most 1 MiB is possible."
# Each holds MOST_PIXELS in memory for a moment.
decoding = Bulkhead(at_once=1, waiting=4, seconds=10.0)


def square(raw: bytes) -> bytes:
    """The middle of a PNG, JPEG or WebP picture as a WebP of ``SIDE`` by ``SIDE`` pixels, without its metadata.

    Raises InvalidInput, Busy.
    """
    if len(raw) > MOST_BYTES:
        raise _invalid(TOO_LARGE)
    with decoding.slot():
        return _squared(raw)


def _squared(raw: bytes) -> bytes:
    from PIL import Image, ImageOps  # 10 MB that only an upload needs

    try:
        with Image.open(BytesIO(raw), formats=("PNG", "JPEG", "WEBP")) as opened:
            if opened.width * opened.height > MOST_PIXELS or max(opened.size) > LONGEST_SIDE:
                raise _invalid(TOO_MANY_PIXELS)
            opened.draft("RGB", (SIDE * 2, SIDE * 2))  # a JPEG need not be decoded in full size
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    except Image.DecompressionBombError as error:
        raise _invalid(TOO_MANY_PIXELS) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:  # the last of malformed EXIF
        raise _invalid(NO_PICTURE) from error
    plain = Image.new("RGBA", (SIDE, SIDE))  # one that has no metadata to be written along
    plain.paste(ImageOps.fit(upright, (SIDE, SIDE)))
    written = BytesIO()
    plain.save(written, "WEBP", quality=85)
    return written.getvalue()


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, {"picture": message})
