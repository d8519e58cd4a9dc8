"""The main job as a strip of screenshots, from the home page to the shared video."""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Page, expect

from tests.support.app import running_app
from tests.support.documents import ROOT
from tests.support.page_paths import wait_for_frame
from tests.support.scenes import DESKTOP, TIMEOUT_MS
from tests.support.showcase import OWNER, PASSWORD, TOPICS

IMAGES = ROOT / "docs" / "images"
QUALITY = 60
BEST_COMPRESSION = 6  # of WebP's methods
SPINNER_MS = 2000
COLUMNS, WIDTH, HEIGHT, CAPTION, GAP = 3, 640, 400, 34, 16
PAPER, INK = (246, 246, 244), (40, 42, 40)
TOPIC = TOPICS[0]


def screenshot(page: Page) -> Image.Image:
    """The window's content. A video is given time to lose the browser's loading spinner, which no event announces."""
    if page.locator("video").count():
        page.wait_for_timeout(SPINNER_MS)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save(image: Image.Image, file: Path) -> None:
    """As small as it can be with every letter still legible."""
    image.save(file, quality=QUALITY, method=BEST_COMPRESSION)


class Strip:
    """Screenshots of one page in the order in which they were taken, with captions."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[tuple[str, Image.Image]] = []

    def take(self, caption: str) -> None:
        frame = screenshot(self._page).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        self._frames.append((caption, frame))

    def save(self, file: Path) -> None:
        rows = -(-len(self._frames) // COLUMNS)
        size = (GAP + COLUMNS * (WIDTH + GAP), GAP + rows * (CAPTION + HEIGHT + GAP))
        sheet = Image.new("RGB", size, PAPER)
        pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
        for number, (caption, frame) in enumerate(self._frames):
            x = GAP + number % COLUMNS * (WIDTH + GAP)
            y = GAP + number // COLUMNS * (CAPTION + HEIGHT + GAP)
            pen.text((x, y + 4), f"{number + 1}. {caption}", INK, font=font)
            sheet.paste(frame, (x, y + CAPTION))
        save(sheet, file)


def film_strip(browser: Browser, folder: Path, file: Path) -> None:
    """Uses an installation of its own, in which the built-in studio makes the video."""
    with running_app(folder) as app:
        context = browser.new_context(base_url=app.url, viewport=DESKTOP, reduced_motion="reduce")
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        strip = Strip(page)
        _create_account(page, strip)
        _write_script(page, strip)
        _make_video(page, strip)
        _share(page, strip)
        context.close()
    strip.save(file)


def _create_account(page: Page, strip: Strip) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    strip.take("Open VideoVault")
    page.get_by_role("link", name="Create account").first.click()
    page.get_by_label("E-mail").fill(OWNER)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    strip.take("Create an account")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/create/**")


def _write_script(page: Page, strip: Strip) -> None:
    page.get_by_label("What is the video about?").fill(TOPIC)
    page.get_by_label("Company name").fill("Brot & Söhne")
    page.get_by_label("Social handles").fill("@brotundsoehne")
    strip.take("Describe the topic")
    page.get_by_role("button", name="Write the script").click()
    expect(page.get_by_role("heading", name="Your script")).to_be_visible()
    page.get_by_label("Hook", exact=True).fill("Do you know why our bread is baked at night?")
    strip.take("Edit the script")


def _make_video(page: Page, strip: Strip) -> None:
    page.get_by_role("button", name="Create video").click()
    expect(page.get_by_role("heading", name="Making your video")).to_be_visible()
    expect(page.get_by_test_id("so-far")).not_to_be_empty()
    strip.take("Follow the progress")
    expect(page.locator("li[aria-current=step]")).to_have_text("Storing")
    strip.take("The video is stored")
    expect(page.get_by_role("heading", name="Your video is ready")).to_be_visible()
    wait_for_frame(page)
    strip.take("The video is ready")


def _share(page: Page, strip: Strip) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Share").click()
    link = page.get_by_label("Link", exact=True)
    expect(link).to_be_visible()
    address = link.input_value()
    strip.take("Share the link")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Go to gallery").click()
    expect(page.get_by_role("button", name=f"Play {TOPIC}")).to_be_visible()
    page.locator(".card img").first.evaluate("(image) => image.decode()")
    strip.take("Find it in the gallery")
    page.context.clear_cookies()
    page.goto(address)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    wait_for_frame(page)
    strip.take("What a colleague sees")
