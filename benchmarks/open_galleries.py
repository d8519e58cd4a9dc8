"""The cost of open galleries: `python -m benchmarks.open_galleries` opens 200 of them while a video is being stored.

Twenty people have ten tabs each, each tab with a session of its own; one of them has a transfer running.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import httpx

from benchmarks import results
from benchmarks.process_usage import cpu_seconds, memory_of, serving_process
from benchmarks.results import Check, Section
from benchmarks.websocket_tab import Tab
from tests.support.app import RunningApp, running_app
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.seeding import database_of, seed
from videovault.db import transaction
from videovault.models import Event, Video

LETTER = "i"
TITLE = "200 open galleries while a video is being stored"
FILE = Path(__file__).parent / "RESULTS.md"
PEOPLE, TABS, VIDEOS = 20, 10, 30
SECONDS = 20.0
SETTLE_SECONDS = 5.0
CHANGES = 100
UPDATE_SECONDS = 10.0
PAUSE_SECONDS = 0.17  # not in phase with periodic work
MAX_CPU = 5.0
PASSWORD = "a long enough one"  # noqa: S105 - of accounts of this benchmark


@dataclass(frozen=True)
class Figures:
    """``cpu`` in % of one core, ``idle`` before the transfer; memory in bytes; ``delay`` is the p95 in seconds."""

    connected: float
    idle: float
    cpu: float
    messages: float
    before: int
    after: int
    delay: float
    load: float

    def __str__(self) -> str:
        check = Check("CPU", self.cpu, MAX_CPU, at_least=False, unit=" %")
        return (
            f"{PEOPLE} people with {TABS} tabs each, every tab signed in by itself, {VIDEOS} videos in each gallery; "
            f"all of them open in {self.connected:.1f} s. The server, in % of one core over {SECONDS:.0f} s: "
            f"{self.idle:.1f} while nothing moves, {self.cpu:.1f} while one of the people has a transfer running "
            f"({self.messages:.0f} messages a second in all). Its memory is {self.before / 1e6:.0f} MB before and "
            f"{self.after / 1e6:.0f} MB with them. From a changed row to the tabs of its owner it takes "
            f"{self.delay * 1000:.0f} ms (p95 of {CHANGES * TABS}). The machine's load was {self.load:.0f} meanwhile.\n\n"
            f"- {check}\n"
        )


def main() -> None:
    body = measure()
    print(f"({LETTER}) {TITLE}\n\n{body}", flush=True)
    FILE.write_text(results.with_sections(FILE.read_text(), [Section(LETTER, TITLE, body)]))
    print(f"written: {FILE.name}")


def measure() -> str:
    with TemporaryDirectory(prefix="videovault-bench-") as name, MisbehavingServer() as source:
        behaviour = ServerBehaviour(size=512 * MIB, bytes_per_second=4 * MIB, ranges=False)
        link = source.serve("/slow.mp4", behaviour)
        allowed = f"127.0.0.1:{source.port}"
        with running_app(Path(name) / "var", SOURCE_ALLOW_HOSTS=allowed, RATE_LIMITS="off") as app:
            return str(asyncio.run(_measured(app, link)))


async def _measured(app: RunningApp, link: str) -> Figures:
    people = [f"person{number}@example.com" for number in range(PEOPLE)]
    videos = [_register(app, email) for email in people]
    cookies = [_sign_in(app, email) for email in people for _ in range(TABS)]
    pid = serving_process(app.process.pid)
    before = memory_of(pid, "VmRSS")
    tabs = [Tab(app.url, f"videovault_session={cookie}", "/gallery") for cookie in cookies]
    running = [asyncio.ensure_future(tab.run()) for tab in tabs]
    connected = await _wait_until_loaded(tabs)
    idle, _ = await _load(pid, tabs)
    _store(app, cookies[0], people[0], link)
    cpu, messages = await _load(pid, tabs)
    after = memory_of(pid, "VmRSS")
    delay = await _update_delay(app, videos, tabs)
    for each in running:
        if each.done():
            each.result()  # raises if a socket was closed, which invalidates the figures
        each.cancel()
    return Figures(connected, idle, cpu, messages, before, after, delay, os.getloadavg()[0])


async def _wait_until_loaded(tabs: Sequence[Tab]) -> float:
    """The seconds until every page had its state."""
    started = time.monotonic()
    await asyncio.gather(*(tab.is_loaded.wait() for tab in tabs))
    return time.monotonic() - started


async def _load(pid: int, tabs: Sequence[Tab]) -> tuple[float, float]:
    """The process's CPU usage in % of one core, and the messages per second in total."""
    await asyncio.sleep(SETTLE_SECONDS)
    used, sent, started = cpu_seconds(pid), sum(tab.messages for tab in tabs), time.monotonic()
    await asyncio.sleep(SECONDS)
    took = time.monotonic() - started
    return (cpu_seconds(pid) - used) / took * 100, (sum(tab.messages for tab in tabs) - sent) / took


async def _update_delay(app: RunningApp, videos: Sequence[str], tabs: Sequence[Tab]) -> float:
    """The p95 of the seconds from a changed row to each tab that shows it."""
    delays: list[float] = []
    for number in range(CHANGES):
        await asyncio.sleep(PAUSE_SECONDS)
        owner, title = number % PEOPLE, f"moved-{number}-"
        updates = [tab.expect(title) for tab in tabs[owner * TABS : (owner + 1) * TABS]]
        changed = await asyncio.to_thread(_change, app, videos[owner], title)
        delays += [
            when - changed for when in await asyncio.wait_for(asyncio.gather(*updates), UPDATE_SECONDS)
        ]
    return quantiles(delays, n=20)[-1]


def _change(app: RunningApp, video_id: str, title: str) -> float:
    """Change the title of the video; returns the time."""
    with database_of(app):
        with transaction() as session:
            session.get_one(Video, video_id).title = title
            session.add(Event(kind="renamed", video_id=video_id))
        return time.monotonic()


def _register(app: RunningApp, email: str) -> str:
    """Create an account with videos; returns the newest one."""
    account = {"email": email, "password": PASSWORD}
    httpx.post(f"{app.url}/api/auth/register", json=account, timeout=30).raise_for_status()
    return seed(app, email, [{"title": f"Film {number}"} for number in range(VIDEOS)])[-1]


def _sign_in(app: RunningApp, email: str) -> str:
    account = {"email": email, "password": PASSWORD}
    answer = httpx.post(f"{app.url}/api/auth/login", json=account, timeout=30)
    return str(answer.raise_for_status().json()["data"]["token"])


def _store(app: RunningApp, token: str, email: str, link: str) -> None:
    httpx.post(
        f"{app.url}/api/auth/video/download",
        json={"videoUrl": link, "userEmail": email},
        headers={"Authorization": f"Bearer {token}", "Prefer": "respond-async"},
        timeout=30,
    ).raise_for_status()


if __name__ == "__main__":
    main()
