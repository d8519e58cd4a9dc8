"""The studio as a real process, and somebody to be called back."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import httpx

from tests.support.waiting import HANG_SECONDS, eventually
from videovault.gateways.studio import KEY_VARIABLE, bearer_header

KEY = "the-key-of-these-tests"
SHOWN = bearer_header(KEY)
# Few words, hence the shortest video there is.
VIDEO = {
    "hook": "Good coffee",
    "body": "is no secret.",
    "conclusion": "Come by!",
    "company_name": "Acme",
    "social_handles": "@acme",
    "license": "CC BY 4.0",
    "avatar": "Maya",
    "videoId": "video_1",
    "userId": "user_1",
}


@dataclass
class Studio:
    """A running studio; ``process`` may be killed by a test."""

    url: str
    port: int
    process: subprocess.Popen[bytes]

    def post(
        self, path: str, timeout: float = 30, headers: Mapping[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """As those who know the key do."""
        return httpx.post(f"{self.url}{path}", headers={**SHOWN, **(headers or {})}, timeout=timeout, **body)


@contextmanager
def running_studio(data_dir: Path, *options: str, key: str = KEY, port: int = 0) -> Iterator[Studio]:
    """Started on a free port if none is given, and stopped at the end."""
    if not port:
        with create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "videovault.embedded.studio"]
    arguments = [*command, "--port", str(port), "--data-dir", str(data_dir), *options]
    process = subprocess.Popen(arguments, env={**os.environ, KEY_VARIABLE: key})
    running = Studio(f"http://127.0.0.1:{port}", port, process)
    try:
        eventually(lambda: _answers(running))
        yield running
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


def _answers(running: Studio) -> bool:
    assert running.process.poll() is None, "the studio has ended"
    try:
        return httpx.get(f"{running.url}/healthz").is_success
    except httpx.TransportError:
        return False


@dataclass
class CallbackReceiver:
    """Takes callbacks: ``statuses`` are answered in turn, then 200; ``news`` is what was reported."""

    url: str
    statuses: list[int] = field(default_factory=list)
    news: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def order(self, **changes: str) -> dict[str, str]:
        """A video to be reported here."""
        return {**VIDEO, "callbackUrl": self.url, "callbackToken": "token-1", **changes}


@contextmanager
def callback_receiver() -> Iterator[CallbackReceiver]:
    """Listening on loopback for as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    server.customer = listening = CallbackReceiver(f"http://127.0.0.1:{server.server_port}/status")  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield listening
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_PUT(self) -> None:
        listening: CallbackReceiver = self.server.customer
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        listening.tokens.append(self.headers["Authorization"])
        listening.news.append(body)
        self.send_response(listening.statuses.pop(0) if listening.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Tests are quiet."""
