"""How much memory a worker needs to store a large video through the API, from a loopback source into the embedded S3."""

import http.server
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.fixtures.app import ROOT, RunningApp, running_app

MIB = 1024**2
SIZE = 1024 * MIB
# An MP4's first box, then one box of padding: a video by its container, of any size.
HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
BLOCK = os.urandom(MIB)


class LargeFile(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(SIZE))
        self.end_headers()
        padding = SIZE - len(HEAD)
        self.wfile.write(HEAD + padding.to_bytes(4, "big") + b"free")
        left = padding - 8
        while left:
            left -= self.wfile.write(BLOCK[:left])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, source() as url:
        allow = {"SOURCE_ALLOW_HOSTS": url.split("/")[2], "WORKERS": "0"}
        with running_app(Path(folder), **allow) as app, worker(app, allow) as pid:
            token = register(app)
            before = resident(pid, "VmRSS")
            started = time.monotonic()
            stored = store(app, token, f"{url}/large.mp4")
            seconds = time.monotonic() - started
            peak, after = resident(pid, "VmHWM"), resident(pid, "VmRSS")
    print(f"stored {stored / MIB:.0f} MiB in {seconds:.1f} s ({stored / MIB / seconds:.0f} MiB/s)")
    print(f"worker memory: before {before} MiB, peak {peak} MiB (+{peak - before}), after {after} MiB")


@contextmanager
def source() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LargeFile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def worker(app: RunningApp, settings: dict[str, str]) -> Iterator[int]:
    """A worker process beside the app, so that its memory is its own; its pid."""
    environment = {**os.environ, **settings, "DATA_DIR": str(app.data_dir), "WORKERS": "4"}
    process = subprocess.Popen([sys.executable, "-m", "videovault", "worker"], cwd=ROOT, env=environment)
    try:
        time.sleep(5)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def register(app: RunningApp) -> str:
    account = {"email": "bench@example.com", "password": "a long enough one"}
    return str(httpx.post(f"{app.url}/api/auth/register", json=account).json()["data"]["token"])


def store(app: RunningApp, token: str, url: str) -> int:
    answer = httpx.post(
        f"{app.url}/api/auth/video/download",
        json={"videoUrl": url, "userEmail": "bench@example.com"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=600,
    )
    return int(answer.raise_for_status().json()["data"]["size"])


def resident(pid: int, name: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (the most so far) of the process as the kernel counts it, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) // 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()
