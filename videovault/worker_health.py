"""A worker's own port: /healthz, /readyz and /metrics, for orchestrators and Prometheus.

A worker is ready if database and queue have answered as a claim needs them within ``READY_SECONDS``, whether or not it has
a free slot.
"""

import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from videovault import logs, metrics
from videovault.config import settings
from videovault.errors import ConfigurationError

READY_SECONDS = 15.0
CHECK_SECONDS = 5.0
# Of probes: each sends one short request and reads one response.
MAX_CONNECTIONS = 16
READ_SECONDS = 5.0
CONNECTION_SECONDS = 10.0
POLL_SECONDS = 0.5  # between two looks for overdue connections
STOPPING = "It is stopping and claims nothing."

log = logs.get(__name__)


class Readiness:
    """Tries ``checks`` every few seconds, each in its own thread, since one may hang."""

    def __init__(self, checks: Mapping[str, Callable[[], object]], stopping: threading.Event) -> None:
        self._checks = checks
        self._stopping = stopping
        self._started_at = time.monotonic()
        self._answered_at: dict[str, float] = {}

    def start(self) -> None:
        for name, check in self._checks.items():
            threading.Thread(
                target=self._run, args=(name, check), name=f"readiness of {name}", daemon=True
            ).start()

    def problems(self) -> dict[str, str]:
        """By part, why this worker cannot claim; empty if it can."""
        if self._stopping.is_set():
            return {"worker": STOPPING}
        silent = {name: self._silent_seconds(name) for name in self._checks}
        return {
            name: f"The {name} has not answered for {seconds:.0f} seconds."
            for name, seconds in silent.items()
            if name not in self._answered_at or seconds > READY_SECONDS
        }

    def _silent_seconds(self, name: str) -> float:
        return time.monotonic() - self._answered_at.get(name, self._started_at)

    def _run(self, name: str, check: Callable[[], object]) -> None:
        failed = False
        while not self._stopping.is_set():
            try:
                check()
            except Exception as error:  # noqa: BLE001 - whatever it is, this worker cannot claim
                if not failed:
                    log.warning("cannot claim", part=name, reason=type(error).__name__)
                failed = True
            else:
                self._answered_at[name] = time.monotonic()
                failed = False
            self._stopping.wait(CHECK_SECONDS)


class HealthServer(ThreadingTCPServer):
    """Answers on WORKER_PORT, with a thread for each of ``MAX_CONNECTIONS``, closed after ``CONNECTION_SECONDS``.

    Raises ConfigurationError if the port cannot be listened on.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, readiness: Readiness) -> None:
        host, port = settings().worker_host, settings().worker_port
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.readiness = readiness
        self._deadlines: dict[socket.socket, float] = {}
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise ConfigurationError(
                f"WORKER_PORT {port} on {host} cannot be used: {error.strerror or error}. Each worker on a machine needs "
                "its own WORKER_PORT."
            ) from error

    def start(self) -> None:
        """Check and answer in threads until the process ends, or until ``stop``."""
        self.readiness.start()
        threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name="health port", daemon=True
        ).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's signature
        """End the oldest connection for a new one: refusing the newest would let one client starve all probes."""
        if len(self._deadlines) >= MAX_CONNECTIONS:
            oldest, _ = min(list(self._deadlines.items()), key=lambda each: each[1])
            self._deadlines.pop(oldest, None)
            with suppress(OSError):  # closed meanwhile
                oldest.shutdown(socket.SHUT_RDWR)
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        self._deadlines[request] = time.monotonic() + CONNECTION_SECONDS
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called every ``POLL_SECONDS``."""
        now = time.monotonic()
        for connection, deadline in list(self._deadlines.items()):
            if now > deadline:
                with suppress(OSError):  # closed meanwhile
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as above
        log.debug("a probe's connection failed", reason=type(sys.exception()).__name__)


class _Handler(BaseHTTPRequestHandler):
    server: HealthServer
    timeout = READ_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._send_json(200, {"status": "ok"})
        elif path == "/readyz":
            problems = self.server.readiness.problems()
            answer = {"status": "failing" if problems else "ok", "checks": problems or {"claim": "ok"}}
            self._send_json(503 if problems else 200, answer)
        elif path == "/metrics" and settings().serves_worker_metrics:
            self._send_metrics()
        else:
            self._send_json(404, {"status": "not found"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send_metrics(self) -> None:
        token = settings().metrics_token.get_secret_value()
        given = self.headers.get("Authorization", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            self._send_json(401, {"status": "METRICS_TOKEN is needed"})
            return
        body, content_type = metrics.exposition(self.headers.get("Accept", ""))
        self._send(200, body, content_type)

    def _send_json(self, status: int, content: Mapping[str, object]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "VideoVault"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
        """Probes come every few seconds: they are not logged."""
