"""The main job from end to end: brief, script, video, gallery, download, deletion by an admin."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import av
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import ADMIN, PASSWORD, Visitor, register, signed_in
from tests.journeys.keyboard import is_in_dialog, tab_to, tab_to_radio
from tests.support.app import RunningApp

pytestmark = pytest.mark.journey
TOPIC = "Why we bake our bread at night"
GENERATOR = "videovault.embedded.studio"
CREATE = re.compile(r"/create/?$")


def test_main_job(app: RunningApp, page: Page, visitor: Visitor, tmp_path: Path) -> None:
    """The maker uses the keyboard only until the video is downloaded."""
    register_by_keyboard(page)
    write_the_script(page)
    make_the_video(app, page)
    file = download_and_create_another(page, tmp_path)
    shown_seconds = play_in_the_gallery(page)
    with av.open(str(file)) as film:
        assert film.duration
        seconds = film.duration / av.time_base
        assert {stream.type for stream in film.streams} == {"video", "audio"}
    assert seconds == pytest.approx(shown_seconds, abs=1)
    video_id = row(app)
    assert len(objects(app, video_id)) == 3

    assert_sees_nothing(visitor())
    delete_as_admin(signed_in(visitor(), ADMIN, "/admin"))
    assert objects(app, video_id) == []
    assert not row(app)
    page.goto("/gallery")
    expect(page.get_by_role("heading", name="Your videos will appear here")).to_be_visible()


def register_by_keyboard(page: Page) -> None:
    page.goto("/register")
    tab_to(page, "E-mail")
    page.keyboard.type("maker@example.com")
    tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(CREATE)


def write_the_script(page: Page) -> None:
    tab_to(page, "What is the video about?")
    page.keyboard.type(TOPIC)
    page.get_by_role("radio", name="Maya").wait_for()
    tab_to_radio(page)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Daniel")).to_be_checked()
    tab_to(page, "Write the script")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your script")).to_be_visible()
    expect(page.get_by_label("Body", exact=True)).not_to_be_empty()
    assert is_in_dialog(page)
    for part in ("Hook", "Body", "Conclusion"):
        tab_to(page, part)
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.type("It rests.")  # a short video is rendered fast


def make_the_video(app: RunningApp, page: Page) -> None:
    modal = page.get_by_role("dialog")
    with app.paused(GENERATOR):
        tab_to(page, "Create video")
        page.keyboard.press("Enter")
        expect(modal.get_by_role("heading", name="Making your video")).to_be_visible()
        expect(
            modal.get_by_text("You can close this. We'll keep going, and your gallery shows the progress.")
        ).to_be_visible()
        assert is_in_dialog(page)
        page.keyboard.press("Escape")
        expect(modal).to_be_hidden()
        assert page.evaluate("document.activeElement !== document.body")

        page.reload()
        page.goto("/gallery")
        card = page.get_by_role("listitem").filter(has_text=TOPIC)
        expect(card.get_by_role("progressbar")).to_be_visible()
        tab_to(page, f"Open {TOPIC}")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="Making your video")).to_be_visible()
    expect(page.get_by_role("heading", name="Your video is ready")).to_be_visible()
    assert is_in_dialog(page)


def download_and_create_another(page: Page, folder: Path) -> Path:
    tab_to(page, f"Download {TOPIC}")
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    assert started.value.suggested_filename == f"{TOPIC}.mp4"
    file = folder / "film.mp4"
    started.value.save_as(file)
    tab_to(page, "Create another from this")
    page.keyboard.press("Enter")
    page.wait_for_url(CREATE)
    expect(page.get_by_label("What is the video about?")).to_have_value(TOPIC)
    expect(page.get_by_role("radio", name="Daniel")).to_be_checked()
    return file


def play_in_the_gallery(page: Page) -> float:
    """Play and seek to the middle. Returns the duration on the card in seconds."""
    page.goto("/gallery")
    card = page.get_by_role("listitem").filter(has_text=TOPIC)
    expect(card.locator(".duration")).to_have_text(re.compile(r"\d+:\d\d"))
    minutes, seconds = str(card.locator(".duration").text_content()).split(":")
    card.get_by_role("button", name=f"Play {TOPIC}").click()
    player = page.locator("[role=dialog] video, dialog video")
    player.wait_for()
    played = player.evaluate(
        """async (video) => {
            if (video.readyState < 2)
                await new Promise((done) => video.addEventListener('loadeddata', done, {once: true}));
            video.muted = true;
            await video.play();
            video.currentTime = video.duration / 2;
            await new Promise((done) => video.addEventListener('seeked', done, {once: true}));
            return {at: video.currentTime, of: video.duration, width: video.videoWidth};
        }"""
    )
    assert played["width"] == 1280
    assert played["at"] == pytest.approx(played["of"] / 2, abs=1)
    page.keyboard.press("Escape")
    return int(minutes) * 60 + int(seconds)


def assert_sees_nothing(page: Page) -> None:
    register(page, "other@example.com")
    page.goto("/gallery")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text(TOPIC)).to_have_count(0)
    page.goto("/admin")
    expect(page.get_by_text(TOPIC)).to_have_count(0)


def delete_as_admin(page: Page) -> None:
    page.get_by_role("row").filter(has_text=TOPIC).get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete").first.click()
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text("1 video")
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row").filter(has_text=TOPIC)).to_have_count(0)


def objects(app: RunningApp, video_id: str) -> list[str]:
    folder = app.data_dir / "s3" / "videovault"
    return [path.name for path in folder.rglob("*") if path.is_file() and video_id in str(path)]


def row(app: RunningApp) -> str:
    """The id of the video's row, empty when there is none."""
    with closing(sqlite3.connect(app.data_dir / "videovault.db")) as database:
        found = database.execute("SELECT id FROM videos WHERE title = ?", [TOPIC]).fetchall()
    return "".join(each for (each,) in found)
