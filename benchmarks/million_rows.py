"""The cost of lists and of idle workers with a million videos: `python -m benchmarks.million_rows [postgresql|sqlite]`.

For PostgreSQL, DATABASE_URL names an empty database of a server on this machine, whose CPU time is measured too.
Seeding takes two to five minutes; with DATA_DIR, a second run uses the same rows. The figures of PostgreSQL are written into RESULTS.md.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from sqlalchemy import text

from benchmarks import report, seeding
from benchmarks.process_usage import memory_of, reset_peak, serving_process
from tests.support.app import ROOT, RunningApp, running_app
from tests.support.installation import forget
from tests.support.waiting import HANG_SECONDS
from videovault import db
from videovault.config import EMBEDDED_BUCKET
from videovault.models import User

OWNERS, VIDEOS, EVENTS = 100, 10_000, 1_000_000
PAGE, ADMIN_PAGE, RUNS = 24, 50, 60
DEEP = 9_900
WORKERS, IDLE_SECONDS = 4, 60.0
MIB = 1024**2
COLUMNS = ("created", "title", "size", "status", "owner")
GALLERY_MS, DEEP_RATIO, ADMIN_MS, SEARCH_MS = (12.0, 25.0), 1.2, 100.0, 300.0
LIST_MIB, IDLE_SHARE = 64.0, 0.02
SEARCHES = ("Zeppelin", "friends", "person7@")


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "sqlite"
    with TemporaryDirectory(prefix="videovault-bench-") as name:
        data_dir = Path(os.environ.setdefault("DATA_DIR", f"{name}/var"))
        if kind == "sqlite":
            os.environ["DATABASE_URL"] = f"sqlite:///{data_dir}/million.db"
        forget()
        _put_an_object(data_dir)
        with running_app(data_dir, RATE_LIMITS="off", WORKERS="0") as app:
            token = _admin_token(app)
            if not _is_seeded():
                seeding.seed(OWNERS, VIDEOS, EVENTS)
            found = list(_measured(app, token))
        found.append(_idle_workers(data_dir, is_postgres=kind == "postgresql"))
    if kind == "postgresql":
        for row in found:
            report.write_row(row.name, row.measured, is_reached=row.is_reached)


def _put_an_object(data_dir: Path) -> None:
    """Without any object, a start with so many videos would refuse: the bucket seems lost."""
    folder = data_dir / "s3" / EMBEDDED_BUCKET / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "any").write_bytes(b"")


def _is_seeded() -> bool:
    with db.reading() as session:
        return session.get(User, seeding.OWNER_ID.format(number=1)) is not None


@dataclass(frozen=True)
class Row:
    """Of the table in RESULTS.md."""

    name: str
    measured: str
    is_reached: bool


def _measured(app: RunningApp, token: str) -> Iterator[Row]:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=app.url, headers=headers, timeout=HANG_SECONDS) as api:
        owner = seeding.OWNER_ID.format(number=1)
        gallery = "/api/auth/video/gallery"

        def page(**query: Any) -> Callable[[], httpx.Response]:
            return lambda: api.get(gallery, params={"userId": owner, "limit": PAGE, **query})

        first = _times("gallery, page 1 of 10,000", page())
        deep = _times(f"gallery, page at {DEEP:,}", page(cursor=_deep_cursor(api, owner)))
        yield Row("gallery", str(first), first.p50 < GALLERY_MS[0] and first.p95 < GALLERY_MS[1])
        yield Row("gallery-deep", f"{deep.p50:.1f} ms", deep.p50 <= DEEP_RATIO * first.p50)
        pages = [
            _times(f"admin's page 1 by {column}, in process", partial(_admin_page, column), runs=20)
            for column in COLUMNS
        ]
        pages.append(_times("GET /api/admin/videos", partial(_admin_list, api), runs=20))
        slowest = max(each.p50 for each in pages)
        yield Row("admin", f"{slowest:.0f} ms", slowest < ADMIN_MS)
        found = [
            _times(f"admin, q={words}", partial(_admin_list, api, q=words), runs=20) for words in SEARCHES
        ]
        slowest = max(each.p50 for each in found)
        yield Row("admin-search", f"{slowest:.0f} ms", slowest < SEARCH_MS)
        grown = (_growth(app, api, gallery, {"userId": owner}), _growth(app, api, "/api/admin/videos", {}))
        yield Row("memory", f"{max(grown):.0f} MiB", max(grown) < LIST_MIB)


def _admin_token(app: RunningApp) -> str:
    """Of an account that is made an admin in the database."""
    account = {"email": "bench@example.com", "password": "a long enough one"}
    httpx.post(f"{app.url}/api/auth/register", json=account)  # refused if it exists
    with db.engine().begin() as connection:
        connection.execute(text("UPDATE users SET is_admin = true WHERE email = 'bench@example.com'"))
    return str(
        httpx.post(f"{app.url}/api/auth/login", json=account).raise_for_status().json()["data"]["token"]
    )


def _admin_page(column: str) -> object:
    """As the admin's page reads it; the API has no parameter for the order."""
    from videovault.services.admin import videos
    from videovault.services.core.access import Caller

    admin = Caller(seeding.OWNER_ID.format(number=1), "person1@example.com", is_admin=True)
    return videos.find_videos(admin, videos.VideosQuery(sort=column, limit=ADMIN_PAGE))  # type: ignore[arg-type] # one of them


def _admin_list(api: httpx.Client, **query: str) -> httpx.Response:
    return api.get("/api/admin/videos", params={"limit": str(ADMIN_PAGE), **query}).raise_for_status()


def _deep_cursor(api: httpx.Client, owner: str) -> str:
    cursor = ""
    for _ in range(DEEP // 150):
        query = {"userId": owner, "limit": "150", "cursor": cursor}
        cursor = api.get("/api/auth/video/gallery", params=query).json()["data"]["nextCursor"]
    return cursor


@dataclass(frozen=True)
class Times:
    """Milliseconds."""

    p50: float
    p95: float

    def __str__(self) -> str:
        return f"{self.p50:.1f} / {self.p95:.1f} ms"


def _times(what: str, act: Callable[[], object], runs: int = RUNS) -> Times:
    act()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        act()
        times.append((time.perf_counter() - started) * 1000)
    parts = quantiles(times, n=20, method="inclusive")
    found = Times(parts[9], parts[18])
    print(f"{what}: p50 / p95 {found} of {len(times)}", flush=True)
    return found


def _growth(app: RunningApp, api: httpx.Client, path: str, query: dict[str, str]) -> float:
    """By how many MiB the peak of the serving process exceeds its memory before."""
    pid = serving_process(app.process.pid)
    before = memory_of(pid, "VmRSS")
    reset_peak(pid)
    with api.stream("GET", path, params=query) as answer:
        size = sum(len(chunk) for chunk in answer.iter_bytes())
    grown = (memory_of(pid, "VmHWM") - before) / MIB
    print(f"{path} without limit: {grown:.0f} MiB for an answer of {size / MIB:.1f} MiB", flush=True)
    return grown


def _idle_workers(data_dir: Path, *, is_postgres: bool) -> Row:
    command = [sys.executable, "-m", "videovault", "worker"]
    environment = {**os.environ, "DATA_DIR": str(data_dir), "WORKERS": "1"}
    with _running([command] * WORKERS, environment) as workers:
        time.sleep(20)  # the start with its first clean-up
        pids = _postgres_pids() if is_postgres else [worker.pid for worker in workers]
        before = _cpu_seconds(pids)
        time.sleep(IDLE_SECONDS)
        used = _cpu_seconds(pids) - before
    of = "the database" if is_postgres else "the workers themselves, with SQLite in them"
    share = used / IDLE_SECONDS
    print(f"{WORKERS} idle workers: {share:.2%} of a core for {of}", flush=True)
    return Row("idle-workers", f"{share:.1%} of a core", share < IDLE_SHARE)


@contextmanager
def _running(
    commands: Sequence[Sequence[str]], environment: dict[str, str]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for command in commands
    ]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
            process.wait(HANG_SECONDS)


def _postgres_pids() -> list[int]:
    """All processes of the server, whose first one counts those that have ended."""
    with db.engine().connect() as connection:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    main = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
    others = [int(each.name) for each in Path("/proc").glob("[0-9]*") if _parent(each) == main]
    return [main, *others]


def _parent(process: Path) -> int:
    with suppress(OSError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of these processes and of their ended children."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
