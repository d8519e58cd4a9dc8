"""A generator with a status address is asked how far it is, patiently, and for a fresh address once one has expired."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.backoff import MAX_POLL_SECONDS, MAX_RETRY_AFTER, poll_delay
from videovault.db import reading, transaction
from videovault.gateways.storage import Storage
from videovault.models import Status, Video, WebhookCall, utcnow
from videovault.services.generation import orders, polling
from videovault.services.transfer import pipeline
from videovault.services.transfer.store import MAX_REFUSED

Generating = Callable[[], Video]


@pytest.fixture
def polled(generator: Generator, generating: Generating) -> Video:
    """A video whose generator gave a status address."""
    generator.mode = "poll"
    video = generating()
    orders.send_order(video.id)
    return video


def ask_now(video_id: str, told: list[str] | None = None) -> None:
    with transaction() as session:
        session.get_one(Video, video_id).next_ask_at = utcnow()
    assert polling.due_video_ids() == [video_id]
    heard: list[str] = [] if told is None else told
    polling.poll(video_id, enqueue=heard.append)


def in_seconds(video: Video) -> float:
    assert video.next_ask_at
    return (video.next_ask_at - utcnow()).total_seconds()


def test_a_status_address_is_kept_and_asked_after_a_while(
    polled: Video, generator: Generator, row: Row
) -> None:
    found = row(polled.id)
    assert found.status_url == generator.status_url(polled.id)
    assert 3 < in_seconds(found) <= 5
    assert polling.due_video_ids() == []
    polling.poll(polled.id, enqueue=list)
    assert generator.polls == {}


def test_the_address_that_it_names_in_the_end_is_queued_for_storing(
    polled: Video, generator: Generator, row: Row
) -> None:
    told: list[str] = []
    ask_now(polled.id, told)
    assert (row(polled.id).status, told) == (Status.GENERATING, [])
    ask_now(polled.id, told)
    found = row(polled.id)
    assert (found.status, found.source_url) == (Status.QUEUED, generator.video_url)
    assert (told, found.next_ask_at) == ([polled.id], None)
    assert found.status_url
    assert list(generator.renders.values()) == [1]


def test_it_is_asked_further_and_further_apart(polled: Video, generator: Generator, row: Row) -> None:
    generator.polls_needed = 99
    pauses = []
    for _ in range(6):
        ask_now(polled.id)
        pauses.append(in_seconds(row(polled.id)))
    assert 7 < pauses[0] <= 10
    assert 44 < pauses[-1] <= 60


def test_a_retry_after_is_heeded(polled: Video, generator: Generator, row: Row) -> None:
    generator.poll_retry_after = 300
    ask_now(polled.id)
    assert 290 < in_seconds(row(polled.id)) <= 300


def test_no_retry_after_delays_a_poll_for_ever() -> None:
    assert poll_delay(0, 1e9) <= timedelta(seconds=MAX_RETRY_AFTER)
    assert poll_delay(500) <= timedelta(seconds=MAX_POLL_SECONDS)


def test_of_two_machines_one_asks(polled: Video, generator: Generator, row: Row) -> None:
    ask_now(polled.id)
    polling.poll(polled.id, enqueue=list)
    assert generator.polls == {polled.id: 1}
    assert row(polled.id).asks == 1


def test_a_rejection_is_told_by_the_status_address_too(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode, generator.polls_needed = "poll_rejected", 1
    video = generating()
    orders.send_order(video.id)
    ask_now(video.id)
    found = row(video.id)
    assert (found.status, found.error_code) == (Status.FAILED, "GENERATION_REJECTED")


def test_a_status_address_that_does_not_answer_leaves_the_video_waiting(polled: Video, row: Row) -> None:
    with transaction() as session:
        found = session.get_one(Video, polled.id)
        found.status_url = f"{str(found.status_url).rsplit('/status', 1)[0]}/nothing"
    before = row(polled.id).deadline_at
    ask_now(polled.id)
    assert row(polled.id).status == Status.GENERATING
    assert row(polled.id).deadline_at == before


def test_a_status_address_that_has_become_forbidden_is_not_asked(
    polled: Video, generator: Generator, row: Row, configure: Configure
) -> None:
    configure(VIDEO_WEBHOOK_URL="https://generator.example/video", SOURCE_ALLOW_HOSTS="")
    ask_now(polled.id)
    assert row(polled.id).status == Status.GENERATING
    assert generator.polls == {}


def test_only_questions_that_changed_something_are_kept(polled: Video) -> None:
    for _ in range(2):
        ask_now(polled.id)
    with reading() as session:
        kinds = session.exec(select(WebhookCall.kind).order_by(WebhookCall.id)).all()  # type: ignore[arg-type] # a column
    assert kinds == ["video", "poll"]


def test_a_link_that_has_expired_is_replaced_by_a_fresh_one(
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
def test_a_fresh_link_is_asked_for_each_time_else_the_failure_says_that_it_expired(
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


def test_the_answer_of_a_status_address_is_kept_for_the_admin_once(
    polled: Video, generator: Generator, row: Row
) -> None:
    generator.polls_needed = 0
    generator.address = lambda _video_id: "nonsense"
    for _ in range(3):
        ask_now(polled.id)
    assert (row(polled.id).status, bool(row(polled.id).unread_at)) == (Status.GENERATING, True)
    with reading() as session:
        kept = session.exec(select(WebhookCall).where(WebhookCall.kind == "poll")).all()
    assert len(kept) == 1
