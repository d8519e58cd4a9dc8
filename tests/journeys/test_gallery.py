"""The gallery: search, play, rename, select, download, delete, import and retry."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.journeys.conftest import Visitor, register
from tests.journeys.playback import LOADED, PLAYING, assert_link_is_renewed, wait_until
from tests.support.app import RunningApp
from tests.support.geometry import hidden_focus_stops
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.scenes import PHONE, ZOOMED
from tests.support.seeding import database_of, seed
from videovault.db import transaction
from videovault.models import Event, Status

pytestmark = pytest.mark.journey
PAGE = 24


def test_filter_search_and_order_are_in_the_address(app: RunningApp, page: Page) -> None:
    register(page, "finder@example.com")
    videos: list[dict[str, Any]] = [
        {"title": f"Bread {number}", "company_name": "Brot"} for number in range(2 * PAGE)
    ]
    videos += [{"title": "Opening hours", "status": Status.FAILED, "error_message": "Gone.", "hook": "Look"}]
    videos += [{"title": "100 % rye", "duration": 90.0}, {"title": "A thought", "status": Status.DRAFT}]
    seed(app, "finder@example.com", videos)
    page.goto("/gallery")
    shown = page.get_by_role("navigation", name="Show")
    expect(shown).to_contain_text("All50Ready49Processing0Failed1Drafts1")
    expect(cards(page)).to_have_count(PAGE)

    page.get_by_role("searchbox").press_sequentially("%")
    expect(cards(page)).to_have_count(1)
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("%")
    expect(cards(page)).to_have_count(1)
    page.get_by_role("searchbox").fill("BROT")
    expect(page.get_by_text("More than 24 videos found")).to_be_attached()
    page.get_by_role("searchbox").fill("nothing like it")
    page.get_by_role("link", name="Clear search").click()

    shown.get_by_role("link", name="Failed").click()
    expect(page).to_have_url(re.compile(r"\?status=failed$"))
    expect(cards(page)).to_have_count(1)
    expect(cards(page).get_by_role("button", name="Generate again: Opening hours")).to_be_visible()
    shown.get_by_role("link", name="Drafts").click()
    expect(cards(page).get_by_role("button", name="Continue A thought")).to_be_visible()
    page.go_back()
    expect(cards(page)).to_contain_text(["Opening hours"])
    shown.get_by_role("link", name="All").click()
    page.get_by_label("Order").select_option("Longest first")
    expect(cards(page).first).to_contain_text("100 % rye")
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    expect(cards(page)).to_have_count(2 * PAGE)
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    expect(cards(page)).to_have_count(50)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


@pytest.mark.parametrize("size", [PHONE, ZOOMED], ids=["phone", "zoomed"])
def test_notices_do_not_cover_the_focus(app: RunningApp, page: Page, size: ViewportSize) -> None:
    email = f"notified-{size['width']}@example.com"
    register(page, email)
    titles = [f"A rather long title of film number {number}" for number in range(6)]
    made = seed(app, email, [{"title": title} for title in titles])
    page.set_viewport_size(size)
    page.goto("/gallery")
    expect(cards(page)).to_have_count(len(made))
    with database_of(app), transaction() as session:
        for video_id in made[:3]:
            session.add(Event(kind="status", video_id=video_id, detail={"to": Status.READY}))
    expect(page.locator(".notices > .notice")).to_have_count(3)
    assert hidden_focus_stops(page) == []


def test_video_is_played_and_renamed_by_keyboard(app: RunningApp, visitor: Visitor, long_mp4: bytes) -> None:
    page = visitor(own_context=True)
    register(page, "player@example.com")
    seed(app, "player@example.com", [{"title": "Rolls"}], long_mp4)
    page.clock.install()
    page.goto("/gallery")
    page.get_by_role("button", name="Rename Rolls").press("Enter")
    title = page.get_by_role("textbox", name="Rename Rolls")
    title.fill("x" * 121)
    title.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Title is too long")).to_be_visible()
    expect(title).to_be_focused()
    title.press("Escape")
    expect(page.get_by_role("button", name="Rename Rolls")).to_be_focused()
    page.keyboard.press("Enter")
    title.fill("Bread")
    title.press("Enter")
    expect(page.get_by_role("button", name="Rename Bread")).to_be_focused()
    expect(page.get_by_role("heading", name="Bread", level=2)).to_be_visible()

    page.get_by_role("button", name="Play Bread").press("Enter")
    film = page.locator("dialog video")
    expect(film).to_be_focused()
    wait_until(film, LOADED)
    film.evaluate("(video) => { video.pause(); video.currentTime = 0; }")
    page.keyboard.press("ArrowRight")
    # Five seconds later; Chromium's own controls add a hundredth of the duration.
    assert (
        5
        <= film.evaluate("(video) => video.currentTime")
        <= 5 + film.evaluate("(video) => video.duration") / 100
    )
    page.keyboard.press("ArrowLeft")
    film.evaluate("(video) => { video.loop = true; video.muted = true; }")
    page.keyboard.press("Space")
    wait_until(film, PLAYING)
    assert_link_is_renewed(page, film)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Play Bread")).to_be_focused()


def test_several_videos_are_downloaded_and_deleted(app: RunningApp, page: Page, mp4: bytes) -> None:
    register(page, "several@example.com")
    videos: list[dict[str, Any]] = [{"title": f"Film {number}"} for number in range(4)]
    videos += [{"title": "Broken", "status": Status.FAILED, "size": 0}]
    seed(app, "several@example.com", videos, mp4.ljust(2_000_000, b"\0"))
    page.goto("/gallery?sort=title")
    bar = page.get_by_role("region", name="Selected videos")
    expect(bar).to_have_count(0)
    page.get_by_role("checkbox", name="Select Film 0").click()
    page.get_by_role("checkbox", name="Select Film 2").click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 selected, 6.0 MB")
    page.keyboard.press("Escape")
    expect(bar).to_have_count(0)
    page.get_by_role("checkbox", name="Select Film 1").press("Space")
    bar.get_by_role("button", name="Select all shown").click()
    expect(bar).to_contain_text("5 selected, 8.0 MB")
    page.get_by_role("checkbox", name="Select Film 1").click()
    page.get_by_role("checkbox", name="Select Film 3").click()

    names: list[str] = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    bar.get_by_role("button", name="Download").click()
    expect(bar).to_contain_text("Downloads started: 2")
    bar.get_by_role("button", name="Delete").click()
    question = page.get_by_role("alertdialog", name="Delete these videos?")
    expect(question).to_contain_text("3 videos, 4.0 MB")
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("3 videos are deleted.")).to_be_visible()
    expect(cards(page)).to_have_count(2)
    expect(bar).to_have_count(0)
    assert sorted(names) == ["Film 0.mp4", "Film 2.mp4"]


def test_imported_video_shows_its_progress(page: Page, source: MisbehavingServer) -> None:
    link = source.serve("/walk.mp4", ServerBehaviour(size=300 * MIB, bytes_per_second=2 * MIB, ranges=False))
    register(page, "adder@example.com")
    page.goto("/gallery")
    expect(page.get_by_role("heading", name="Your videos will appear here")).to_be_visible()
    page.get_by_role("button", name="Import from link").first.click()
    address = page.get_by_label("Video URL")
    expect(address).to_be_focused()
    address.fill("http://10.0.0.1/walk.mp4")
    address.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="leads into a private network")).to_be_visible()
    expect(address).to_have_value("http://10.0.0.1/walk.mp4")
    address.fill(link)
    address.press("Enter")
    expect(cards(page)).to_have_count(1)
    expect(cards(page).get_by_text("Storing the video")).to_be_visible()
    _assert_grows(cards(page).get_by_role("progressbar"))
    page.get_by_role("button", name="Delete walk").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(cards(page)).to_have_count(0)


def _assert_grows(bar: Locator) -> None:
    at = bar.evaluate("(bar) => bar.position")
    wait_until(bar, f"(bar) => bar.position > {max(at, 0)}")


def cards(page: Page) -> Locator:
    return page.locator("main").get_by_role("listitem")


def test_focus_moves_to_the_next_card_after_a_deletion(app: RunningApp, page: Page) -> None:
    register(page, "tidy@example.com")
    seed(app, "tidy@example.com", [{"title": "Bread"}, {"title": "Rolls"}])
    page.goto("/gallery")
    _delete_by_keyboard(page, "Rolls")
    expect(cards(page)).to_have_count(1)
    expect(cards(page).locator(":focus")).to_have_count(1)
    _delete_by_keyboard(page, "Bread")
    expect(page.get_by_role("heading", name="Your videos will appear here")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def _delete_by_keyboard(page: Page, title: str) -> None:
    page.get_by_role("button", name=f"Delete {title}").press("Enter")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").press("Enter")


def test_mistyped_url_is_corrected_and_fetched(
    app: RunningApp, page: Page, source: MisbehavingServer, mp4: bytes
) -> None:
    register(page, "corrector@example.com")
    wrong = f"{source.origin}/rols.mp4?sig=1"
    failed = {
        "title": "Rolls",
        "status": Status.FAILED,
        "error_message": "Gone.",
        "source_url": wrong,
        "hook": "Fresh rolls",
    }
    seed(app, "corrector@example.com", [failed])
    page.goto("/gallery")
    page.get_by_role("button", name="Open Rolls").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Video URL")).to_have_value(wrong)
    expect(dialog.get_by_role("button", name="Generate again")).to_be_visible()
    dialog.get_by_label("Video URL").fill("nonsense")
    dialog.get_by_role("button", name="Retry").click()
    expect(dialog.get_by_text("The address must start with")).to_be_visible()
    dialog.get_by_label("Video URL").fill(source.serve("/rolls.mp4", ServerBehaviour(body=mp4)))
    dialog.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("dialog", name="Your video is ready")).to_be_visible()
