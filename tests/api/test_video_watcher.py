"""Calls that wait for the worker keep nobody else from being served, and hold no thread."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any

import anyio.to_thread
import httpx
import pytest
import structlog
from sqlalchemy import event
from sqlmodel import col, select, update
from starlette.types import ASGIApp, Message

from tests.api.requests import DOWNLOAD, GENERATE, SCRIPT
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import BASE, Person
from tests.support.waiting import HANG_SECONDS
from videovault import db
from videovault.api import video_watcher as waiting_module
from videovault.api.app import create_api
from videovault.api.middleware.stack import wrap_in_middleware
from videovault.api.video_watcher import VideoWatcher
from videovault.db import reading, transaction
from videovault.models import IdempotencyKey, Status, Video

pytestmark = pytest.mark.thorough

MANY, CALLERS = 200, 40  # five times, and just as many as the threads that serve everything else
KEY = {"Idempotency-Key": "one"}


class Site:
    """The application in this event loop, with its watch to look into."""

    def __init__(self, person: Person) -> None:
        self.watch = VideoWatcher()
        self.app: ASGIApp = wrap_in_middleware(create_api(self.watch))
        self.person = person
        headers = {"Authorization": f"Bearer {person.token}"}
        transport = httpx.ASGITransport(self.app)
        self.api = httpx.AsyncClient(
            transport=transport, base_url=BASE, headers=headers, timeout=HANG_SECONDS
        )

    def store(self, url: str) -> asyncio.Task[httpx.Response]:
        return self.post(DOWNLOAD, {"videoUrl": url, "userEmail": self.person.email})

    def generate(self, number: int) -> asyncio.Task[httpx.Response]:
        return self.post(GENERATE, {**SCRIPT, "hook": f"Video {number}", "email": self.person.email})

    def post(self, path: str, body: dict[str, Any], **headers: str) -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(self.api.post(path, json=body, headers=headers))

    async def all_wait(self, count: int) -> None:
        await until(lambda: len(self.watch._waiters) == count)


def run(person: Person, use: Callable[[Site], Awaitable[None]]) -> None:
    async def main() -> None:
        site = Site(person)
        async with site.api:
            await use(site)

    asyncio.run(main())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while not true():  # noqa: ASYNC110 - a row and a set tell nobody that they changed
            await asyncio.sleep(0.02)


def set_all(status: Status, title: str = "") -> None:
    """Have all videos, or those with this title, come to where a worker would bring them."""
    with transaction() as session:
        changed = update(Video).values(status=status)
        if status != Status.FAILED:
            changed = changed.values(source_url=col(Video.id))
        session.exec(changed.where(col(Video.title) == title) if title else changed)


@pytest.fixture
def looks(generator: Generator) -> Iterator[list[int]]:
    """For how many videos each look at the database asked."""
    del generator
    seen: list[int] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
        if statement.startswith("SELECT videos.id, videos.status"):
            seen.append(len(parameters))

    event.listen(db.engine(), "before_cursor_execute", note)
    yield seen
    event.remove(db.engine(), "before_cursor_execute", note)


def test_two_hundred_callers_wait_and_others_are_served_meanwhile(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    """Without a worker nothing is ever stored: they end only because other requests are served."""
    configure(RATE_LIMITS="off")

    async def use(site: Site) -> None:
        waiting = [site.store(generator.video_url) for _ in range(MANY)]
        await site.all_wait(MANY)
        query = {"userId": ada.user_id, "status": "processing"}
        listed = (await site.api.get("/api/auth/video/gallery", params=query)).json()["data"]["videos"]
        (video,) = listed
        await site.api.post(f"/api/auth/video/{video['videoId']}/cancel")
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {409}

    run(ada, use)


def test_all_that_wait_are_looked_for_in_one_query(
    ada: Person, generator: Generator, looks: list[int]
) -> None:
    async def use(site: Site) -> None:
        waiting = [site.store(generator.file(f"{n}.mp4")) for n in range(CALLERS)]
        await site.all_wait(CALLERS)
        await until(lambda: looks[-1:] == [CALLERS])
        seen = len(looks)
        await until(lambda: len(looks) >= seen + 3)
        assert set(looks[seen:]) == {CALLERS}
        set_all(Status.READY)
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}

    run(ada, use)


def test_waiting_callers_hold_no_threads(ada: Person, generator: Generator) -> None:
    """They come one after the other, so that coming takes no more threads for many than for few."""
    counts: list[int] = []

    async def use(site: Site) -> None:
        waiting = []
        for number in range(1, CALLERS + 1):
            url = generator.file(f"{number}.mp4")
            waiting.append(site.store(url) if number % 2 else site.generate(number))
            await site.all_wait(number)
            counts.append(threading.active_count())
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        site.watch.close()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {202}

    run(ada, use)
    few, many = counts[4], counts[-1]
    assert many <= few + 2


def test_each_gets_the_answer_for_its_own_video(ada: Person, generator: Generator) -> None:
    async def use(site: Site) -> None:
        stored = [site.store(generator.file(f"{n}.mp4")) for n in range(3)]
        generated = [site.generate(n) for n in range(3)]
        await site.all_wait(6)
        set_all(Status.READY, title="0")
        set_all(Status.FAILED, title="1")
        set_all(Status.QUEUED, title="Video 0")
        set_all(Status.FAILED, title="Video 1")
        await until(lambda: sum(task.done() for task in (*stored, *generated)) == 4)
        await site.all_wait(2)
        site.watch.close()
        statuses = [answer.status_code for answer in await asyncio.gather(*stored, *generated)]
        assert statuses == [200, 422, 202, 200, 502, 202]

    run(ada, use)


def test_when_the_server_ends_all_are_answered_and_nobody_waits_any_more(
    ada: Person, generator: Generator
) -> None:
    async def use(site: Site) -> None:
        waiting = [site.store(generator.file(f"{n}.mp4")) for n in range(5)]
        await site.all_wait(5)
        site.watch.close()
        late = await site.store(generator.file("late.mp4"))
        answers = [late, *await asyncio.gather(*waiting)]
        assert {answer.status_code for answer in answers} == {202}
        assert {answer.json()["data"]["status"] for answer in answers} == {"processing"}

    run(ada, use)


def test_the_watch_ends_when_nobody_waits_and_begins_again(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    configure(STORE_WAIT_SECONDS=0.3)

    async def use(site: Site) -> None:
        for _ in range(2):
            assert (await site.store(generator.video_url)).status_code == 202
            task = site.watch._task
            assert task
            await asyncio.wait_for(task, HANG_SECONDS)
            assert not site.watch._waiters

    run(ada, use)


def test_a_database_that_is_away_for_a_moment_costs_nobody_the_answer(
    ada: Person, generator: Generator
) -> None:
    async def use(site: Site) -> None:
        waiting = site.store(generator.video_url)
        await site.all_wait(1)
        with structlog.testing.capture_logs() as lines:
            execute("ALTER TABLE videos RENAME TO away")
            await until(lambda: any("could not be looked at" in line["event"] for line in lines))
            execute("ALTER TABLE away RENAME TO videos")
        set_all(Status.READY)
        assert (await waiting).status_code == 200

    run(ada, use)


def test_whoever_hangs_up_is_forgotten_and_may_come_back_with_the_same_key(
    ada: Person, generator: Generator
) -> None:
    async def use(site: Site) -> None:
        gone = asyncio.Event()
        body = {"videoUrl": generator.video_url, "userEmail": ada.email}
        first = asyncio.create_task(call_and_hang_up(site, body, gone, KEY))
        await site.all_wait(1)
        gone.set()
        await first
        assert not site.watch._waiters
        second = site.post(DOWNLOAD, body, **KEY)
        await site.all_wait(1)
        set_all(Status.READY)
        answer = await second
        assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (200, None)

    run(ada, use)
    with reading() as session:
        assert len(session.exec(select(Video)).all()) == 1


def test_a_key_is_held_as_long_as_its_call_waits(
    ada: Person, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_module, "RENEW_SECONDS", 0.0)

    def lease() -> datetime:
        with reading() as session:
            return session.exec(select(IdempotencyKey)).one().lease_until

    async def use(site: Site) -> None:
        first = site.post(DOWNLOAD, {"videoUrl": generator.video_url, "userEmail": ada.email}, **KEY)
        await site.all_wait(1)
        begun = lease()
        await until(lambda: lease() > begun)
        site.watch.close()
        assert (await first).status_code == 202

    run(ada, use)


async def call_and_hang_up(
    site: Site, body: dict[str, Any], gone: asyncio.Event, headers: dict[str, str]
) -> None:
    """As a server tells it: the request, and when the caller has gone."""
    sent = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])

    async def receive() -> Message:
        message = next(sent, None)
        if message is None:
            await gone.wait()
            return {"type": "http.disconnect"}
        return message

    async def send(_message: Message) -> None:
        """Nobody is there."""

    given = {
        "authorization": f"Bearer {site.person.token}",
        "content-type": "application/json",
        **{name.lower(): value for name, value in headers.items()},
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": DOWNLOAD,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    await site.app(scope, receive, send)


def execute(statement: str) -> None:
    with db.engine().begin() as connection:
        connection.exec_driver_sql(statement)
