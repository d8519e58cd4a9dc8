"""A stand-in for the user's generator: both webhooks, status addresses, callbacks and the videos, on loopback.

It renders each order that it accepts, even one with a known Idempotency-Key, as a naive generator would; so
``renders`` proves that each was ordered, and paid for, once::

    generator.mode = "callback"                      # for all orders from now on
    generator.then("busy", "direct")                 # for the next two orders, before ``mode`` counts again
    generator.choose = lambda order: "poll"          # or by the order itself
    ...
    assert set(generator.renders.values()) == {1}
"""

import json
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

import httpx
import pytest

from tests.support.generator_modes import ANSWERS, PROCESSING, REJECTED, RENDERING, REPORTS, Mode, Said
from tests.support.installation import Configure
from tests.support.waiting import HANG_SECONDS

__all__ = ["Generator", "Mode", "generator", "refusing_port", "running_generator"]

SCRIPT = {"hook": "Look at this", "body": "It is a thing.", "conclusion": "Buy it."}
Order = dict[str, Any]


def put(order: Order, report: dict[str, Any]) -> None:
    """The callback over HTTP, as a generator makes it."""
    headers = {"Authorization": f"Bearer {order['callbackToken']}"}
    with suppress(httpx.TransportError):  # tests without a server have no listener
        httpx.put(order["callbackUrl"], json=report, headers=headers, timeout=HANG_SECONDS)


@dataclass
class Generator:
    """``mode`` says how the video webhook behaves, and ``script_mode`` the other; ``requests`` are what it got.

    ``deliver`` makes a callback, by HTTP unless a test puts its own way in. ``polls`` counts the questions at
    each video's status address, which names ``poll_file`` in the end; ``reports`` keeps the callbacks that were
    made, in order. ``video_url`` and each ``file`` are the same film; files named expired give 403. Where the
    films are elsewhere, ``address`` tells by the video's id. Each order is answered after ``answer_seconds``.
    """

    url: str
    mode: Mode = "direct"
    script_mode: Mode = "direct"
    script: dict[str, str] = field(default_factory=lambda: dict(SCRIPT))
    choose: Callable[[Order], Mode] | None = None
    address: Callable[[str], str] | None = None
    deliver: Callable[[Order, dict[str, Any]], object] = put
    polls_needed: int = 2
    poll_retry_after: int | None = None
    answer_seconds: float = 0.0
    poll_file: str = "launch.mp4"
    film: bytes = b""
    requests: list[Order] = field(default_factory=list)
    idempotency_keys: list[str] = field(default_factory=list)
    renders: Counter[str] = field(default_factory=Counter)
    polls: Counter[str] = field(default_factory=Counter)
    reports: list[dict[str, Any]] = field(default_factory=list)
    over: Event = field(default_factory=Event)
    release: Event = field(default_factory=Event)
    late: Event = field(default_factory=Event)
    _next: deque[Mode] = field(default_factory=deque)
    _modes: dict[str, Mode] = field(default_factory=dict)
    _callers: list[Thread] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @property
    def video_url(self) -> str:
        return f"{self.url}/videos/launch.mp4"

    def file(self, name: str) -> str:
        """The address of the same video under another name; ``slow.mp4`` waits for ``release`` in the middle."""
        return f"{self.url}/videos/{name}"

    def status_url(self, video_id: str) -> str:
        return f"{self.url}/status/{video_id}"

    def then(self, *modes: Mode) -> None:
        """How the next orders are treated, one by one, before ``mode`` counts again."""
        self._next.extend(modes)

    def callbacks_made(self) -> None:
        """Wait for the callbacks of all orders so far."""
        for caller in list(self._callers):
            caller.join(HANG_SECONDS)

    # Below: called by the server's threads.

    def script_answer(self, brief: Order) -> Said:
        self.requests.append(brief)
        self.idempotency_keys.append("")
        if self.script_mode == "hang":
            self.over.wait()
        if self.script_mode == "held":
            self.release.wait()
        return ANSWERS.get(self.script_mode, Said(200, self.script))

    def video_answer(self, order: Order, key: str) -> Said | None:
        """None: hang up without an answer."""
        mode = self._note(order, key)
        if mode == "callback_first":
            self._report(order, mode)
        elif mode in REPORTS:
            caller = Thread(target=self._report, args=(order, mode), daemon=True)
            self._callers.append(caller)
            caller.start()
        if mode == "hang":
            self.over.wait()
        if mode == "answer_late":
            self.late.wait()
        self.over.wait(self.answer_seconds)
        if mode in ("hang", "cut"):
            return None
        return ANSWERS.get(mode) or self._made_to_order(order, mode)

    def status_answer(self, video_id: str) -> Said:
        with self._lock:
            self.polls[video_id] += 1
            asked, mode = self.polls[video_id], self._modes.get(video_id)
        if mode == "expiring":
            return Said(200, {"status": "ready", "videoUrl": self.file(f"fresh-{asked}.mp4")})
        if asked < self.polls_needed:
            return Said(200, PROCESSING, self.poll_retry_after)
        if mode == "poll_rejected":
            return Said(200, REJECTED)
        return Said(200, {"status": "ready", "video_url": self._film(video_id, self.poll_file)})

    def _note(self, order: Order, key: str) -> Mode:
        with self._lock:
            self.requests.append(order)
            self.idempotency_keys.append(key)
            mode = self._next.popleft() if self._next else self.choose(order) if self.choose else self.mode
            self._modes[str(order.get("videoId"))] = mode
            if mode in RENDERING:
                self.renders[key] += 1
            return mode

    def _made_to_order(self, order: Order, mode: Mode) -> Said:
        status_url = self.status_url(str(order.get("videoId")))
        if mode == "film":
            return Said(200, self.film)
        if mode in ("poll", "poll_rejected"):
            return Said(202, {**PROCESSING, "statusUrl": status_url})
        if mode == "expiring":
            return Said(200, {"videoUrl": self.file("expired.mp4"), "statusUrl": status_url})
        return Said(200, {"videoUrl": self._film(str(order.get("videoId")))})

    def _film(self, video_id: str, name: str = "launch.mp4") -> str:
        return self.address(video_id) if self.address else self.file(name)

    def _report(self, order: Order, mode: Mode) -> None:
        if mode == "callback_late":
            self.late.wait()
        for status in REPORTS[mode]:
            report = {"userId": order["userId"], "videoId": order["videoId"], "status": status}
            if status == "ready":
                report["videoUrl"] = self._film(order["videoId"])
            self.reports.append(report)
            if not self.over.is_set():
                self.deliver(order, report)


@contextmanager
def running_generator(mp4: bytes) -> Iterator[Generator]:
    """On a free port of 127.0.0.1; the caller configures it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    running = Generator(f"http://127.0.0.1:{server.server_port}", film=mp4)
    server.generator = running  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield running
    finally:
        for event in (running.over, running.release, running.late):
            event.set()
        server.shutdown()
        server.server_close()
        thread.join()
        running.callbacks_made()


@pytest.fixture
def generator(configure: Configure, mp4: bytes) -> Iterator[Generator]:
    """Running, set up as both webhooks, and allowed as a source although it is on loopback."""
    with running_generator(mp4) as running:
        configure(
            SCRIPT_WEBHOOK_URL=f"{running.url}/script",
            VIDEO_WEBHOOK_URL=f"{running.url}/video",
            SOURCE_ALLOW_HOSTS=running.url.removeprefix("http://"),
            WEBHOOK_TIMEOUT_SECONDS=HANG_SECONDS,
            WEBHOOK_RETRY_SECONDS=0.01,
        )
        yield running


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections as long as the block lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        generator: Generator = self.server.generator
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/script":
            said: Said | None = generator.script_answer(order)
        else:
            said = generator.video_answer(order, self.headers.get("Idempotency-Key", ""))
        if said:
            self._say(said)

    def do_GET(self) -> None:
        if self.path.startswith("/status/"):
            self._say(self.server.generator.status_answer(self.path.removeprefix("/status/")))
        elif self.path.endswith("page.mp4"):
            self._send(200, "text/html", b"<!doctype html><title>Not found</title>")
        elif self.path.endswith("expired.mp4"):
            self._send(403, "text/plain", b"")
        elif self.path.startswith("/videos/"):
            with suppress(OSError):
                self._send(200, "video/mp4", self.server.generator.film, slowly="slow" in self.path)
        else:
            self._send(404, "text/plain", b"")

    def _say(self, said: Said) -> None:
        body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        if said.ends == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        missing = 1 if said.ends == "half" else 0
        with suppress(OSError):  # the client has disconnected
            self._send(said.status, "application/json", body, retry_after=said.retry_after, missing=missing)

    def _send(
        self,
        status: int,
        kind: str,
        body: bytes,
        *,
        slowly: bool = False,
        retry_after: int | None = None,
        missing: int = 0,
    ) -> None:
        """``missing``: how many bytes are promised and not sent."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) + missing))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        half = len(body) // 2 if slowly else 0
        self.wfile.write(body[:half])
        if slowly:
            self.server.generator.release.wait()
        self.wfile.write(body[half:])

    def log_message(self, *_arguments: object) -> None:
        """Tests are quiet."""
