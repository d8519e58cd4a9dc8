"""Calls that wait for a video: the Prefer header (RFC 7240), and waiting without threads."""

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
from videovault.api import long_polling
from videovault.api.app import create_api
from videovault.api.long_polling import Preferences, VideoWatcher, parse_prefer
from videovault.api.middleware.stack import wrap_in_middleware
from videovault.db import reading, transaction
from videovault.models import IdempotencyKey, Status, Video

MANY, CALLERS = 80, 40  # twice, and exactly, the number of threads for other requests
MAX_SECONDS = 25.0
KEY = {"Idempotency-Key": "one"}


class Site:
    """The application in this event loop, with access to its watcher."""

    def __init__(self, person: Person) -> None:
        self.watcher = VideoWatcher()
        self.app: ASGIApp = wrap_in_middleware(create_api(self.watcher))
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
        await until(lambda: len(self.watcher._waiters) == count)


def run(person: Person, use: Callable[[Site], Awaitable[None]]) -> None:
    async def main() -> None:
        site = Site(person)
        async with site.api:
            await use(site)

    asyncio.run(main())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while not true():  # noqa: ASYNC110 - rows and sets send no notification
            await asyncio.sleep(0.02)


def set_all(status: Status, title: str = "") -> None:
    """Set the status of all videos, or of those with this title, as a worker would."""
    with transaction() as session:
        changed = update(Video).values(status=status)
        if status != Status.FAILED:
            changed = changed.values(source_url=col(Video.id))
        session.exec(changed.where(col(Video.title) == title) if title else changed)


@pytest.fixture
def queries(generator: Generator) -> Iterator[list[int]]:
    """The number of videos in each query of the watcher."""
    del generator
    seen: list[int] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
        if statement.startswith("SELECT videos.id, videos.status"):
            seen.append(len(parameters))

    event.listen(db.engine(), "before_cursor_execute", note)
    yield seen
    event.remove(db.engine(), "before_cursor_execute", note)


@pytest.mark.thorough
def test_other_requests_are_served_while_more_callers_wait_than_there_are_threads(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    """Without a worker nothing is stored: the calls end only because another request is served."""
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


@pytest.mark.thorough
def test_all_waiting_callers_share_one_query(ada: Person, generator: Generator, queries: list[int]) -> None:
    async def use(site: Site) -> None:
        waiting = [site.store(generator.file(f"{n}.mp4")) for n in range(CALLERS)]
        await site.all_wait(CALLERS)
        await until(lambda: queries[-1:] == [CALLERS])
        seen = len(queries)
        await until(lambda: len(queries) >= seen + 3)
        assert set(queries[seen:]) == {CALLERS}
        set_all(Status.READY)
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}

    run(ada, use)


@pytest.mark.thorough
def test_waiting_callers_hold_no_threads(ada: Person, generator: Generator) -> None:
    """They start one after another, so that starting needs no more threads for many than for few."""
    counts: list[int] = []

    async def use(site: Site) -> None:
        waiting = []
        for number in range(1, CALLERS + 1):
            url = generator.file(f"{number}.mp4")
            waiting.append(site.store(url) if number % 2 else site.generate(number))
            await site.all_wait(number)
            counts.append(threading.active_count())
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        site.watcher.close()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {202}

    run(ada, use)
    few, many = counts[4], counts[-1]
    assert many <= few + 2


@pytest.mark.thorough
def test_each_caller_gets_the_response_for_its_video(ada: Person, generator: Generator) -> None:
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
        site.watcher.close()
        statuses = [answer.status_code for answer in await asyncio.gather(*stored, *generated)]
        assert statuses == [200, 422, 202, 200, 502, 202]

    run(ada, use)


@pytest.mark.thorough
def test_on_shutdown_all_callers_get_a_response(ada: Person, generator: Generator) -> None:
    async def use(site: Site) -> None:
        waiting = [site.store(generator.file(f"{n}.mp4")) for n in range(5)]
        await site.all_wait(5)
        site.watcher.close()
        late = await site.store(generator.file("late.mp4"))
        answers = [late, *await asyncio.gather(*waiting)]
        assert {answer.status_code for answer in answers} == {202}
        assert {answer.json()["data"]["status"] for answer in answers} == {"processing"}

    run(ada, use)


@pytest.mark.thorough
def test_polling_stops_without_callers_and_starts_again(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    configure(STORE_WAIT_SECONDS=0.3)

    async def use(site: Site) -> None:
        for _ in range(2):
            assert (await site.store(generator.video_url)).status_code == 202
            task = site.watcher._task
            assert task
            await asyncio.wait_for(task, HANG_SECONDS)
            assert not site.watcher._waiters

    run(ada, use)


@pytest.mark.thorough
def test_polling_survives_a_database_outage(ada: Person, generator: Generator) -> None:
    async def use(site: Site) -> None:
        waiting = site.store(generator.video_url)
        await site.all_wait(1)
        with structlog.testing.capture_logs() as lines:
            execute("ALTER TABLE videos RENAME TO away")
            await until(lambda: any("polling awaited videos failed" in line["event"] for line in lines))
            execute("ALTER TABLE away RENAME TO videos")
        set_all(Status.READY)
        assert (await waiting).status_code == 200

    run(ada, use)


@pytest.mark.thorough
def test_a_disconnected_caller_may_wait_again_with_the_same_key(ada: Person, generator: Generator) -> None:
    async def use(site: Site) -> None:
        gone = asyncio.Event()
        body = {"videoUrl": generator.video_url, "userEmail": ada.email}
        first = asyncio.create_task(call_and_disconnect(site, body, gone, KEY))
        await site.all_wait(1)
        gone.set()
        await first
        assert not site.watcher._waiters
        second = site.post(DOWNLOAD, body, **KEY)
        await site.all_wait(1)
        set_all(Status.READY)
        answer = await second
        assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (200, None)

    run(ada, use)
    with reading() as session:
        assert len(session.exec(select(Video)).all()) == 1


@pytest.mark.thorough
def test_a_keys_lease_is_renewed_while_its_call_waits(
    ada: Person, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_polling, "RENEW_SECONDS", 0.0)

    def lease() -> datetime:
        with reading() as session:
            return session.exec(select(IdempotencyKey)).one().lease_until

    async def use(site: Site) -> None:
        first = site.post(DOWNLOAD, {"videoUrl": generator.video_url, "userEmail": ada.email}, **KEY)
        await site.all_wait(1)
        begun = lease()
        await until(lambda: lease() > begun)
        site.watcher.close()
        assert (await first).status_code == 202

    run(ada, use)


async def call_and_disconnect(
    site: Site, body: dict[str, Any], gone: asyncio.Event, headers: dict[str, str]
) -> None:
    """A request whose caller disconnects."""
    sent = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])

    async def receive() -> Message:
        message = next(sent, None)
        if message is None:
            await gone.wait()
            return {"type": "http.disconnect"}
        return message

    async def send(_message: Message) -> None:
        """The caller has disconnected."""

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


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async; foo=bar"], Preferences(respond_async=True)),
        (["wait=10"], Preferences(wait=10)),
        (['wait = "10"'], Preferences(wait=10)),
        (["respond-async, wait=10"], Preferences(respond_async=True, wait=10)),
        (["wait=10", "respond-async"], Preferences(respond_async=True, wait=10)),
        (["wait=10, wait=20"], Preferences(wait=10)),
        (['lenient, greeting="a, respond-async"'], Preferences()),
    ],
)
def test_prefer_headers_are_parsed(headers: list[str], wanted: Preferences) -> None:
    assert parse_prefer(headers) == wanted


@pytest.mark.parametrize("wait", ["", "soon", "-1", "1.5", "٣", "9" * 5000, "1e3"])
def test_an_invalid_wait_is_ignored(wait: str) -> None:
    assert parse_prefer([f"wait={wait}"]) == Preferences()


@pytest.mark.parametrize(
    ("prefers", "seconds"),
    [
        (Preferences(), MAX_SECONDS),
        (Preferences(respond_async=True), 0),
        (Preferences(wait=10), 10),
        (Preferences(respond_async=True, wait=10), 10),
        (Preferences(wait=1000), MAX_SECONDS),
    ],
)
def test_the_wait_is_at_most_the_servers_default(prefers: Preferences, seconds: float) -> None:
    assert prefers.seconds(MAX_SECONDS) == seconds


@pytest.mark.parametrize(
    ("prefers", "status", "applied"),
    [
        (Preferences(), 202, ""),
        (Preferences(respond_async=True), 202, "respond-async"),
        (Preferences(respond_async=True), 200, ""),
        (Preferences(respond_async=True, wait=10), 202, "respond-async, wait=10"),
        (Preferences(wait=10), 200, "wait=10"),
        (Preferences(wait=1000), 202, ""),
    ],
)
def test_only_followed_preferences_are_applied(prefers: Preferences, status: int, applied: str) -> None:
    assert prefers.applied(status, MAX_SECONDS) == applied
