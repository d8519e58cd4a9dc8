"""The studio as a real process, and a receiver of its callbacks."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from tests.support.app import free_port
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.gateways.studio import KEY_VARIABLE, bearer_header

KEY = "the-key-of-these-tests"
SHOWN = bearer_header(KEY)
# Few words, for the shortest possible video.
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
        """With the key."""
        return httpx.post(f"{self.url}{path}", headers={**SHOWN, **(headers or {})}, timeout=timeout, **body)


@contextmanager
def running_studio(data_dir: Path, *options: str, key: str = KEY, port: int = 0) -> Iterator[Studio]:
    """Runs inside the block, on a free port if none is given."""
    port = port or free_port()
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
    """Receives callbacks: answers ``statuses`` in turn, then 200; ``bodies`` are what it received."""

    url: str
    statuses: list[int] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def order(self, **changes: str) -> dict[str, str]:
        """A video whose callback comes here."""
        return {**VIDEO, "callbackUrl": self.url, "callbackToken": "token-1", **changes}


@contextmanager
def callback_receiver() -> Iterator[CallbackReceiver]:
    """Listens on loopback inside the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    server.receiver = receiver = CallbackReceiver(f"http://127.0.0.1:{server.server_port}/status")  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_PUT(self) -> None:
        receiver: CallbackReceiver = self.server.receiver
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        receiver.tokens.append(self.headers["Authorization"])
        receiver.bodies.append(body)
        self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing on stderr."""
