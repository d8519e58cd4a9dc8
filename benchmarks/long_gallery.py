"""The cost of a gallery of 500 videos: scrolling, searching, and one changed card."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Any, NamedTuple

import httpx
from playwright.sync_api import CDPSession, Locator, Page, expect

from benchmarks.results import Check, Section

VIDEOS, PAGE = 500, 24
SHOWN = (PAGE, 10 * PAGE, 20 * PAGE)
SEARCHES = 5
KB = 1000
MAX_FRAME_MS, MAX_SEARCH_MS, MAX_MORE_KB, MAX_CHANGE_KB = 34.0, 200.0, 12.0, 10.0
PIXELS_A_FRAME = 60
SETTLE_MS = 500
# Scrolls down at constant speed to the end; the milliseconds between frames.
SCROLL_THROUGH = f"""(all) => new Promise((done) => {{
    const frames = [];
    let last = performance.now();
    const step = (now) => {{
        frames.push(now - last);
        last = now;
        scrollBy(0, {PIXELS_A_FRAME});
        const isAtEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
        if (isAtEnd && document.querySelectorAll(".card").length === all) done(frames.slice(1));
        else requestAnimationFrame(step);
    }};
    requestAnimationFrame(step);
}})"""
# From the key press to the frame in which the searched card is the only one.
AWAIT_FOUND = """(title) => {
    window.__found = new Promise((done) => {
        addEventListener("keydown", ({ timeStamp }) => {
            const look = () => {
                const [only, ...others] = document.querySelectorAll(".card h2");
                const isFound = only?.textContent === title && others.length === 0;
                requestAnimationFrame(isFound ? () => done(performance.now() - timeStamp) : look);
            };
            look();
        }, { once: true, capture: true });
    });
}"""


class Cost(NamedTuple):
    """Bytes received by websocket, and CPU time of the page's thread in milliseconds."""

    received: int
    cpu: float


@dataclass(frozen=True)
class Figures:
    """``more`` and ``change`` by the number of cards before; ``frames`` and ``search`` in milliseconds.

    ``effort`` is the CPU time of the page's thread per frame, in milliseconds.
    """

    more: dict[int, Cost]
    change: dict[int, Cost]
    frames: Sequence[float]
    effort: float
    search: float

    def checks(self) -> list[Check]:
        def at_most(name: str, value: float, limit: float, unit: str) -> Check:
            return Check(name, value, limit, at_least=False, unit=unit)

        return [
            at_most("frames, p95", self._p95, MAX_FRAME_MS, " ms"),
            at_most("search", self.search, MAX_SEARCH_MS, " ms"),
            at_most(
                "one more page", max(cost.received for cost in self.more.values()) / KB, MAX_MORE_KB, " kB"
            ),
            at_most(
                "one card", max(cost.received for cost in self.change.values()) / KB, MAX_CHANGE_KB, " kB"
            ),
        ]

    @property
    def _p95(self) -> float:
        return quantiles(self.frames, n=20)[-1]

    def rows(self) -> list[tuple[str, ...]]:
        """The table, starting with its header."""
        return [
            ("cards", "one more page kB", "CPU ms", "one card changed kB", "CPU ms"),
            ("--:",) * 5,
            *(
                (str(shown), *_shown(self.more[shown]), *_shown(self.change[shown]))
                for shown in sorted(self.more)
            ),
        ]

    def __str__(self) -> str:
        table = "".join(f"| {' | '.join(row)} |\n" for row in self.rows())
        scrolled = (
            f"Scrolled through all {VIDEOS} at {PIXELS_A_FRAME} pixels a frame: {len(self.frames)} frames, p95 "
            f"{self._p95:.0f} ms, longest {max(self.frames):.0f} ms, of which the page's thread works {self.effort:.1f} "
            f"ms each. Search: from the key press to the picture with the answer {self.search:.0f} ms. kB are 10³ "
            f"bytes over the websocket, CPU is the page's thread."
        )
        return f"{table}\n{scrolled}\n\n" + "".join(f"- {check}\n" for check in self.checks())

    def section(self) -> Section:
        return Section("c", f"a gallery of {VIDEOS}", str(self))


def titles() -> list[str]:
    """Of all videos, newest first."""
    return [f"Film {number:03}" for number in range(VIDEOS)]


def measure(page: Page, ids: Sequence[str], api: httpx.Client) -> Figures:
    """In the gallery with these videos of a signed-in user, whose API client is ``api``."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})  # excludes other load on the machine
    page.goto("/gallery")
    expect(_cards(page)).to_have_count(PAGE)
    more, change = {}, {}
    for shown in SHOWN:
        _show(page, shown)
        change[shown] = _cost(page, devtools, partial(_rename, page, api, ids[shown // 2]))
        more[shown] = _cost(page, devtools, partial(_more, page, shown))
    frames, effort = _scroll_through(page, devtools)
    return Figures(more, change, frames, effort, median(_search(page) for _ in range(SEARCHES)))


def _cards(page: Page) -> Locator:
    return page.locator(
        ".card h2"
    )  # searching for roles among so many elements would distort the measurement


def _show(page: Page, count: int) -> None:
    while (present := _cards(page).count()) < count:
        _more(page, present)


def _more(page: Page, present: int) -> None:
    page.evaluate("document.querySelector('.more button').click()")
    expect(_cards(page)).to_have_count(min(present + PAGE, VIDEOS))


def _rename(page: Page, api: httpx.Client, video_id: str) -> None:
    title = f"Renamed {video_id[-4:]}"
    api.patch(f"/api/auth/video/{video_id}", json={"title": title}).raise_for_status()
    expect(page.locator(f"#title-{video_id}")).to_have_text(title)


def _scroll_through(page: Page, devtools: CDPSession) -> tuple[list[float], float]:
    page.goto("/gallery?sort=newest")
    expect(_cards(page)).to_have_count(PAGE)
    page.wait_for_timeout(SETTLE_MS)
    before = _cpu_ms(devtools)
    frames: list[float] = page.evaluate(SCROLL_THROUGH, VIDEOS)
    return frames, (_cpu_ms(devtools) - before) / len(frames)


def _cost(page: Page, devtools: CDPSession, act: Callable[[], None]) -> Cost:
    page.wait_for_timeout(SETTLE_MS)
    with _received(devtools) as sizes:
        before = _cpu_ms(devtools)
        act()
        page.wait_for_timeout(SETTLE_MS)
        return Cost(sum(sizes), _cpu_ms(devtools) - before)


@contextmanager
def _received(devtools: CDPSession) -> Iterator[list[int]]:
    """The sizes of the websocket messages received inside the block."""
    sizes: list[int] = []

    def note(event: dict[str, Any]) -> None:
        sizes.append(len(event["response"]["payloadData"].encode()))

    devtools.on("Network.webSocketFrameReceived", note)
    yield sizes
    devtools.remove_listener("Network.webSocketFrameReceived", note)


def _cpu_ms(devtools: CDPSession) -> float:
    figures = {
        figure["name"]: figure["value"] for figure in devtools.send("Performance.getMetrics")["metrics"]
    }
    return float(figures["TaskDuration"]) * 1000


def _search(page: Page) -> float:
    """A key press that leaves one of many cards."""
    field = page.get_by_role("searchbox")
    field.fill("Film 4")
    expect(_cards(page)).to_have_count(PAGE)
    field.fill("Film 49")
    expect(_cards(page)).to_have_count(10)
    field.focus()
    page.evaluate(AWAIT_FOUND, "Film 499")
    page.keyboard.press("9")
    return float(page.evaluate("window.__found"))


def _shown(cost: Cost) -> tuple[str, str]:
    return f"{cost.received / KB:.1f}", f"{cost.cpu:.0f}"
