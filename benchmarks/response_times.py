"""Response times of the product against their limits: `python -m benchmarks.response_times`, in about a minute.

Tests assert the order of events only, since a busy machine exceeds every limit in seconds.
"""

import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx
from sqlalchemy import insert
from sqlmodel import select

from benchmarks.product_memory import register
from tests.support.app import RunningApp, running_app
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.raw_tab import RawTab
from tests.support.seeding import database_of
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.models import Status, User, Video
from videovault.state.live_updates import ProgressState

EMAIL = "bench@example.com"
OWN, ALL, RUNS = 500, 10_000, 5
COOKIE = "videovault_session"
LEASED = "SELECT id FROM videos WHERE heartbeat_at IS NOT NULL"
WATCH = f"{ProgressState.get_full_name()}.watch"


class ResponseTime(NamedTuple):
    """``limit`` and each of ``times`` in seconds."""

    name: str
    limit: float
    times: list[float]

    @property
    def is_met(self) -> bool:
        return median(self.times) <= self.limit

    def __str__(self) -> str:
        figures = f"{median(self.times):.3f} s, at most {max(self.times):.3f} s of {len(self.times)}"
        return (
            f"{'met   ' if self.is_met else 'MISSED'} {self.name}: {figures}; the limit is {self.limit:g} s"
        )


def measure(app: RunningApp, source: MisbehavingServer) -> list[ResponseTime]:
    token = register(app)  # the first account is an admin
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=app.url, headers=headers, timeout=HANG_SECONDS) as api:
        cancelled = [_cancelled(app, api, source, number) for number in range(RUNS)]
        ended = [_session_ended(app) for _ in range(RUNS)]
        user_id = _fill(app)
        mine = {"userId": user_id, "q": "söhne"}
        searched = _times(lambda: api.get("/api/auth/video/gallery", params=mine).raise_for_status())
        listed = _times(lambda: api.get("/api/admin/videos", params={"q": "video 7"}).raise_for_status())
    return [
        ResponseTime("a cancelled transfer ends while its source is silent", 2, cancelled),
        ResponseTime("an open page ends with its session", 5, ended),
        ResponseTime(f"{OWN} videos of {ALL:,} are searched by their owner", 0.2, searched),
        ResponseTime(f"{ALL:,} videos are searched by an admin", 0.3, listed),
    ]


def _times(act: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return times


def _cancelled(app: RunningApp, api: httpx.Client, source: MisbehavingServer, number: int) -> float:
    """From the call until the worker has released the video."""
    path = f"/{number}.mp4"
    url = source.serve(path, ServerBehaviour(size=40 * MIB, stall_after=12 * MIB, ranges=False))
    body = {"videoUrl": url, "userEmail": EMAIL}
    answer = api.post("/api/auth/video/download", json=body, headers={"Prefer": "respond-async"})
    video_id = answer.json()["data"]["videoId"]
    eventually(lambda: source.bytes_sent(path) == 12 * MIB)
    started = time.perf_counter()
    api.post(f"/api/auth/video/{video_id}/cancel").raise_for_status()
    eventually(lambda: not _is_leased(app, video_id))
    return time.perf_counter() - started


def _is_leased(app: RunningApp, video_id: str) -> bool:
    with closing(sqlite3.connect(app.data_dir / "videovault.db")) as database:
        return database.execute(f"{LEASED} AND id = ?", [video_id]).fetchone() is not None


def _session_ended(app: RunningApp) -> float:
    account = {"email": EMAIL, "password": "a long enough one"}
    token = httpx.post(f"{app.url}/api/auth/login", json=account).json()["data"]["token"]
    with RawTab(app.url, cookie=f"{COOKIE}={token}") as tab:
        tab.send(WATCH)
        next(frame for frame in tab.frames(HANG_SECONDS) if frame.values("progress"))
        headers = {"Authorization": f"Bearer {token}"}
        httpx.post(f"{app.url}/api/auth/logout", headers=headers).raise_for_status()
        started = time.perf_counter()
        next(frame for frame in tab.frames(HANG_SECONDS) if frame.sent_to)
        return time.perf_counter() - started


def _fill(app: RunningApp) -> str:
    """Insert all videos, some of them owned by the admin, whose id is returned."""
    with database_of(app), transaction() as session:
        owner = session.exec(select(User.id)).one()
        other = User(email="other@example.com", password_hash="-")  # noqa: S106 - never used to sign in
        session.add(other)
        session.flush()
        at = utcnow()
        rows = [
            Video(
                id=f"video_{number:013}_abcdefghi",
                owner_id=owner if number < OWN else other.id,
                title=f"Video {number}",
                status=Status.READY if number % 10 else Status.FAILED,
                sealed_key="x",
                size=number,
                created_at=at - timedelta(minutes=number),
            ).model_dump()
            | {"company_name": "Brot & Söhne"}
            for number in range(ALL)
        ]
        session.execute(insert(Video), rows)
        return str(owner)


def main() -> None:
    with TemporaryDirectory(prefix="videovault-bench-") as folder, MisbehavingServer() as source:
        allowed = {"SOURCE_ALLOW_HOSTS": f"127.0.0.1:{source.port}", "SOURCE_IDLE_SECONDS": "3600"}
        with running_app(Path(folder), RATE_LIMITS="off", **allowed) as app:
            results = measure(app, source)
    print(*results, sep="\n")
    sys.exit(not all(result.is_met for result in results))


if __name__ == "__main__":
    main()
