"""A gallery with 240 videos: scroll, search, sort, select and download."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.journeys.conftest import Visitor, register
from tests.journeys.playback import stop_the_clock, wait_until
from tests.support.app import RunningApp
from tests.support.seeding import seed_many

pytestmark = pytest.mark.journey
PAGE = 24
TITLES = [f"Film {number:03}" for number in range(240)]
# Scrolls to the end until all cards have loaded. Returns by how many pixels the last visible card moved whenever more
# cards arrived. Cards that have just come into view may need a frame or two to find their height.
SCROLL_TO_THE_END = """(all) => new Promise((done) => {
    const AT_REST = 3; // frames
    const moved = [];
    let last, top, still = 0;
    const look = () => {
        const cards = document.querySelectorAll(".card");
        const at = last?.getBoundingClientRect().top;
        if (cards[cards.length - 1] === last) {
            if (still > AT_REST) scrollTo(0, document.documentElement.scrollHeight); // the cards have become higher
            const scrolled = last.getBoundingClientRect().top;
            still = scrolled === top ? still + 1 : 0;
            top = scrolled;
        } else {
            if (still >= AT_REST) moved.push(Math.abs(at - top));
            if (cards.length === all) return done(moved);
            last = cards[cards.length - 1];
            scrollTo(0, document.documentElement.scrollHeight);
            still = 0;
        }
        requestAnimationFrame(look);
    };
    look();
})"""
RECORD_CLICKS = """() => {
    window.browserHandles = [];
    for (const kind of ["auxclick", "click"])
        addEventListener(kind, (event) => {
            browserHandles.push(!event.defaultPrevented);
            event.preventDefault();
        });
}"""


@pytest.mark.parametrize(("width", "count"), [(360, 3 * PAGE), (1280, 10 * PAGE)])
def test_scrolling_shows_each_video_once_in_order_without_jumps(
    app: RunningApp, page: Page, mp4: bytes, width: int, count: int
) -> None:
    expected = TITLES[:count]
    page.set_viewport_size({"width": width, "height": 740})
    register(page, f"all{width}@example.com")
    seed_many(app, f"all{width}@example.com", expected, mp4)
    page.goto("/gallery")
    expect(titles(page)).to_have_count(PAGE)
    moved = page.evaluate(SCROLL_TO_THE_END, count)
    assert moved or count < 240  # the next page may arrive before the layout is at rest
    assert max(moved, default=0) <= 1
    assert titles(page).all_text_contents() == expected
    expect(page.get_by_text("Show more")).to_have_count(0)
    last = cards(page).last
    last.scroll_into_view_if_needed()
    wait_until(last.locator("img"), "(image) => image.complete && image.naturalWidth > 0")

    last.locator("input").check()
    bar = page.locator(".selection-bar")
    bar.get_by_text("Select all shown").click()
    expect(bar).to_contain_text(f"{count} selected")
    page.keyboard.press("Escape")
    expect(bar).to_have_count(0)

    page.keyboard.press("Home")
    expect(cards(page).first).to_be_in_viewport()
    page.wait_for_function("scrollY === 0")  # browsers scroll by keys in steps
    rename(page, 3, "Bread")
    assert titles(page).all_text_contents() == [*TITLES[:3], "Bread", *expected[4:]]


def test_search_sort_and_filter(app: RunningApp, page: Page, mp4: bytes) -> None:
    register(page, "one@example.com")
    seed_many(app, "one@example.com", TITLES, mp4)
    page.goto("/gallery")
    page.get_by_role("searchbox").press_sequentially("film 187")
    expect(titles(page)).to_have_text(["Film 187"])
    expect(page.get_by_text("1 video found")).to_be_attached()
    page.get_by_role("searchbox").fill("")
    expect(titles(page)).to_have_count(PAGE)
    page.get_by_label("Order").select_option("Oldest first")
    expect(titles(page)).to_have_text(TITLES[: -PAGE - 1 : -1])
    show = page.get_by_role("navigation", name="Show")
    show.get_by_role("link", name="Failed").click()
    expect(page.get_by_text("No failed or cancelled videos.")).to_be_visible()
    show.get_by_role("link", name="Ready").click()
    expect(titles(page)).to_have_text(TITLES[: -PAGE - 1 : -1])


def test_selected_videos_are_downloaded_one_after_another(
    app: RunningApp, visitor: Visitor, mp4: bytes
) -> None:
    page = visitor(own_context=True)
    register(page, "fetcher@example.com")
    seed_many(app, "fetcher@example.com", TITLES, mp4)
    page.clock.install()
    page.goto("/gallery?q=Film 19")
    expect(titles(page)).to_have_count(10)
    names: list[str] = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    page.get_by_role("checkbox", name="Select Film 199").check()
    bar = page.get_by_role("region", name="Selected videos")
    bar.get_by_role("button", name="Select all shown").click()
    expect(bar).to_contain_text("10 selected")
    stop_the_clock(page)
    for number in range(1, 11):
        with page.expect_download():
            if number == 1:
                bar.get_by_role("button", name="Download").click()
            else:
                page.clock.run_for(1500)
        assert len(names) == number
        expect(bar).to_contain_text(f"Downloading {number} of 10" if number < 10 else "Downloads started: 10")
    assert names == [f"{title}.mp4" for title in TITLES[190:200]]


def test_download_is_a_link_for_keyboard_and_every_mouse_button(
    app: RunningApp, page: Page, mp4: bytes
) -> None:
    register(page, "link@example.com")
    seed_many(app, "link@example.com", TITLES[:2], mp4)
    page.goto("/gallery")
    link = page.get_by_role("link", name="Download Film 001")
    with page.expect_download() as started:
        link.press("Enter")
    assert started.value.suggested_filename == "Film 001.mp4"
    page.evaluate(RECORD_CLICKS)  # which would open tabs that close at once
    link.click(button="middle")
    link.click(modifiers=["ControlOrMeta"])
    assert page.evaluate("browserHandles") == [True, True]
    expect(page).to_have_url(re.compile("/gallery/?$"))
    rename(page, 1, "Bread")


def rename(page: Page, number: int, new: str) -> None:
    """Uses CSS selectors: a search by role is slow among so many elements."""
    card = cards(page).nth(number)
    card.locator(".in-place button").click()
    title = card.locator("input.input")
    title.fill(new)
    title.press("Enter")
    expect(titles(page).nth(number)).to_have_text(new)


def cards(page: Page) -> Locator:
    return page.locator(".card")


def titles(page: Page) -> Locator:
    return page.locator(".card h2")
