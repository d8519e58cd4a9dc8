"""Pictures as small as they can be and still show every letter."""

import io
from pathlib import Path

from PIL import Image

from tests.fixtures.documents import ROOT

IMAGES = ROOT / "docs" / "images"
QUALITY = 60
SLOWEST = 6  # of WebP's methods, and the one that leaves least


def save(screenshot: bytes, file: Path) -> None:
    Image.open(io.BytesIO(screenshot)).convert("RGB").save(file, quality=QUALITY, method=SLOWEST)
