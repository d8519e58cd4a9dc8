"""A queue that is away fails no caller: what was committed is enqueued by the next repair once it is back."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from tests.api.requests import AT_ONCE, SAME_ORIGIN, generate, store
from tests.support.database_outage import database_away
from tests.support.generator import Generator, refusing_port
from tests.support.installation import Configure
from tests.support.people import Person
from videovault import worker
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import Status, Video
from videovault.services.maintenance import repair
from videovault.services.transfer.scheduler import STRANDED_AFTER

ADDRESS = "http://127.0.0.1:9/other.mp4"


@pytest.fixture(params=["redis", "postgresql", "sqlite"])
def no_queue(request: pytest.FixtureRequest, configure: Configure, installation: Path) -> Iterator[None]:
    if request.param != "sqlite":
        with refusing_port() as port:
            configure(QUEUE_URL=f"{request.param}://127.0.0.1:{port}/0")
            yield
        configure(QUEUE_URL="")
        return
    worker.queue()
    with contextlib.closing(sqlite3.connect(installation / "var" / "queue.db", isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.usefixtures("no_queue")
def test_an_accepted_call_answers_as_usual_and_the_repair_enqueues_its_video(
    ada: Person, generating: str, callback: httpx.Client, generator: Generator, configure: Configure
) -> None:
    generator.mode = "processing"
    configure(GENERATE_WAIT_SECONDS=0, SOURCE_ALLOW_HOSTS="127.0.0.1:9")
    report = {
        "userId": ada.user_id,
        "videoId": generating,
        "status": "ready",
        "videoUrl": generator.video_url,
    }
    assert callback.put("/api/auth/video/status", json=report).status_code == 202
    made = generate(ada)
    stored = store(ada, ADDRESS, headers=AT_ONCE)
    assert (made.status_code, stored.status_code) == (202, 202)
    failed = [made.json()["data"]["videoId"], stored.json()["data"]["videoId"]]
    for video_id in failed:
        assert ada.api.post(f"/api/auth/video/{video_id}/cancel", headers=SAME_ORIGIN).status_code == 200
    again = ada.api.post(f"/api/auth/video/{failed[0]}/retry", headers=SAME_ORIGIN)
    fetched = ada.api.put(
        f"/api/auth/video/{failed[1]}/source", json={"videoUrl": ADDRESS}, headers=SAME_ORIGIN
    )
    assert (again.status_code, fetched.status_code) == (200, 200)
    assert set(_enqueued_by_repair()) == {generating, *failed}
    assert generator.renders.total() == 1


def _enqueued_by_repair() -> list[str]:
    with transaction() as session:
        for video in session.exec(select(Video)):
            video.updated_at = utcnow() - 2 * STRANDED_AFTER
    enqueued: list[str] = []
    repair.repair(enqueue=enqueued.append)
    with reading() as session:
        waiting = session.exec(select(Video.id).where(Video.status != Status.DRAFT)).all()
    assert len(waiting) == len(enqueued), "a call made a second row"
    return enqueued


def test_a_video_is_accepted_although_the_database_fails_after_its_commit(
    ada: Person, generator: Generator, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeating the call would order, and pay for, a second video."""
    del generator
    configure(GENERATE_WAIT_SECONDS=0)
    enqueue = worker.enqueue
    outage = contextlib.ExitStack()

    def enqueue_last(video_id: str) -> None:
        enqueue(video_id)
        outage.enter_context(database_away())

    monkeypatch.setattr("videovault.api.generation.enqueue", enqueue_last)
    with outage:
        answer = generate(ada)
    assert answer.status_code == 202, answer.text
    with reading() as session:
        assert [video.id for video in session.exec(select(Video))] == [answer.json()["data"]["videoId"]]
