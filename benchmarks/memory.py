"""How much memory a worker needs to store a large video through the API, from a fast source into the embedded S3."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx

from benchmarks.children import START_SECONDS, Child, child
from benchmarks.measuring import memory
from tests.fixtures.app import RunningApp, running_app

LETTER = "h"
TITLE = "memory of a worker, through the API into the embedded S3"
MIB = 1024**2
MB = 1000**2
SIZE, QUICK_SIZE = 1024 * MIB, 64 * MIB
WORKER_START_SECONDS = 5
STORE_SECONDS = 300


@dataclass(frozen=True)
class Figures:
    """Bytes of memory ``before``, at the ``peak`` and ``after`` the transfer of ``stored`` bytes."""

    stored: int
    seconds: float
    before: int
    peak: int
    after: int

    def __str__(self) -> str:
        return (
            f"{self.stored // MIB} MiB stored in {self.seconds:.1f} s "
            f"({self.stored / MB / self.seconds:.0f} MB/s). Worker before {self.before / MB:.0f} MB, "
            f"peak {self.peak / MB:.0f} MB, after {self.after / MB:.0f} MB.\n"
        )


def measured(size: int) -> Figures:
    with TemporaryDirectory(prefix="videovault-bench-") as name:
        folder = Path(name)
        with child("benchmarks.servers.source", folder=folder) as source:
            url = f"{source.hear(START_SECONDS)['url']}/video-{size}.mp4"
            settings = {"SOURCE_ALLOW_HOSTS": urlsplit(url).netloc, "WORKERS": "0"}
            with running_app(folder / "var", **settings) as app, worker(app, folder, settings) as process:
                return _stored(app, process.pid, url)


def _stored(app: RunningApp, pid: int, url: str) -> Figures:
    token = register(app)
    before, started = memory(pid, "VmRSS"), time.monotonic()
    size = store(app, token, url)
    seconds = time.monotonic() - started
    return Figures(size, seconds, before, memory(pid, "VmHWM"), memory(pid, "VmRSS"))


@contextmanager
def worker(app: RunningApp, folder: Path, settings: Mapping[str, str]) -> Iterator[Child]:
    """A worker process beside the app, so that its memory is its own."""
    env = {**os.environ, **settings, "DATA_DIR": str(app.data_dir), "WORKERS": "4"}
    with child("videovault", "worker", folder=folder, env=env) as process:
        time.sleep(WORKER_START_SECONDS)
        yield process


def register(app: RunningApp) -> str:
    account = {"email": "bench@example.com", "password": "a long enough one"}
    return str(httpx.post(f"{app.url}/api/auth/register", json=account).json()["data"]["token"])


def store(app: RunningApp, token: str, url: str) -> int:
    """Have it stored; its size in bytes."""
    answer = httpx.post(
        f"{app.url}/api/auth/video/download",
        json={"videoUrl": url, "userEmail": "bench@example.com"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=STORE_SECONDS,
    )
    return int(answer.raise_for_status().json()["data"]["size"])
