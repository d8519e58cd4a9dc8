"""Loading a page in a real Chromium: bytes, layout shifts and time."""

import json
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

TIMEOUT_MS = 60_000
SETTLE_MS = 400
HYDRATED = "is_hydrated"
# Layout shifts that the user did not cause.
COUNT_SHIFTS = """
    window.__shifts = 0;
    new PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) window.__shifts += value;
    }).observe({ type: "layout-shift", buffered: true });
"""
# From a user's action to the first frame with a change.
AWAIT_FEEDBACK = """() => {
    window.__feedback = new Promise((done) => {
        const started = ({ timeStamp }) => {
            new MutationObserver((_, observer) => {
                observer.disconnect();
                requestAnimationFrame(() => done(performance.now() - timeStamp));
            }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
        };
        for (const act of ["click", "input"]) addEventListener(act, started, { once: true, capture: true });
    });
}"""


@dataclass(frozen=True)
class PageLoad:
    """Bytes over the network with headers, without videos; milliseconds until the page has its state."""

    transferred: int
    shifts: float
    hydrated: float


@dataclass
class _Network:
    """Network events of the browser, in seconds of its clock."""

    transferred: int = 0
    started: float | None = None
    hydrated: float | None = None
    videos: set[str] = field(default_factory=set)

    def on_request(self, event: dict[str, Any]) -> None:
        if self.started is None:
            self.started = event["timestamp"]
        if event.get("type") == "Media":
            self.videos.add(event["requestId"])

    def on_finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self.videos:
            self.transferred += int(event["encodedDataLength"])

    def on_frame(self, event: dict[str, Any]) -> None:
        if self.hydrated is None and _is_hydrated(event["response"]["payloadData"]):
            self.hydrated = event["timestamp"]


def load_page(context: BrowserContext, path: str) -> PageLoad:
    """Open the page in a new tab and wait until it is idle."""
    page = context.new_page()
    page.add_init_script(COUNT_SHIFTS)
    network = _listen(page)
    page.goto(path)
    waited = 0
    while network.hydrated is None and waited < TIMEOUT_MS:
        page.wait_for_timeout(20)
        waited += 20
    if network.hydrated is None or network.started is None:
        raise RuntimeError(f"{path} had no state after {TIMEOUT_MS // 1000} s")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(SETTLE_MS)
    shifts = float(page.evaluate("window.__shifts"))
    page.close()
    return PageLoad(network.transferred, shifts, (network.hydrated - network.started) * 1000)


def _listen(page: Page) -> _Network:
    network, session = _Network(), page.context.new_cdp_session(page)
    session.on("Network.requestWillBeSent", network.on_request)
    session.on("Network.loadingFinished", network.on_finished)
    session.on("Network.webSocketFrameReceived", network.on_frame)
    session.send("Network.enable")
    return network


def _is_hydrated(frame: str) -> bool:
    if HYDRATED not in frame:
        return False
    return _contains_hydrated(json.loads(frame[frame.index("[") :]))


def _contains_hydrated(message: Any) -> bool:
    """Whether a state in the message is hydrated."""
    if isinstance(message, dict):
        return any(name.startswith(HYDRATED) and value is True for name, value in message.items()) or any(
            map(_contains_hydrated, message.values())
        )
    return isinstance(message, list) and any(map(_contains_hydrated, message))
