"""The lease on an order: an owner whose worker died during the call is told, and decides."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.services.conftest import SCRIPT, Row
from tests.support.database_outage import database_away
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.scrape import scrape
from tests.support.videos import set_columns
from tests.support.waiting import HANG_SECONDS, eventually
from videovault import db
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Conflict
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.core.lifecycle import LEASE_SECONDS
from videovault.services.generation import callbacks, order_lease, orders
from videovault.services.generation.callbacks import Report
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline, response_video
from videovault.services.videos import gallery

LONG_AGO = timedelta(seconds=LEASE_SECONDS + 5)
Asked = Callable[[], Video]


@pytest.fixture
def asked(anna: Caller, generator: Generator, row: Row) -> Asked:
    """An order whose worker has died after it was sent, and before its response was recorded."""

    def send() -> Video:
        video_id = orders.request(anna, SCRIPT, enqueue=list).video_id
        claimed = orders._claim(video_id)
        assert claimed
        generator.requests.append(claimed[1])
        with transaction() as session:
            session.get_one(Video, video_id).call_heartbeat_at = utcnow() - LONG_AGO
        return row(video_id)

    return send


def test_the_owner_is_told_and_may_order_again(
    asked: Asked, anna: Caller, row: Row, generator: Generator
) -> None:
    video = asked()
    repair.repair(enqueue=list)
    found = gallery.get(anna, video.id, links=False)
    assert (found.status, found.retries) == ("processing", ("generation",))
    assert found.progress
    assert found.progress.note == f"{order_lease.WORKER_DIED} {order_lease.ORDERED_ONCE}"
    pipeline.retry(anna, video.id, enqueue=list)
    again = row(video.id)
    assert (again.status, again.attempt, again.requested_at) == (Status.GENERATING, video.attempt + 1, None)
    with pytest.raises(Conflict):  # a second click
        pipeline.retry(anna, video.id, enqueue=list)
    orders.send_order(video.id)
    assert row(video.id).status == Status.QUEUED
    assert generator.idempotency_keys == [f"{video.id}:{video.attempt + 1}"]


def test_a_late_report_of_the_lost_order_is_accepted(asked: Asked, generator: Generator, row: Row) -> None:
    video = asked()
    order_lease.release_expired()
    order = generator.requests[0]
    caller = callbacks.generator_caller(order["callbackToken"], video.id)
    report = Report(video.owner_id, video.id, "processing")
    assert callbacks.apply(caller, report, enqueue=list).status == Status.GENERATING
    assert row(video.id).unanswered_attempt is None
    report = Report(video.owner_id, video.id, "ready", generator.video_url)
    assert callbacks.apply(caller, report, enqueue=list).status == Status.QUEUED


def test_an_idempotent_generator_gets_the_same_order_again(
    asked: Asked, configure: Configure, generator: Generator, row: Row
) -> None:
    configure(GENERATOR_IS_IDEMPOTENT="1")
    video = asked()
    order_lease.release_expired()
    waiting = row(video.id)
    assert (waiting.requested_at, waiting.attempt) == (None, video.attempt)
    assert order_lease.ORDERED_AGAIN in str(waiting.generator_note)
    _make_due(video.id)
    generator.then("cut", "direct")
    orders.send_order(video.id)
    assert row(video.id).requested_at is None
    _make_due(video.id)
    orders.send_order(video.id)
    assert row(video.id).status == Status.QUEUED
    assert generator.idempotency_keys == [f"{video.id}:{video.attempt}"] * 2


def test_an_order_that_always_loses_its_response_is_left_to_its_owner(
    asked: Asked, configure: Configure, row: Row
) -> None:
    configure(GENERATOR_IS_IDEMPOTENT="1")
    video = asked()
    with transaction() as session:
        session.get_one(Video, video.id).asks = len(order_lease.REPEAT_SECONDS)
    order_lease.release_expired()
    assert row(video.id).unanswered_attempt == video.attempt


def test_a_running_call_keeps_its_lease(asked: Asked, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that expired while the database was unavailable."""
    monkeypatch.setattr(order_lease, "HEARTBEAT_SECONDS", 0.02)
    video = asked()
    order_lease.release_expired()
    with order_lease.order_lease(video):
        eventually(lambda: row(video.id).call_heartbeat_at, lambda: "there was no heartbeat")
        found = row(video.id)
    assert (found.unanswered_attempt, found.generator_note) == (None, None)
    order_lease.release_expired()
    assert row(video.id).unanswered_attempt is None


@pytest.mark.usefixtures("counting")
def test_a_missed_heartbeat_is_counted_and_logged_with_its_video(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(order_lease, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(order_lease, "MISSED_SECONDS", HANG_SECONDS)
    video = asked()
    missed = 'videovault_missed_heartbeats_total{kind="order"}'
    with database_away(), lifecycle.log_context(video), order_lease.order_lease(video):
        eventually(lambda: scrape()[missed] == 1 and "heartbeat of an order missed" in caplog.text)
    assert f"'video_id': '{video.id}'" in caplog.text


def test_an_order_of_the_version_before_keeps_waiting(asked: Asked, row: Row) -> None:
    """Such a row has no lease."""
    video = asked()
    with transaction() as session:
        session.get_one(Video, video.id).call_heartbeat_at = None
    repair.repair(enqueue=list)
    found = row(video.id)
    assert (found.status, found.generator_note, found.unanswered_attempt) == (Status.GENERATING, None, None)


RECEIVING = {"heartbeat_at": utcnow() - LONG_AGO, "reserved_bytes": 9}
REPAIRS = ("caller_died", "receiver_died")
Step = Callable[[], None]


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    "steps",
    [
        (response_video.release_expired, order_lease.release_expired),
        (order_lease.release_expired, response_video.release_expired),
    ],
    ids=["the transfer's lease first", "the order's lease first"],
)
@pytest.mark.parametrize(
    ("is_idempotent", "note"), [("1", order_lease.ORDERED_AGAIN), ("", order_lease.ORDERED_ONCE)]
)
def test_a_call_that_was_receiving_the_video_is_continued_once(
    is_idempotent: str, note: str, steps: tuple[Step, Step], asked: Asked, configure: Configure, row: Row
) -> None:
    configure(GENERATOR_IS_IDEMPOTENT=is_idempotent)
    video = asked()
    set_columns(video.id, **RECEIVING)
    for release in steps:
        release()
    found = row(video.id)
    assert found.generator_note == f"{order_lease.WORKER_DIED} {note}"
    assert (found.heartbeat_at, found.reserved_bytes) == (None, 0)
    assert _repaired() == {"caller_died": 1, "receiver_died": 0}


@pytest.mark.usefixtures("counting")
def test_a_receiving_call_without_a_lease_waits_for_its_report(asked: Asked, row: Row) -> None:
    """Such a row is of the version before."""
    video = asked()
    set_columns(video.id, **RECEIVING, call_heartbeat_at=None)
    repair.take_back(enqueue=list)
    found = row(video.id)
    assert (found.generator_note, found.reserved_bytes) == (response_video.WORKER_DIED_NOTE, 0)
    assert _repaired() == {"caller_died": 0, "receiver_died": 1}


def test_a_response_outlasts_an_outage_of_the_database(
    anna: Caller, generator: Generator, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator.mode = "answer_late"
    monkeypatch.setattr(db, "RETRY_SECONDS", (0.01, 0.01))
    video_id = orders.request(anna, SCRIPT, enqueue=list).video_id
    sending = threading.Thread(target=orders.send_order, args=(video_id,))
    sending.start()
    eventually(lambda: generator.requests, lambda: "it was not ordered")
    with database_away() as failures:
        generator.late.set()
        eventually(lambda: len(failures) > 3, lambda: "it was not recorded again")
    sending.join(HANG_SECONDS)
    assert row(video_id).status == Status.QUEUED


def _repaired() -> dict[str, float]:
    samples = scrape()
    return {what: samples[f'videovault_repaired_total{{what="{what}"}}'] for what in REPAIRS}


def _make_due(video_id: str) -> None:
    with transaction() as session:
        session.get_one(Video, video_id).next_ask_at = utcnow()
