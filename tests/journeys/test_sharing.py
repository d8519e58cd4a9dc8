"""Sharing: a visitor watches and downloads by the link, until the owner resets it."""

import re
from pathlib import Path

import av
import pytest
from playwright.sync_api import Page, Response, expect

from tests.journeys.conftest import Visitor, register
from tests.journeys.playback import assert_link_is_renewed, stop_the_clock
from tests.support.app import RunningApp
from tests.support.media import WIDTH
from tests.support.page_paths import SKIP_DELAY, SOCKET_URL
from tests.support.seeding import seed

pytestmark = pytest.mark.journey
TOPIC = "Three things that make sourdough rise"


def test_link_plays_and_downloads_until_it_is_reset(
    app: RunningApp, visitor: Visitor, mp4: bytes, tmp_path: Path
) -> None:
    owner, guest = visitor(own_context=True), visitor()
    register(owner, "sharer@example.com")
    seed(app, "sharer@example.com", [{"title": TOPIC}], mp4)
    link = share(owner)
    assert f"{app.url}/share/video_" in link

    answers = play(guest, link)
    assert guest.context.cookies() == []
    assert {answer.url.split("/")[2] for answer in answers} == {app.url.split("/")[2]}
    assert_private(answers)
    file = download(guest, tmp_path)
    with av.open(str(file)) as film:
        assert film.duration

    fresh = reset_link(owner, link)
    guest.reload()
    expect(guest.get_by_role("heading", level=1)).to_have_text("This link no longer works")
    expect(guest.locator("video")).to_have_count(0)
    play(guest, fresh)
    guest.goto("/share/video_1703123456789_abc123def?key=x")
    expect(guest.get_by_role("heading", level=1)).to_have_text("This link no longer works")
    log = app.log.read_text(errors="replace")
    assert link.partition("key=")[2] not in log
    assert fresh.partition("key=")[2] not in log


def test_page_that_does_not_load_offers_a_reload_of_its_whole_address(visitor: Visitor) -> None:
    page = visitor()
    page.route_web_socket(SOCKET_URL, lambda _socket: None)  # the server never answers
    page.goto("/share/video_1703123456789_abc123def?key=x")
    expect(page.get_by_text("This is taking longer than usual.")).to_be_attached()
    page.evaluate(SKIP_DELAY)
    expect(page.get_by_text("This is taking longer than usual.")).to_be_visible()
    assert page.get_by_role("link", name="Reload the page").evaluate("(link) => link.href") == page.url
    with page.expect_navigation(url="**/share/video_1703123456789_abc123def**key=x"):
        page.get_by_role("link", name="Reload the page").click()


def test_link_of_a_shared_video_is_renewed(app: RunningApp, visitor: Visitor, long_mp4: bytes) -> None:
    guest = visitor(own_context=True)
    register(guest, "lender@example.com")
    [video_id] = seed(app, "lender@example.com", [{"title": "Bread"}], long_mp4)
    answer = guest.request.get(f"/api/auth/video/{video_id}/secret-key")
    guest.context.clear_cookies()
    guest.clock.install()
    guest.goto(answer.json()["data"]["url"])
    expect(guest.get_by_role("heading", level=1)).to_have_text("Bread")
    assert_link_is_renewed(guest, guest.locator("video"))


def share(page: Page) -> str:
    """Returns the link, which the dialog shows and copies."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.clock.install()
    page.goto("/gallery")
    page.get_by_role("button", name=f"Share {TOPIC}").click()
    dialog = page.get_by_role("dialog", name="Share")
    field = dialog.get_by_label("Link")
    expect(field).to_have_value(re.compile("/share/video_.*key="))
    stop_the_clock(page)
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    page.clock.resume()
    expect(dialog.get_by_role("button", name="Copy")).to_be_visible()
    link = field.input_value()
    assert page.evaluate("navigator.clipboard.readText()") == link
    return link


def play(page: Page, link: str) -> list[Response]:
    """Returns all responses that the browser got until the video played."""
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


def assert_private(answers: list[Response]) -> None:
    """No response leaks the key by a referrer or to search engines, and the page's HTML does not name the video."""
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


def reset_link(page: Page, old: str) -> str:
    dialog = page.get_by_role("dialog", name="Share")
    dialog.get_by_role("button", name="Reset link").click()
    expect(dialog.get_by_text("All links that you have shared stop working")).to_be_visible()
    dialog.get_by_role("button", name="Reset link").click()
    expect(dialog.get_by_label("Link")).not_to_have_value(old)
    return dialog.get_by_label("Link").input_value()
