"""What 200 open pages cost two replicas: `python -m benchmarks.open_pages`, in about two minutes.

Two replicas behind nginx share PostgreSQL and Redis. A hundred people have two galleries open each, as websockets that speak
Reflex's protocol. Measured while nothing moves, and while two workers store as many videos as they do at once.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from uuid import uuid4

from benchmarks.process_memory import MIB, memory, total_pss
from benchmarks.process_usage import cpu_seconds, descendants
from benchmarks.websocket_tab import Tab
from tests.support.cluster import Cluster, running_cluster
from tests.support.misbehaving_server import ServerBehaviour
from tests.support.part import Part
from tests.support.product import PASSWORD, Person

PEOPLE, TABS, VIDEOS = 100, 2, 30
PAGES = PEOPLE * TABS
SECONDS, SETTLE_SECONDS, ANSWER_SECONDS = 15.0, 5.0, 30.0
EVENTS_PER_SECOND = 20.0
CHANGES_PER_SECOND = 4.0
WORKERS, AT_ONCE = 2, 4
# All of them together use the engine's whole speed for as long as is measured.
FILM_BYTES, FILM_BYTES_PER_SECOND = 160 * MIB, 4 * MIB
TRIP_MS, UPDATE_MS = 50.0, 120.0
INSERT_VIDEOS = """
    INSERT INTO videos (id, owner_id, title, status, attempt, has_derived_title, asks, s3_key, sealed_key, reserved_bytes,
        bytes_done, size, duration, copy_tries, share_views, topic, hook, body, conclusion, company_name, social_handles,
        license, avatar, created_at, updated_at, requested_at, queued_at)
    SELECT %s || n, %s, 'Film ' || n, 'ready', 1, false, 0, 'videos/any/' || n || '/1_film.mp4', 'sealed', 0,
        0, 1000, 60, 0, 0, '', '', '', '', '', '', '', '', now() - n * interval '1 minute', now(), now(), now()
    FROM generate_series(1, %s) AS numbers(n)
"""
CHANGE_TITLE = """
    WITH renamed AS (UPDATE videos SET title = %s WHERE id = ANY(%s) RETURNING id)
    INSERT INTO events (at, kind, video_id, client_ip, times, detail)
        SELECT now(), 'renamed', id, '', 1, '{}' FROM renamed
"""


@dataclass
class OpenPages:
    """The galleries of people; ``videos`` are one of each person."""

    cluster: Cluster
    people: list[Person]
    videos: list[str]
    tabs: list[Tab]

    def of(self, number: int) -> Sequence[Tab]:
        """The pages of one person."""
        return self.tabs[number * TABS : (number + 1) * TABS]

    async def rename(self, numbers: Sequence[int], title: str) -> None:
        """Change the videos of these people, as a worker changes rows."""
        videos = [self.videos[number] for number in numbers]
        await asyncio.to_thread(self.cluster.rows, CHANGE_TITLE, title, videos)

    def check_open(self) -> None:
        """Raises what has closed a page."""
        for tab in self.tabs:
            tab.check_open()


@asynccontextmanager
async def open_pages(cluster: Cluster, path: str = "/gallery") -> AsyncIterator[OpenPages]:
    """All of them, loaded, each tab with a session of its own."""
    people = [await asyncio.to_thread(cluster.new_person) for _ in range(PEOPLE)]
    videos = [_with_videos(cluster, person) for person in people]
    cookies = [await asyncio.to_thread(sign_in, person) for person in people for _ in range(TABS)]
    tabs = [Tab(cluster.url, f"videovault_session={cookie}", path) for cookie in cookies]
    running = [asyncio.create_task(tab.run()) for tab in tabs]
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.gather(*(tab.is_loaded.wait() for tab in tabs))
        yield OpenPages(cluster, people, videos, tabs)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _with_videos(cluster: Cluster, person: Person) -> str:
    prefix = f"video_{uuid4().hex[:13]}_"
    cluster.rows(INSERT_VIDEOS, prefix, person.user_id, VIDEOS)
    return f"{prefix}1"


def sign_in(person: Person) -> str:
    """The token of a new session."""
    answer = person.api.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    person.api.cookies.clear()
    return str(answer.raise_for_status().json()["data"]["token"])


@dataclass(frozen=True)
class Usage:
    """CPU in % of one core by part."""

    cpu: dict[str, float]

    @property
    def replicas(self) -> float:
        return sum(percent for name, percent in self.cpu.items() if name.startswith("replica"))


@dataclass(frozen=True)
class Phase:
    """Milliseconds of each event and of each change."""

    name: str
    usage: Usage
    trips: list[float]
    updates: list[float]

    def __str__(self) -> str:
        others = sum(self.usage.cpu.values()) - self.usage.replicas
        figures = (
            f"{self.usage.replicas:.1f} %",
            f"{self.usage.replicas / PAGES * 10:.2f} ms/s",
            f"{others:.0f} %",
            _milliseconds(self.trips),
            _milliseconds(self.updates),
        )
        return f"| {self.name} | {' | '.join(figures)} |"


def _milliseconds(times: Sequence[float]) -> str:
    if not times:
        return "-"
    cuts = quantiles(times, n=20)
    return f"{cuts[9]:.0f} / {cuts[18]:.0f}"


def main() -> None:
    with (
        TemporaryDirectory(prefix="videovault-pages-") as folder,
        running_cluster(
            Path(folder), replicas=2, workers=WORKERS, RATE_LIMITS="off", RUNNING_PER_USER="4"
        ) as cluster,
    ):
        print(asyncio.run(_measured(cluster)))


async def _measured(cluster: Cluster) -> str:
    before = [_memory(part) for part in cluster.replicas]
    async with open_pages(cluster) as pages:
        still = Phase("nothing moves", await _used(cluster), [], [])
        idle = await _phase(pages, "events and changes")
        after = [_memory(part) for part in cluster.replicas]
        await asyncio.to_thread(_store, pages)
        started = time.monotonic()
        busy = await _phase(pages, f"the same, {WORKERS * AT_ONCE} transfers at once")
        speed = _stored(cluster) / (time.monotonic() - started)
        pages.check_open()
    grown = sum(after) - sum(before)
    return "\n".join(
        [
            f"{PAGES} pages on 2 replicas: memory {sum(before) / MIB:.0f} MiB before, {sum(after) / MIB:.0f} MiB with them, "
            f"{grown / PAGES / 1024:.0f} KiB a page (PSS). The transfers read {speed / MIB:.0f} MiB/s meanwhile. "
            f"Load of the machine: {os.getloadavg()[0]:.1f}.",
            "",
            "| | replicas, % of a core | a page | other parts | event, ms p50 / p95 | changed row to page, ms p50 / p95 |",
            "| --- | --: | --: | --: | --: | --: |",
            *map(str, (still, idle, busy)),
            "",
            f"- event p95 at full transfer load < {TRIP_MS:.0f} ms: {_reached(busy.trips, TRIP_MS)}",
            f"- changed row to page p95 ≤ {UPDATE_MS:.0f} ms: {_reached(idle.updates, UPDATE_MS)}",
        ]
    )


def _reached(times: Sequence[float], limit: float) -> str:
    return "reached" if quantiles(times, n=20)[18] <= limit else "**missed**"


async def _phase(pages: OpenPages, name: str) -> Phase:
    """Events of pages and changes of rows, at a steady rate."""
    await asyncio.sleep(SETTLE_SECONDS)
    trips: list[float] = []
    updates: list[float] = []
    used, _, _ = await asyncio.gather(
        _used(pages.cluster, settle=0.0), _send_events(pages, trips), _change_rows(pages, updates)
    )
    return Phase(name, used, trips, updates)


async def _send_events(pages: OpenPages, trips: list[float]) -> None:
    sent: list[asyncio.Task[float]] = []
    for number in range(round(SECONDS * EVENTS_PER_SECOND)):
        tab = pages.tabs[number * 7 % PAGES]  # on both replicas, of all people
        sent.append(asyncio.create_task(tab.round_trip()))
        await asyncio.sleep(1 / EVENTS_PER_SECOND)
    async with asyncio.timeout(ANSWER_SECONDS):
        trips += [1000 * seconds for seconds in await asyncio.gather(*sent)]


async def _change_rows(pages: OpenPages, updates: list[float]) -> None:
    """Each change is seen on all pages of one person."""
    for number in range(round(SECONDS * CHANGES_PER_SECOND)):
        owner, title = number % PEOPLE, f"moved-{number}-{uuid4().hex[:6]}"
        shown = [tab.expect(title) for tab in pages.of(owner)]
        began = time.monotonic()
        await pages.rename([owner], title)
        changed = time.monotonic()
        async with asyncio.timeout(ANSWER_SECONDS):
            updates += [1000 * (when - changed) for when in await asyncio.gather(*shown)]
        await asyncio.sleep(max(0.0, 1 / CHANGES_PER_SECOND - (time.monotonic() - began)))


async def _used(cluster: Cluster, settle: float = SETTLE_SECONDS) -> Usage:
    await asyncio.sleep(settle)
    before, began = _cpu(cluster), time.monotonic()
    await asyncio.sleep(SECONDS)
    seconds = time.monotonic() - began
    return Usage({name: (now - before[name]) / seconds * 100 for name, now in _cpu(cluster).items()})


def _cpu(cluster: Cluster) -> dict[str, float]:
    parts = (*cluster.replicas, *cluster.workers, cluster.postgres, cluster.redis, cluster.nginx, cluster.s3)
    return {part.name: sum(map(cpu_seconds, _pids(part))) for part in parts}


def _pids(part: Part) -> list[int]:
    if part.process is None:
        raise RuntimeError(f"{part.name} has not been started")
    return [part.process.pid, *descendants(part.process.pid)]


def _memory(part: Part) -> int:
    return total_pss(memory(_pids(part)))


def _store(pages: OpenPages) -> None:
    """More videos than the workers store at once, so that all of them are busy to the end."""
    behaviour = ServerBehaviour(size=FILM_BYTES, bytes_per_second=FILM_BYTES_PER_SECOND, ranges=False)
    for number in range(WORKERS * AT_ONCE * 2):
        person = pages.people[number % PEOPLE]
        link = pages.cluster.world.source.serve(f"/film-{number}.mp4", behaviour)
        body = {"videoUrl": link, "userEmail": person.email}
        answer = person.api.post("/api/auth/video/download", json=body, headers={"Prefer": "respond-async"})
        answer.raise_for_status()


def _stored(cluster: Cluster) -> float:
    """The bytes that the workers have read."""
    [row] = cluster.rows("SELECT coalesce(sum(bytes_done), 0) AS read FROM videos")
    return float(row["read"])


if __name__ == "__main__":
    main()
