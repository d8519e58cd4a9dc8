"""What a gallery of 500 videos costs: while it is scrolled through, searched, and when one of its cards changes."""

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
MOST_FRAME_MS, MOST_SEARCH_MS, MOST_MORE_KB, MOST_CHANGE_KB = 34.0, 200.0, 12.0, 10.0
PIXELS_A_FRAME = 60
SETTLE_MS = 500
# Down at a steady speed until nothing more comes; the milliseconds from each frame to the next.
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
# From the key press to the picture in which the one card that was looked for is the only one.
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
    """Bytes that came over the websocket, milliseconds of CPU time that the page's thread took."""

    received: int
    cpu: float


@dataclass(frozen=True)
class Figures:
    """``more`` and ``change`` by how many cards were there before; ``frames`` and ``search`` in milliseconds.

    ``effort`` is the CPU time that the page's thread takes for a frame, in milliseconds too.
    """

    more: dict[int, Cost]
    change: dict[int, Cost]
    frames: Sequence[float]
    effort: float
    search: float

    def checks(self) -> list[Check]:
        def most(name: str, value: float, limit: float, unit: str) -> Check:
            return Check(name, value, limit, at_least=False, unit=unit)

        return [
            most("frames, p95", self._p95, MOST_FRAME_MS, " ms"),
            most("search", self.search, MOST_SEARCH_MS, " ms"),
            most(
                "one more page", max(cost.received for cost in self.more.values()) / KB, MOST_MORE_KB, " kB"
            ),
            most("one card", max(cost.received for cost in self.change.values()) / KB, MOST_CHANGE_KB, " kB"),
        ]

    @property
    def _p95(self) -> float:
        return quantiles(self.frames, n=20)[-1]

    def rows(self) -> list[tuple[str, ...]]:
        """The table, its head first."""
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
    """Of all of them, newest first."""
    return [f"Film {number:03}" for number in range(VIDEOS)]


def measure(page: Page, ids: Sequence[str], api: httpx.Client) -> Figures:
    """Of a signed-in person's gallery with these videos; ``api`` is their own."""
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send(
        "Performance.enable", {"timeDomain": "threadTicks"}
    )  # what others do on the machine is left out
    page.goto("/gallery")
    expect(_cards(page)).to_have_count(PAGE)
    more, change = {}, {}
    for shown in SHOWN:
        _show(page, shown)
        change[shown] = _cost(page, wire, partial(_rename, page, api, ids[shown // 2]))
        more[shown] = _cost(page, wire, partial(_more, page, shown))
    frames, effort = _scroll_through(page, wire)
    return Figures(more, change, frames, effort, median(_search(page) for _ in range(SEARCHES)))


def _cards(page: Page) -> Locator:
    return page.locator(".card h2")  # to look for roles among so many elements would be what is measured


def _show(page: Page, count: int) -> None:
    while (there := _cards(page).count()) < count:
        _more(page, there)


def _more(page: Page, there: int) -> None:
    page.evaluate("document.querySelector('.more button').click()")
    expect(_cards(page)).to_have_count(min(there + PAGE, VIDEOS))


def _rename(page: Page, api: httpx.Client, video_id: str) -> None:
    title = f"Renamed {video_id[-4:]}"
    api.patch(f"/api/auth/video/{video_id}", json={"title": title}).raise_for_status()
    expect(page.locator(f"#title-{video_id}")).to_have_text(title)


def _scroll_through(page: Page, wire: CDPSession) -> tuple[list[float], float]:
    page.goto("/gallery?sort=newest")
    expect(_cards(page)).to_have_count(PAGE)
    page.wait_for_timeout(SETTLE_MS)
    before = _cpu_ms(wire)
    frames: list[float] = page.evaluate(SCROLL_THROUGH, VIDEOS)
    return frames, (_cpu_ms(wire) - before) / len(frames)


def _cost(page: Page, wire: CDPSession, act: Callable[[], None]) -> Cost:
    page.wait_for_timeout(SETTLE_MS)
    with _received(wire) as sizes:
        before = _cpu_ms(wire)
        act()
        page.wait_for_timeout(SETTLE_MS)
        return Cost(sum(sizes), _cpu_ms(wire) - before)


@contextmanager
def _received(wire: CDPSession) -> Iterator[list[int]]:
    """The sizes of the websocket messages that come meanwhile."""
    sizes: list[int] = []

    def note(event: dict[str, Any]) -> None:
        sizes.append(len(event["response"]["payloadData"].encode()))

    wire.on("Network.webSocketFrameReceived", note)
    yield sizes
    wire.remove_listener("Network.webSocketFrameReceived", note)


def _cpu_ms(wire: CDPSession) -> float:
    figures = {figure["name"]: figure["value"] for figure in wire.send("Performance.getMetrics")["metrics"]}
    return float(figures["TaskDuration"]) * 1000


def _search(page: Page) -> float:
    """Where the gallery shows all, a key that leaves one."""
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
