"""Checks that a page renews the link of a video while it is played."""

import re
import time

from playwright.sync_api import Locator, Page, expect

LOADED = "(video) => video.readyState >= 2"
PLAYING = "(video) => video.readyState >= 2 && !video.paused"
SEEK_TOLERANCE = 0.2  # seconds
SLOWEST_RATE = 0.0625  # the slowest that Chromium plays, so that the position hardly changes during a check


def assert_link_is_renewed(page: Page, film: Locator) -> None:
    """The link is renewed before it expires; position and playback state are kept, and the last frame covers the change.

    The page's clock must have been installed before it was opened, and the video must be a long one.
    """
    wait_until(film, LOADED)
    film.evaluate("(video) => { video.muted = true; video.pause(); video.currentTime = 1; }")
    _assert_renewal(page, film, LOADED, renewed=1)
    assert film.evaluate("(video) => [video.currentTime, video.paused]") == [1, True]
    started = time.monotonic()
    film.evaluate("(video, rate) => { video.playbackRate = rate; return video.play(); }", SLOWEST_RATE)
    _assert_renewal(page, film, PLAYING, renewed=2)
    position = film.evaluate("(video) => video.currentTime")
    assert 1 - SEEK_TOLERANCE <= position <= 1 + SLOWEST_RATE * (time.monotonic() - started) + SEEK_TOLERANCE
    assert film.evaluate("(video) => video.playbackRate") == SLOWEST_RATE


def _assert_renewal(page: Page, film: Locator, state: str, *, renewed: int) -> None:
    """Moves the clock to shortly before the link expires, and waits for playback with a new one."""
    with page.expect_response(re.compile(f"download.*renewed={renewed}$")) as answer:
        page.clock.fast_forward("13:00")
    assert answer.value.status == 302
    expect(film).to_have_attribute("src", re.compile(f"renewed={renewed}$"))
    wait_until(film, state)
    expect(page.locator(".film canvas")).to_be_hidden()


def stop_the_clock(page: Page) -> None:
    """Stop the timers of the page, whose clock must have been installed, until it runs again."""
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 60)


def wait_until(element: Locator, condition: str) -> None:
    """Waits by a promise in the page: Playwright's own waiting needs eval, which the pages' policy forbids."""
    element.evaluate(
        f"""(element) => new Promise((done) => {{
            const check = () => (({condition})(element) ? done() : requestAnimationFrame(check));
            check();
        }})"""
    )
