"""Duplicate, late, early and forged reports have a defined outcome; a report belongs to the attempt it was ordered for."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import desc, select

from tests.services.conftest import SCRIPT, Row
from tests.support.generator import Generator, Mode
from videovault import security
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, NotSignedIn, VideoNotFound
from videovault.gateways.webhook_reply import MAX_MINUTES
from videovault.models import Event, Status, Video
from videovault.security import Order
from videovault.services.core.access import Caller
from videovault.services.core.views import Metadata
from videovault.services.generation import callbacks, orders, scripts
from videovault.services.generation.callbacks import Report
from videovault.services.transfer import pipeline

Generating = Callable[[], Video]
URL = "https://generator.example/video.mp4"


def report_of(video: Video, status: str, *, video_url: str = "", error: str = "") -> Report:
    return Report(video.owner_id, video.id, status, video_url, error=error)


def by_generator(video: Video) -> Caller:
    return callbacks.generator_caller(security.callback_token(orders.order_of(video)), video.id)


def test_ready_with_a_url_queues_the_video(waiting: Video, row: Row) -> None:
    enqueued: list[str] = []
    outcome = callbacks.apply(
        by_generator(waiting), report_of(waiting, "ready", video_url=URL), enqueue=enqueued.append
    )
    assert outcome.video.status == "processing"
    assert (row(waiting.id).status, row(waiting.id).source_url) == (Status.QUEUED, URL)
    assert enqueued == [waiting.id]


def test_a_duplicate_callback_changes_nothing(waiting: Video, row: Row) -> None:
    for _ in range(2):
        callbacks.apply(by_generator(waiting), report_of(waiting, "ready", video_url=URL), enqueue=list)
    assert row(waiting.id).status == Status.QUEUED


def test_a_callback_before_the_webhook_response_is_applied(
    generator: Generator, generating: Generating, row: Row
) -> None:
    video = generating()
    callbacks.apply(by_generator(video), report_of(video, "ready", video_url=URL), enqueue=lambda _: None)
    orders.send_order(video.id)
    assert row(video.id).source_url == URL
    assert generator.requests == []


def test_a_failure_keeps_its_reason(waiting: Video, row: Row) -> None:
    callbacks.apply(
        by_generator(waiting), report_of(waiting, "failed", error="No\nvoice"), enqueue=lambda _: None
    )
    assert (row(waiting.id).status, row(waiting.id).error_message) == (Status.FAILED, "No voice")


def test_a_url_after_a_failure_is_accepted(waiting: Video, row: Row) -> None:
    callbacks.apply(by_generator(waiting), report_of(waiting, "failed"), enqueue=lambda _: None)
    callbacks.apply(by_generator(waiting), report_of(waiting, "ready", video_url=URL), enqueue=lambda _: None)
    assert row(waiting.id).status == Status.QUEUED


def test_a_url_after_cancelling_is_ignored(waiting: Video, anna: Caller, row: Row) -> None:
    pipeline.cancel(anna, waiting.id)
    callbacks.apply(by_generator(waiting), report_of(waiting, "ready", video_url=URL), enqueue=lambda _: None)
    assert row(waiting.id).error_code == "CANCELLED"


def test_processing_extends_the_deadline(waiting: Video, row: Row) -> None:
    before = row(waiting.id).deadline_at
    callbacks.apply(by_generator(waiting), report_of(waiting, "processing"), enqueue=lambda _: None)
    after = row(waiting.id).deadline_at
    assert before
    assert after
    assert after > before


def test_ready_without_a_url_or_a_stored_object_is_refused(waiting: Video) -> None:
    with pytest.raises(Conflict):
        callbacks.apply(by_generator(waiting), report_of(waiting, "ready"), enqueue=lambda _: None)


def test_metadata_fills_only_what_was_not_measured(waiting: Video, row: Row) -> None:
    metadata = Metadata(duration=120, format="mp4")
    report = Report(waiting.owner_id, waiting.id, "processing", metadata=metadata)
    callbacks.apply(by_generator(waiting), report, enqueue=lambda _: None)
    again = Report(waiting.owner_id, waiting.id, "processing", metadata=Metadata(duration=7))
    callbacks.apply(by_generator(waiting), again, enqueue=lambda _: None)
    assert (row(waiting.id).duration, row(waiting.id).format) == (120, "mp4")


@pytest.mark.parametrize("status", ["", "done", "deleting", "READY"])
def test_an_unknown_status_is_refused(waiting: Video, status: str) -> None:
    with pytest.raises(InvalidInput):
        callbacks.apply(by_generator(waiting), report_of(waiting, status), enqueue=lambda _: None)


def test_a_token_is_valid_only_for_its_own_video(waiting: Video) -> None:
    with pytest.raises(NotSignedIn):
        callbacks.generator_caller(security.callback_token(Order("video_1_other", "")), waiting.id)
    with pytest.raises(NotSignedIn):
        callbacks.generator_caller("forged", waiting.id)
    with pytest.raises(VideoNotFound):
        callbacks.generator_caller(security.callback_token(Order("video_1_gone", "")), "video_1_gone")


def test_people_cannot_report_on_other_peoples_videos(waiting: Video, bert: Caller, row: Row) -> None:
    with pytest.raises(VideoNotFound):
        callbacks.apply(bert, Report(bert.user_id, waiting.id, "failed"), enqueue=lambda _: None)
    assert row(waiting.id).status == Status.GENERATING


def set_status(video: Video, status: str) -> None:
    """Change the row directly; ``cancelled`` means failed by its owner."""
    with transaction() as session:
        found = session.get_one(Video, video.id)
        found.status = Status.FAILED if status == "cancelled" else Status(status)
        found.error_code = {"cancelled": "CANCELLED", "failed": "GENERATION_TIMED_OUT"}.get(status)


OUTCOMES = {
    ("generating", "processing"): "generating",
    ("generating", "failed"): "failed",
    ("generating", "ready"): "queued",
    ("queued", "processing"): None,
    ("queued", "failed"): None,
    ("queued", "ready"): None,
    ("storing", "processing"): None,
    ("storing", "failed"): None,
    ("storing", "ready"): None,
    ("ready", "processing"): None,
    ("ready", "failed"): Conflict,
    ("ready", "ready"): None,
    ("failed", "processing"): None,
    ("failed", "failed"): None,
    ("failed", "ready"): "queued",
    ("cancelled", "processing"): None,
    ("cancelled", "failed"): None,
    ("cancelled", "ready"): None,
    ("deleting", "ready"): VideoNotFound,
    ("draft", "ready"): Conflict,
}


@pytest.mark.parametrize(("state", "reported"), OUTCOMES, ids=str)
def test_each_report_has_a_defined_outcome_in_each_state(
    waiting: Video, row: Row, state: str, reported: str
) -> None:
    """The table in the module's docstring; None means that nothing changes."""
    set_status(waiting, state)
    before, expected = row(waiting.id), OUTCOMES[state, reported]
    report = report_of(waiting, reported, video_url=URL if reported == "ready" else "")
    if isinstance(expected, type):
        with pytest.raises(expected):
            callbacks.apply(by_generator(waiting), report, enqueue=list)
        expected = None
    else:
        taken = callbacks.apply(by_generator(waiting), report, enqueue=list)
        assert taken.changed == (expected is not None)
    if expected is None:
        assert row(waiting.id).model_dump() == before.model_dump()
    else:
        assert row(waiting.id).status == expected


def test_the_event_names_the_generator_as_actor(waiting: Video) -> None:
    callbacks.apply(by_generator(waiting), report_of(waiting, "ready", video_url=URL), enqueue=list)
    with reading() as session:
        last = session.exec(select(Event).where(Event.kind == "status").order_by(desc(Event.id))).first()
    assert last
    assert (last.actor_id, last.detail["by"], last.detail["to"]) == (None, "generator", "queued")


def test_reports_out_of_order_still_deliver_the_video(
    generator: Generator, generating: Generating, row: Row
) -> None:
    generator.mode = "disorder"
    generator.deliver = deliver
    video = generating()
    orders.send_order(video.id)
    generator.callbacks_made()
    assert [report["status"] for report in generator.reports] == ["failed", "ready", "processing"]
    assert (row(video.id).status, row(video.id).source_url) == (Status.QUEUED, generator.video_url)


def deliver(order: dict[str, str], report: dict[str, str]) -> None:
    """Apply a callback without HTTP."""
    caller = callbacks.generator_caller(order["callbackToken"], order["videoId"])
    url = report.get("videoUrl", "")
    callbacks.apply(caller, Report(report["userId"], report["videoId"], report["status"], url), enqueue=list)


@pytest.mark.parametrize("mode", ["callback", "callback_twice", "callback_first"])
def test_a_callback_is_applied_once_at_any_time(
    generator: Generator, generating: Generating, row: Row, mode: Mode
) -> None:
    generator.mode, generator.deliver = mode, deliver
    video = generating()
    orders.send_order(video.id)
    generator.callbacks_made()
    assert row(video.id).status == Status.QUEUED
    with reading() as session:
        moves = session.exec(select(Event).where(Event.kind == "status")).all()
    assert [event.detail["to"] for event in moves] == ["generating", "queued"]
    assert list(generator.renders.values()) == [1]


def test_a_url_after_the_deadline_is_accepted(generator: Generator, generating: Generating, row: Row) -> None:
    generator.mode, generator.deliver = "callback_late", deliver
    video = generating()
    orders.send_order(video.id)
    with transaction() as session:
        session.get_one(Video, video.id).deadline_at = utcnow() - timedelta(seconds=1)
    orders.fail_overdue()
    assert row(video.id).error_code == "GENERATION_TIMED_OUT"
    generator.late.set()
    generator.callbacks_made()
    assert row(video.id).status == Status.QUEUED


def test_a_token_is_valid_longer_than_any_deadline() -> None:
    longest = orders.render_timeout(MAX_MINUTES)
    assert longest < callbacks.CALLBACK_TOKEN_TTL < 2 * longest


def test_an_expired_token_is_refused(waiting: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    token = security.callback_token(orders.order_of(waiting))
    much_later = time.time() + callbacks.CALLBACK_TOKEN_TTL.total_seconds() + 60
    monkeypatch.setattr(time, "time", lambda: much_later)
    with pytest.raises(NotSignedIn):
        callbacks.generator_caller(token, waiting.id)


def order_again(waiting: Video, anna: Caller, **changed: str) -> None:
    """Cancel the video and order it again, possibly with another script."""
    pipeline.cancel(anna, waiting.id)
    orders.request(anna, {**SCRIPT, **changed}, waiting.id, enqueue=list)
    orders.send_order(waiting.id)


@pytest.mark.parametrize("status", ["processing", "failed", "ready"])
def test_a_report_on_an_earlier_script_is_superseded(
    waiting: Video, anna: Caller, row: Row, status: str
) -> None:
    late = by_generator(waiting)
    order_again(waiting, anna, hook="Look again")
    before = row(waiting.id)
    taken = callbacks.apply(late, report_of(waiting, status, video_url=URL), enqueue=list)
    assert (taken.superseded, taken.changed, taken.status) == (True, False, Status.GENERATING)
    assert row(waiting.id).model_dump() == before.model_dump()
    present = callbacks.apply(by_generator(before), report_of(waiting, "ready", video_url=URL), enqueue=list)
    assert (present.superseded, present.status) == (False, Status.QUEUED)


def test_a_late_render_of_the_same_script_is_accepted_for_the_new_order(
    waiting: Video, anna: Caller, row: Row
) -> None:
    late = by_generator(waiting)
    order_again(waiting, anna)
    callbacks.apply(late, report_of(waiting, "ready", video_url=URL), enqueue=list)
    assert (row(waiting.id).status, row(waiting.id).source_url) == (Status.QUEUED, URL)


@pytest.mark.usefixtures("generator")
def test_a_draft_cannot_be_reported_on(anna: Caller) -> None:
    draft = scripts.write_draft(anna, {"topic": "Bread", "avatar": "Anna"})
    with pytest.raises(Conflict):
        callbacks.apply(anna, Report(anna.user_id, draft.video_id, "failed"), enqueue=lambda _: None)


@pytest.fixture
def two_orders(generator: Generator, generating: Generating, anna: Caller) -> list[dict[str, str]]:
    """The orders of the first attempt and of the second, which the generator is rendering."""
    generator.mode = "processing"
    video = generating()
    orders.send_order(video.id)
    pipeline.cancel(anna, video.id)
    orders.request(anna, SCRIPT, video.id, enqueue=list)
    orders.send_order(video.id)
    return generator.requests


def send_report(
    order: dict[str, str], status: str, url: str = "", token: str = ""
) -> callbacks.ReportOutcome:
    caller = callbacks.generator_caller(token or order["callbackToken"], order["videoId"])
    return callbacks.apply(caller, Report(order["userId"], order["videoId"], status, url), enqueue=list)


@pytest.mark.parametrize("status", ["failed", "processing"])
def test_late_reports_of_the_first_attempt_do_not_change_the_second(
    two_orders: list[dict[str, str]], row: Row, status: str
) -> None:
    before = row(two_orders[0]["videoId"])
    outcome = send_report(two_orders[0], status)
    assert (outcome.superseded, outcome.changed, outcome.status) == (True, False, Status.GENERATING)
    assert row(two_orders[0]["videoId"]).model_dump() == before.model_dump()


def test_the_second_attempt_reports_for_itself(two_orders: list[dict[str, str]]) -> None:
    outcome = send_report(two_orders[1], "failed")
    assert (outcome.superseded, outcome.status) == (False, Status.FAILED)


def test_a_late_video_of_the_first_attempt_is_accepted(two_orders: list[dict[str, str]], row: Row) -> None:
    """It has the same script, and is paid for."""
    assert send_report(two_orders[0], "ready", URL).status == Status.QUEUED
    assert row(two_orders[0]["videoId"]).source_url == URL


def test_a_report_after_a_retried_transfer_belongs_to_the_same_order(
    two_orders: list[dict[str, str]], row: Row, anna: Caller
) -> None:
    """Claims and retried transfers raise the attempt, but the order stays the same."""
    video_id = two_orders[1]["videoId"]
    send_report(two_orders[1], "ready", URL)
    pipeline.cancel(anna, video_id)
    pipeline.retry(anna, video_id, enqueue=list)
    assert row(video_id).status == Status.QUEUED
    assert send_report(two_orders[1], "failed").superseded is False


@pytest.mark.parametrize("status", ["failed", "processing", "ready"])
def test_a_token_of_the_previous_version_is_still_valid(
    two_orders: list[dict[str, str]], row: Row, status: str
) -> None:
    order = orders.order_of(row(two_orders[1]["videoId"]))
    token = security.sign("order", [order.video_id, order.script])
    outcome = send_report(two_orders[1], status, URL if status == "ready" else "", token)
    assert (outcome.superseded, outcome.changed) == (False, True)
