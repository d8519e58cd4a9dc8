"""The main job from end to end: brief, script, video, gallery, download, deletion by an admin."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import av
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import ADMIN, Visitor, register, signed_in
from tests.support.app import RunningApp

pytestmark = pytest.mark.journey
TOPIC = "Why we bake our bread at night"
GENERATOR = "videovault.embedded.studio"


def test_main_job(app: RunningApp, visitor: Visitor, tmp_path: Path) -> None:
    admin, maker, other = visitor(), visitor(), visitor()
    signed_in(admin, ADMIN, "/admin")
    register(maker, "maker@example.com")

    write_the_script(maker)
    make_the_video(app, maker)
    shown_seconds = play_in_the_gallery(maker)
    file = download(maker, tmp_path)
    with av.open(str(file)) as film:
        assert film.duration
        seconds = film.duration / av.time_base
        assert {stream.type for stream in film.streams} == {"video", "audio"}
    assert seconds == pytest.approx(shown_seconds, abs=1)
    video_id = row(app)
    assert len(objects(app, video_id)) == 3

    assert_sees_nothing(other)
    delete_as_admin(admin)
    assert objects(app, video_id) == []
    assert not row(app)
    maker.goto("/gallery")
    expect(maker.get_by_role("listitem").filter(has_text=TOPIC)).to_have_count(0)


def write_the_script(page: Page) -> None:
    page.get_by_label("What is the video about?").fill(TOPIC)
    page.get_by_label("Company name").fill("Brot & Söhne")
    page.get_by_role("button", name="Write the script").click()
    modal = page.get_by_role("dialog")
    expect(modal.get_by_role("heading", name="Your script")).to_be_visible()
    expect(modal.get_by_label("Body", exact=True)).not_to_be_empty()
    modal.get_by_label("Hook", exact=True).fill("Do you know why our bread is baked at night?")
    for part in ("Body", "Conclusion"):
        modal.get_by_label(part, exact=True).fill("It rests.")  # a short video is rendered fast


def make_the_video(app: RunningApp, page: Page) -> None:
    modal = page.get_by_role("dialog")
    with app.paused(GENERATOR):
        modal.get_by_role("button", name="Create video").click()
        expect(modal.get_by_role("heading", name="Making your video")).to_be_visible()
        expect(
            modal.get_by_text("You can close this. We'll keep going, and your gallery shows the progress.")
        ).to_be_visible()
        page.keyboard.press("Escape")
        expect(modal).to_be_hidden()
        page.goto("/gallery")
        card = page.get_by_role("listitem").filter(has_text=TOPIC)
        expect(card.get_by_role("progressbar")).to_be_visible()
        card.get_by_role("button", name="Open").click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Your video is ready")).to_be_visible()
    page.keyboard.press("Escape")


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


def download(page: Page, folder: Path) -> Path:
    card = page.get_by_role("listitem").filter(has_text=TOPIC)
    with page.expect_download() as started:
        card.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == f"{TOPIC}.mp4"
    file = folder / "film.mp4"
    started.value.save_as(file)
    return file


def assert_sees_nothing(page: Page) -> None:
    register(page, "other@example.com")
    page.goto("/gallery")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text(TOPIC)).to_have_count(0)
    page.goto("/admin")
    expect(page.get_by_text(TOPIC)).to_have_count(0)


def delete_as_admin(page: Page) -> None:
    page.goto("/admin")
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
