"""What open galleries cost: `python -m benchmarks.open_galleries` opens 200 of them while a video is being stored.

Twenty people have ten tabs each, every tab with a sign-in of its own; one of them has a transfer running.
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
from benchmarks.process_usage import memory_of
from benchmarks.results import Check, Section
from benchmarks.websocket_tab import Tab
from tests.support.app import RunningApp, running_app
from tests.support.misbehaving_server import MIB, Manners, NaughtyServer
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
HEAR_SECONDS = 10.0
PAUSE_SECONDS = 0.17  # out of step with everything else
MOST_CPU = 5.0
PASSWORD = "a long enough one"  # noqa: S105 - of people who live for a minute


@dataclass(frozen=True)
class Figures:
    """``cpu`` in % of one core, ``idle`` before the transfer; memory in bytes; ``late`` is the p95 in seconds."""

    connected: float
    idle: float
    cpu: float
    messages: float
    before: int
    after: int
    late: float
    load: float

    def __str__(self) -> str:
        check = Check("CPU", self.cpu, MOST_CPU, at_least=False, unit=" %")
        return (
            f"{PEOPLE} people with {TABS} tabs each, every tab signed in by itself, {VIDEOS} videos in each gallery; "
            f"all of them open in {self.connected:.1f} s. The server, in % of one core over {SECONDS:.0f} s: "
            f"{self.idle:.1f} while nothing moves, {self.cpu:.1f} while one of the people has a transfer running "
            f"({self.messages:.0f} messages a second in all). Its memory is {self.before / 1e6:.0f} MB before and "
            f"{self.after / 1e6:.0f} MB with them. From a changed row to the tabs of its owner it takes "
            f"{self.late * 1000:.0f} ms (p95 of {CHANGES * TABS}). The machine's load was {self.load:.0f} meanwhile.\n\n"
            f"- {check}\n"
        )


def main() -> None:
    body = measure()
    print(f"({LETTER}) {TITLE}\n\n{body}", flush=True)
    FILE.write_text(results.with_again(FILE.read_text(), [Section(LETTER, TITLE, body)]))
    print(f"written: {FILE.name}")


def measure() -> str:
    with TemporaryDirectory(prefix="videovault-bench-") as name, NaughtyServer() as source:
        manners = Manners(size=512 * MIB, bytes_per_second=4 * MIB, ranges=False)
        link = source.serve("/slow.mp4", manners)
        allowed = f"127.0.0.1:{source.port}"
        with running_app(Path(name) / "var", SOURCE_ALLOW_HOSTS=allowed, RATE_LIMITS="off") as app:
            return str(asyncio.run(_measured(app, link)))


async def _measured(app: RunningApp, link: str) -> Figures:
    people = [f"person{number}@example.com" for number in range(PEOPLE)]
    videos = [_settled(app, email) for email in people]
    cookies = [_signed_in(app, email) for email in people for _ in range(TABS)]
    pid = serving_process(app)
    before = memory_of(pid, "VmRSS")
    tabs = [Tab(app.url, f"videovault_session={cookie}", "/gallery") for cookie in cookies]
    staying = [asyncio.ensure_future(tab.stay()) for tab in tabs]
    connected = await _all_there(tabs)
    idle, _ = await _busy(pid, tabs)
    _store(app, cookies[0], people[0], link)
    cpu, messages = await _busy(pid, tabs)
    after = memory_of(pid, "VmRSS")
    late = await _late(app, videos, tabs)
    for one in staying:
        if one.done():
            one.result()  # a socket that was closed makes all of this worthless
        one.cancel()
    return Figures(connected, idle, cpu, messages, before, after, late, os.getloadavg()[0])


async def _all_there(tabs: Sequence[Tab]) -> float:
    """How many seconds it took until every page was there."""
    started = time.monotonic()
    await asyncio.gather(*(tab.is_there.wait() for tab in tabs))
    return time.monotonic() - started


async def _busy(pid: int, tabs: Sequence[Tab]) -> tuple[float, float]:
    """The process's use of the processor in % of one core, and the messages a second in all."""
    await asyncio.sleep(SETTLE_SECONDS)
    used, sent, started = _cpu_seconds(pid), sum(tab.messages for tab in tabs), time.monotonic()
    await asyncio.sleep(SECONDS)
    took = time.monotonic() - started
    return (_cpu_seconds(pid) - used) / took * 100, (sum(tab.messages for tab in tabs) - sent) / took


async def _late(app: RunningApp, videos: Sequence[str], tabs: Sequence[Tab]) -> float:
    """The p95 of the seconds from a changed row to each tab that shows it."""
    late: list[float] = []
    for number in range(CHANGES):
        await asyncio.sleep(PAUSE_SECONDS)
        owner, title = number % PEOPLE, f"moved-{number}-"
        heard = [tab.hears(title) for tab in tabs[owner * TABS : (owner + 1) * TABS]]
        changed = await asyncio.to_thread(_change, app, videos[owner], title)
        late += [when - changed for when in await asyncio.wait_for(asyncio.gather(*heard), HEAR_SECONDS)]
    return quantiles(late, n=20)[-1]


def _change(app: RunningApp, video_id: str, title: str) -> float:
    """Give the video another title; when that was done."""
    with database_of(app):
        with transaction() as session:
            session.get_one(Video, video_id).title = title
            session.add(Event(kind="renamed", video_id=video_id))
        return time.monotonic()


def _settled(app: RunningApp, email: str) -> str:
    """An account with videos in it; the newest one."""
    account = {"email": email, "password": PASSWORD}
    httpx.post(f"{app.url}/api/auth/register", json=account, timeout=30).raise_for_status()
    return seed(app, email, [{"title": f"Film {number}"} for number in range(VIDEOS)])[-1]


def _signed_in(app: RunningApp, email: str) -> str:
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


def serving_process(app: RunningApp) -> int:
    """That child of the app's main process which serves: the one with the most threads."""
    main = app.process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return max(map(int, children), key=lambda child: len(list(Path(f"/proc/{child}/task").iterdir())))


def _cpu_seconds(pid: int) -> float:
    """User and system time of the process so far."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
