"""The whole product with large videos: its memory, and a check of the stored data by another tool."""

import os
import re
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.json_process import START_SECONDS, JsonProcess, json_process
from benchmarks.process_usage import descendants, memory_of
from tests.support.app import RunningApp, running_app

LETTER = "h"
TITLE = "the whole product, through the API into the embedded S3"
MIB = 1024**2
MB = 1000**2
SIZE, QUICK_SIZE = 3072 * MIB, 64 * MIB
CONCURRENCY = 8
WORKER_START_SECONDS = 5
MIDDLE_SECONDS = 2.0
STORE_SECONDS = 300


@dataclass(frozen=True)
class Figures:
    """Bytes of memory ``before``, at the ``peak`` and ``after`` the transfer of ``stored`` bytes."""

    stored: int
    seconds: float
    before: int
    peak: int
    after: int
    crc32: str
    downloaded_crc32: str

    def __str__(self) -> str:
        return (
            f"{self.stored // MIB} MiB stored in {self.seconds:.1f} s "
            f"({self.stored / MB / self.seconds:.0f} MB/s). Worker before {self.before / MB:.0f} MB, "
            f"peak {self.peak / MB:.0f} MB, after {self.after / MB:.0f} MB. CRC-32 in the video's metadata "
            f"{self.crc32}, of the downloaded file by zlib {self.downloaded_crc32}.\n"
        )


@dataclass(frozen=True)
class Concurrent:
    """Several transfers of ``size`` bytes each: ``ps`` in the middle, and the sum of all processes' peak memory."""

    size: int
    seconds: float
    ps: str
    peak: int

    def __str__(self) -> str:
        speed = CONCURRENCY * self.size / MB / self.seconds
        return (
            f"\n{CONCURRENCY} of {self.size // MIB} MiB at once in {self.seconds:.1f} s ({speed:.0f} MB/s); "
            f"{self.peak / MB:.0f} MB at most in all processes together. In the middle (RSS in kB):\n\n"
            f"```\n{self.ps}```\n"
        )


def measure(size: int) -> str:
    with TemporaryDirectory(prefix="videovault-bench-") as name:
        folder = Path(name)
        with json_process("benchmarks.servers.source", folder=folder) as source:
            base = source.receive(START_SECONDS)["url"]
            settings = {"SOURCE_ALLOW_HOSTS": urlsplit(base).netloc, "WORKERS": "0", "RUNNING_PER_USER": "0"}
            with running_app(folder / "var", **settings) as app, worker(app, folder, settings) as process:
                token = register(app)
                one = _stored(app, process.pid, token, f"{base}/video-{size}.mp4")
                return f"{one}{_store_concurrently(app, process.pid, token, base, size // 12)}"


def _stored(app: RunningApp, pid: int, token: str, url: str) -> Figures:
    before, started = memory_of(pid, "VmRSS"), time.monotonic()
    video = store(app, token, url)
    seconds = time.monotonic() - started
    after = memory_of(pid, "VmHWM"), memory_of(pid, "VmRSS")
    crc32 = video["metadata"]["crc32"]
    return Figures(
        video["size"], seconds, before, *after, crc32, _downloaded_crc32(app, token, video["videoId"])
    )


def _downloaded_crc32(app: RunningApp, token: str, video_id: str) -> str:
    """The CRC-32 of the download by the standard library; the engine uses another implementation."""
    crc32 = 0
    address = f"{app.url}/api/auth/video/{video_id}/download"
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.stream("GET", address, headers=headers, follow_redirects=True) as answer:
        for chunk in answer.raise_for_status().iter_raw(MIB):
            crc32 = zlib.crc32(chunk, crc32)
    return f"{crc32:08x}"


def _store_concurrently(app: RunningApp, pid: int, token: str, base: str, size: int) -> Concurrent:
    started = time.monotonic()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        urls = [f"{base}/concurrent{number}-{size}.mp4" for number in range(CONCURRENCY)]
        futures = [pool.submit(store, app, token, url) for url in urls]
        wait(futures, timeout=MIDDLE_SECONDS)
        pids = [pid, app.process.pid, *descendants(app.process.pid)]
        columns = ("-o", "pid,rss,cputime,args", "--width", "100")
        ps = subprocess.run(
            ["ps", *columns, "-p", ",".join(map(str, pids))], capture_output=True, text=True, check=True
        )
        for each in futures:
            each.result()
    seconds = time.monotonic() - started
    return Concurrent(
        size, seconds, _without_paths(ps.stdout), sum(memory_of(each, "VmHWM") for each in pids)
    )


def _without_paths(text: str) -> str:
    return re.sub(r"/\S*/", "", text)


@contextmanager
def worker(app: RunningApp, folder: Path, settings: Mapping[str, str]) -> Iterator[JsonProcess]:
    """A worker process separate from the app, to measure its memory."""
    env = {**os.environ, **settings, "DATA_DIR": str(app.data_dir), "WORKERS": str(CONCURRENCY)}
    with json_process("videovault", "worker", folder=folder, env=env) as process:
        time.sleep(WORKER_START_SECONDS)
        yield process


def register(app: RunningApp) -> str:
    account = {"email": "bench@example.com", "password": "a long enough one"}
    return str(httpx.post(f"{app.url}/api/auth/register", json=account).json()["data"]["token"])


def store(app: RunningApp, token: str, url: str) -> dict[str, Any]:
    """Store the video; returns it as in the API."""
    answer = httpx.post(
        f"{app.url}/api/auth/video/download",
        json={"videoUrl": url, "userEmail": "bench@example.com"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=STORE_SECONDS,
    )
    video: dict[str, Any] = answer.raise_for_status().json()["data"]
    return video
