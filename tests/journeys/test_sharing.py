"""An owner shares, somebody without an account watches and downloads, and a new key ends it."""

import re
from pathlib import Path

import av
import pytest
from playwright.sync_api import Page, Response, expect

from tests.journeys.conftest import Visitor, register
from tests.journeys.playback import stop_the_clock
from tests.support.app import RunningApp
from tests.support.media import WIDTH
from tests.support.page_paths import SOCKET_URL
from tests.support.seeding import seed

pytestmark = pytest.mark.journey
TOPIC = "Three things that make sourdough rise"


def test_a_link_plays_and_downloads_for_a_stranger_until_there_is_a_new_key(
    app: RunningApp, visitor: Visitor, mp4: bytes, tmp_path: Path
) -> None:
    owner, stranger = visitor(), visitor()
    register(owner, "sharer@example.com")
    seed(app, "sharer@example.com", [{"title": TOPIC}], mp4)
    link = share(owner)
    assert f"{app.url}/share/video_" in link

    answers = watched(stranger, link)
    assert stranger.context.cookies() == []
    assert {answer.url.split("/")[2] for answer in answers} == {app.url.split("/")[2]}
    assert_discreet(answers)
    file = download(stranger, tmp_path)
    with av.open(str(file)) as film:
        assert film.duration

    fresh = renew(owner, link)
    stranger.reload()
    expect(stranger.get_by_role("heading", level=1)).to_have_text("This link does not work any more")
    expect(stranger.locator("video")).to_have_count(0)
    watched(visitor(), fresh)
    absent = visitor()
    absent.goto("/share/video_1703123456789_abc123def?key=x")
    expect(absent.get_by_role("heading", level=1)).to_have_text("This link does not work any more")
    log = app.log.read_text(errors="replace")
    assert link.partition("key=")[2] not in log
    assert fresh.partition("key=")[2] not in log


def test_a_page_that_never_comes_can_be_loaded_again_with_all_that_its_address_says(visitor: Visitor) -> None:
    page = visitor()
    page.route_web_socket(SOCKET_URL, lambda _line: None)  # the server is there, but says nothing
    page.goto("/share/video_1703123456789_abc123def?key=x")
    expect(page.get_by_text("This takes longer than usual.")).to_be_visible()
    assert page.get_by_role("link", name="Load the page again").evaluate("(link) => link.href") == page.url
    with page.expect_navigation(url="**/share/video_1703123456789_abc123def**key=x"):
        page.get_by_role("link", name="Load the page again").click()


def share(page: Page) -> str:
    """The link as the dialog shows and copies it."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.clock.install()
    page.goto("/gallery")
    page.get_by_role("button", name=f"Share {TOPIC}").click()
    dialog = page.get_by_role("dialog", name="Share")
    shown = dialog.get_by_label("Link")
    expect(shown).to_have_value(re.compile("/share/video_.*key="))
    stop_the_clock(page)
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    page.clock.resume()
    expect(dialog.get_by_role("button", name="Copy")).to_be_visible()
    link = shown.input_value()
    assert page.evaluate("navigator.clipboard.readText()") == link
    return link


def watched(page: Page, link: str) -> list[Response]:
    """Everything that the browser asked for until the film played."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright sets an attribute on it
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text(TOPIC)
    expect(page.locator("video")).to_be_visible()
    played = page.evaluate(
        """async () => {
            const video = document.querySelector('video');
            video.muted = true;
            await video.play();
            return video.videoWidth;
        }"""
    )
    assert played == WIDTH
    return answers


def assert_discreet(answers: list[Response]) -> None:
    """Whatever has the key in its address tells nobody of it, and the page itself says nothing of the video."""
    with_key = [answer for answer in answers if "key=" in answer.url]
    assert {answer.status for answer in with_key} <= {200, 302, 307}
    for answer in with_key:
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"].startswith("noindex")
    assert not [answer.url for answer in answers if "key=" in answer.request.headers.get("referer", "")]
    [page] = [answer for answer in answers if answer.request.is_navigation_request() and answer.status == 200]
    assert TOPIC not in page.text()


def download(page: Page, folder: Path) -> Path:
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == f"{TOPIC}.mp4"
    file = folder / "shared.mp4"
    started.value.save_as(file)
    return file


def renew(page: Page, old: str) -> str:
    dialog = page.get_by_role("dialog", name="Share")
    dialog.get_by_role("button", name="New key").click()
    expect(dialog.get_by_text("every link that you gave out stops working")).to_be_visible()
    dialog.get_by_role("button", name="Make a new key").click()
    expect(dialog.get_by_label("Link")).not_to_have_value(old)
    return dialog.get_by_label("Link").input_value()
