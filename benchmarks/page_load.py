"""One visit to a page in a real Chromium: the bytes it costs, how much it jumps, and when it answers."""

import json
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

PATIENCE_MS = 60_000
SETTLE_MS = 400
HYDRATED = "is_hydrated"
# What the page itself counts: shifts of its layout that nobody asked for.
COUNT_SHIFTS = """
    window.__shifts = 0;
    new PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) window.__shifts += value;
    }).observe({ type: "layout-shift", buffered: true });
"""
# From the moment in which somebody acts to the first picture in which anything is different.
AWAIT_FEEDBACK = """() => {
    window.__feedback = new Promise((done) => {
        const began = ({ timeStamp }) => {
            new MutationObserver((_, observer) => {
                observer.disconnect();
                requestAnimationFrame(() => done(performance.now() - timeStamp));
            }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
        };
        for (const act of ["click", "input"]) addEventListener(act, began, { once: true, capture: true });
    });
}"""


@dataclass(frozen=True)
class PageLoad:
    """Bytes over the wire with their headers, films left out; milliseconds until the page is alive."""

    transferred: int
    shifts: float
    hydrated: float


@dataclass
class _Wire:
    """What the browser tells of its network, in seconds of its own clock."""

    transferred: int = 0
    began: float | None = None
    hydrated: float | None = None
    films: set[str] = field(default_factory=set)

    def asked(self, event: dict[str, Any]) -> None:
        if self.began is None:
            self.began = event["timestamp"]
        if event.get("type") == "Media":
            self.films.add(event["requestId"])

    def finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self.films:
            self.transferred += int(event["encodedDataLength"])

    def framed(self, event: dict[str, Any]) -> None:
        if self.hydrated is None and _says_hydrated(event["response"]["payloadData"]):
            self.hydrated = event["timestamp"]


def load_page(context: BrowserContext, path: str) -> PageLoad:
    """Open the page in a new tab and wait until it has come to rest."""
    page = context.new_page()
    page.add_init_script(COUNT_SHIFTS)
    wire = _listening(page)
    page.goto(path)
    waited = 0
    while wire.hydrated is None and waited < PATIENCE_MS:
        page.wait_for_timeout(20)
        waited += 20
    if wire.hydrated is None or wire.began is None:
        raise RuntimeError(f"{path} did not come to life in {PATIENCE_MS // 1000} s")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(SETTLE_MS)
    shifts = float(page.evaluate("window.__shifts"))
    page.close()
    return PageLoad(wire.transferred, shifts, (wire.hydrated - wire.began) * 1000)


def _listening(page: Page) -> _Wire:
    wire, wiretap = _Wire(), page.context.new_cdp_session(page)
    wiretap.on("Network.requestWillBeSent", wire.asked)
    wiretap.on("Network.loadingFinished", wire.finished)
    wiretap.on("Network.webSocketFrameReceived", wire.framed)
    wiretap.send("Network.enable")
    return wire


def _says_hydrated(frame: str) -> bool:
    if HYDRATED not in frame:
        return False
    return _holds_true(json.loads(frame[frame.index("[") :]))


def _holds_true(said: Any) -> bool:
    """Whether some state in it says that it is hydrated."""
    if isinstance(said, dict):
        return any(name.startswith(HYDRATED) and value is True for name, value in said.items()) or any(
            map(_holds_true, said.values())
        )
    return isinstance(said, list) and any(map(_holds_true, said))
