"""Films as somebody watches them, whose links the page renews."""

import re
import time

from playwright.sync_api import Locator, Page, expect

THERE = "(video) => video.readyState >= 2"
PLAYING = "(video) => video.readyState >= 2 && !video.paused"
SOME = 0.2  # seconds, within which a browser seeks
SLOWLY = 0.0625  # of its speed, the least that Chromium plays: where it is hardly moves while a test looks


def assert_renews_itself(page: Page, film: Locator) -> None:
    """Before its link dies, from where it was, and playing if it was; the last picture covers the change.

    The page's clock must have been installed before it was opened, and the film be a long one.
    """
    wait_until(film, THERE)
    film.evaluate("(video) => { video.muted = true; video.pause(); video.currentTime = 1; }")
    assert_goes_on(page, film, THERE, renewed=1)
    assert film.evaluate("(video) => [video.currentTime, video.paused]") == [1, True]
    began = time.monotonic()
    film.evaluate("(video, rate) => { video.playbackRate = rate; return video.play(); }", SLOWLY)
    assert_goes_on(page, film, PLAYING, renewed=2)
    at = film.evaluate("(video) => video.currentTime")
    assert 1 - SOME <= at <= 1 + SLOWLY * (time.monotonic() - began) + SOME
    assert film.evaluate("(video) => video.playbackRate") == SLOWLY


def assert_goes_on(page: Page, film: Locator, state: str, *, renewed: int) -> None:
    """Over a link that was asked for anew, a little before the one before it dies."""
    with page.expect_response(re.compile(f"download.*renewed={renewed}$")) as answer:
        page.clock.fast_forward("13:00")
    assert answer.value.status == 302
    expect(film).to_have_attribute("src", re.compile(f"renewed={renewed}$"))
    wait_until(film, state)
    expect(page.locator(".film canvas")).to_be_hidden()


def stop_the_clock(page: Page) -> None:
    """No timer of the page goes off until its clock, which must have been installed, runs again."""
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 60)


def wait_until(element: Locator, condition: str) -> None:
    """By a promise in the page: Playwright's own waiting needs eval, which the pages forbid."""
    element.evaluate(
        f"""(element) => new Promise((done) => {{
            const look = () => (({condition})(element) ? done() : requestAnimationFrame(look));
            look();
        }})"""
    )
