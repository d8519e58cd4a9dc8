"""A generator with a status URL is polled with backoff, and for a fresh URL once one has expired."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.backoff import MAX_POLL_SECONDS, MAX_RETRY_AFTER, poll_delay
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.gateways.storage import Storage
from videovault.models import Status, Video, WebhookCall
from videovault.services.generation import orders, polling
from videovault.services.transfer import pipeline
from videovault.services.transfer.store import MAX_REFUSED

Generating = Callable[[], Video]


@pytest.fixture
def polled(generator: Generator, generating: Generating) -> Video:
    """A video whose generator gave a status URL."""
    generator.mode = "poll"
    video = generating()
    orders.send_order(video.id)
    return video


def poll_now(video_id: str, enqueued: list[str] | None = None) -> None:
    with transaction() as session:
        session.get_one(Video, video_id).next_ask_at = utcnow()
    assert polling.due_video_ids() == [video_id]
    jobs: list[str] = [] if enqueued is None else enqueued
    polling.poll(video_id, enqueue=jobs.append)


def seconds_until_poll(video: Video) -> float:
    assert video.next_ask_at
    return (video.next_ask_at - utcnow()).total_seconds()


def test_a_status_url_is_stored_and_polled_later(polled: Video, generator: Generator, row: Row) -> None:
    found = row(polled.id)
    assert found.status_url == generator.status_url(polled.id)
    assert 3 < seconds_until_poll(found) <= 5
    assert polling.due_video_ids() == []
    polling.poll(polled.id, enqueue=list)
    assert generator.polls == {}


def test_the_url_in_the_final_status_is_queued(polled: Video, generator: Generator, row: Row) -> None:
    enqueued: list[str] = []
    poll_now(polled.id, enqueued)
    assert (row(polled.id).status, enqueued) == (Status.GENERATING, [])
    poll_now(polled.id, enqueued)
    found = row(polled.id)
    assert (found.status, found.source_url) == (Status.QUEUED, generator.video_url)
    assert (enqueued, found.next_ask_at) == ([polled.id], None)
    assert found.status_url
    assert list(generator.renders.values()) == [1]


def test_polls_back_off(polled: Video, generator: Generator, row: Row) -> None:
    generator.polls_needed = 99
    pauses = []
    for _ in range(6):
        poll_now(polled.id)
        pauses.append(seconds_until_poll(row(polled.id)))
    assert 7 < pauses[0] <= 10
    assert 44 < pauses[-1] <= 60


def test_retry_after_is_respected(polled: Video, generator: Generator, row: Row) -> None:
    generator.poll_retry_after = 300
    poll_now(polled.id)
    assert 290 < seconds_until_poll(row(polled.id)) <= 300


def test_no_retry_after_delays_a_poll_for_ever() -> None:
    assert poll_delay(0, 1e9) <= timedelta(seconds=MAX_RETRY_AFTER)
    assert poll_delay(500) <= timedelta(seconds=MAX_POLL_SECONDS)


def test_one_of_two_machines_polls(polled: Video, generator: Generator, row: Row) -> None:
    poll_now(polled.id)
    polling.poll(polled.id, enqueue=list)
    assert generator.polls == {polled.id: 1}
    assert row(polled.id).asks == 1


def test_a_rejection_in_a_status_fails_the_video(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode, generator.polls_needed = "poll_rejected", 1
    video = generating()
    orders.send_order(video.id)
    poll_now(video.id)
    found = row(video.id)
    assert (found.status, found.error_code) == (Status.FAILED, "GENERATION_REJECTED")


def test_an_unreachable_status_url_leaves_the_video_waiting(polled: Video, row: Row) -> None:
    with transaction() as session:
        found = session.get_one(Video, polled.id)
        found.status_url = f"{str(found.status_url).rsplit('/status', 1)[0]}/nothing"
    before = row(polled.id).deadline_at
    poll_now(polled.id)
    assert row(polled.id).status == Status.GENERATING
    assert row(polled.id).deadline_at == before


def test_a_status_url_that_is_no_longer_allowed_is_not_polled(
    polled: Video, generator: Generator, row: Row, configure: Configure
) -> None:
    configure(VIDEO_WEBHOOK_URL="https://generator.example/video", SOURCE_ALLOW_HOSTS="")
    poll_now(polled.id)
    assert row(polled.id).status == Status.GENERATING
    assert generator.polls == {}


def test_only_polls_that_change_something_are_recorded(polled: Video) -> None:
    for _ in range(2):
        poll_now(polled.id)
    with reading() as session:
        kinds = session.exec(select(WebhookCall.kind).order_by(WebhookCall.id)).all()  # type: ignore[arg-type] # a column
    assert kinds == ["video", "poll"]


def test_an_expired_url_is_replaced_by_a_fresh_one(
    generator: Generator, generating: Generating, moto_s3: Storage, row: Row
) -> None:
    generator.mode = "expiring"
    video = generating()
    pipeline.produce(video.id, stopping=lambda: False)
    found = row(video.id)
    assert (found.status, found.source_url) == (Status.READY, generator.file("fresh-1.mp4"))
    assert moto_s3.info(str(found.s3_key))
    assert list(generator.renders.values()) == [1]


@pytest.mark.usefixtures("moto_s3")
@pytest.mark.parametrize("fresh", ["expired.mp4", "also-expired.mp4"])
def test_a_fresh_url_is_polled_each_time_before_the_video_fails_as_expired(
    polled: Video, generator: Generator, row: Row, fresh: str
) -> None:
    with transaction() as session:
        video = session.get_one(Video, polled.id)
        assert orders.accept_url(session, video, generator.file("expired.mp4"), why="a test")
    generator.polls_needed, generator.poll_file = 1, fresh
    pipeline.produce(polled.id, stopping=lambda: False)
    found = row(polled.id)
    assert (found.status, found.source_url) == (Status.QUEUED, generator.file(fresh))
    assert generator.polls == {polled.id: 1}
    with transaction() as session:
        video = session.get_one(Video, polled.id)
        video.next_fetch_at, video.refused_since = utcnow(), utcnow() - MAX_REFUSED
    pipeline.produce(polled.id, stopping=lambda: False)
    found = row(polled.id)
    assert (found.status, found.error_code) == (Status.FAILED, "SOURCE_FAILED")
    assert "expired" in str(found.error_message)
    assert found.source_url == generator.file(fresh)


def test_an_unreadable_status_is_recorded_once(polled: Video, generator: Generator, row: Row) -> None:
    generator.polls_needed = 0
    generator.address = lambda _video_id: "nonsense"
    for _ in range(3):
        poll_now(polled.id)
    assert (row(polled.id).status, bool(row(polled.id).unread_at)) == (Status.GENERATING, True)
    with reading() as session:
        kept = session.exec(select(WebhookCall).where(WebhookCall.kind == "poll")).all()
    assert len(kept) == 1
