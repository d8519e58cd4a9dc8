"""The whole product with large videos: its memory, and proof by another tool that what is stored is what was there."""

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
from benchmarks.process_usage import memory_of
from tests.support.app import RunningApp, running_app

LETTER = "h"
TITLE = "the whole product, through the API into the embedded S3"
MIB = 1024**2
MB = 1000**2
SIZE, QUICK_SIZE = 3072 * MIB, 64 * MIB
AT_ONCE = 8
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
    told: str
    counted: str

    def __str__(self) -> str:
        return (
            f"{self.stored // MIB} MiB stored in {self.seconds:.1f} s "
            f"({self.stored / MB / self.seconds:.0f} MB/s). Worker before {self.before / MB:.0f} MB, "
            f"peak {self.peak / MB:.0f} MB, after {self.after / MB:.0f} MB. CRC-32 in the video's metadata "
            f"{self.told}, of the downloaded file by zlib {self.counted}.\n"
        )


@dataclass(frozen=True)
class Crowd:
    """``ps`` in the middle of several transfers of ``size`` bytes each, and the sum of what each process had at most."""

    size: int
    seconds: float
    ps: str
    peak: int

    def __str__(self) -> str:
        speed = AT_ONCE * self.size / MB / self.seconds
        return (
            f"\n{AT_ONCE} of {self.size // MIB} MiB at once in {self.seconds:.1f} s ({speed:.0f} MB/s); "
            f"{self.peak / MB:.0f} MB at most in all processes together. In the middle (RSS in kB):\n\n"
            f"```\n{self.ps}```\n"
        )


def measure(size: int) -> str:
    with TemporaryDirectory(prefix="videovault-bench-") as name:
        folder = Path(name)
        with json_process("benchmarks.servers.source", folder=folder) as source:
            base = source.hear(START_SECONDS)["url"]
            settings = {"SOURCE_ALLOW_HOSTS": urlsplit(base).netloc, "WORKERS": "0", "RUNNING_PER_USER": "0"}
            with running_app(folder / "var", **settings) as app, worker(app, folder, settings) as process:
                token = register(app)
                one = _stored(app, process.pid, token, f"{base}/video-{size}.mp4")
                return f"{one}{_crowd(app, process.pid, token, base, size // 12)}"


def _stored(app: RunningApp, pid: int, token: str, url: str) -> Figures:
    before, started = memory_of(pid, "VmRSS"), time.monotonic()
    video = store(app, token, url)
    seconds = time.monotonic() - started
    after = memory_of(pid, "VmHWM"), memory_of(pid, "VmRSS")
    told = video["metadata"]["crc32"]
    return Figures(video["size"], seconds, before, *after, told, _counted(app, token, video["videoId"]))


def _counted(app: RunningApp, token: str, video_id: str) -> str:
    """The sum of what is downloaded, made by the standard library; the engine uses another implementation."""
    whole = 0
    address = f"{app.url}/api/auth/video/{video_id}/download"
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.stream("GET", address, headers=headers, follow_redirects=True) as answer:
        for chunk in answer.raise_for_status().iter_raw(MIB):
            whole = zlib.crc32(chunk, whole)
    return f"{whole:08x}"


def _crowd(app: RunningApp, pid: int, token: str, base: str, size: int) -> Crowd:
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        urls = [f"{base}/crowd{number}-{size}.mp4" for number in range(AT_ONCE)]
        under_way = [pool.submit(store, app, token, url) for url in urls]
        wait(under_way, timeout=MIDDLE_SECONDS)
        family = [pid, *_descendants(app.process.pid)]
        columns = ("-o", "pid,rss,cputime,args", "--width", "100")
        ps = subprocess.run(
            ["ps", *columns, "-p", ",".join(map(str, family))], capture_output=True, text=True, check=True
        )
        for each in under_way:
            each.result()
    seconds = time.monotonic() - started
    return Crowd(size, seconds, _without_paths(ps.stdout), sum(memory_of(one, "VmHWM") for one in family))


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _descendants(int(child)))]


def _without_paths(text: str) -> str:
    return re.sub(r"/\S*/", "", text)


@contextmanager
def worker(app: RunningApp, folder: Path, settings: Mapping[str, str]) -> Iterator[JsonProcess]:
    """A worker process beside the app, so that its memory is its own."""
    env = {**os.environ, **settings, "DATA_DIR": str(app.data_dir), "WORKERS": str(AT_ONCE)}
    with json_process("videovault", "worker", folder=folder, env=env) as process:
        time.sleep(WORKER_START_SECONDS)
        yield process


def register(app: RunningApp) -> str:
    account = {"email": "bench@example.com", "password": "a long enough one"}
    return str(httpx.post(f"{app.url}/api/auth/register", json=account).json()["data"]["token"])


def store(app: RunningApp, token: str, url: str) -> dict[str, Any]:
    """Have it stored; the video as the API tells it."""
    answer = httpx.post(
        f"{app.url}/api/auth/video/download",
        json={"videoUrl": url, "userEmail": "bench@example.com"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=STORE_SECONDS,
    )
    video: dict[str, Any] = answer.raise_for_status().json()["data"]
    return video
