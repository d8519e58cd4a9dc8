"""Pictures as small as they can be and still show every letter."""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.support.documents import ROOT

IMAGES = ROOT / "docs" / "images"
QUALITY = 60
SLOWEST = 6  # of WebP's methods, and the one that leaves least
SPINNING_MS = 2000


def picture(page: Page) -> Image.Image:
    """What the window shows, without the browser's own sign of loading: it turns on for a moment over a film that is there."""
    if page.locator("video").count():
        page.wait_for_timeout(SPINNING_MS)  # nothing tells its end
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save(image: Image.Image, file: Path) -> None:
    image.save(file, quality=QUALITY, method=SLOWEST)
