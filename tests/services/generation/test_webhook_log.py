"""Webhook calls are recorded without secrets, listed for admins, and purged."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.services.conftest import SCRIPT, Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.clock import utcnow
from videovault.config.validation import MASK
from videovault.db import reading, transaction
from videovault.errors import Conflict, Forbidden, InvalidInput
from videovault.models import Status, Video, WebhookCall
from videovault.services.admin import rescue
from videovault.services.core.access import Caller
from videovault.services.generation import callbacks, orders, scripts, webhook_log
from videovault.services.generation.webhook_log import IncomingCall, WebhookCallView
from videovault.services.maintenance import repair

Generating = Callable[[], Video]
HERE = "203.0.113.7"
URL = "https://cdn.example/films/secret-name.mp4?X-Amz-Signature=abc"


def refused_call(body: object, of: Video | None = None, address: str = HERE, **headers: str) -> IncomingCall:
    """A refused call by the generator of the video, or without credentials."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = IncomingCall("status", headers, raw, "refused", 401, why="Please sign in.", address=address)
    return replace(call, caller=callbacks.signed_generator_caller(of.id), video_id=of.id) if of else call


def ready(video: Video) -> dict[str, str]:
    return {"userId": video.owner_id, "videoId": video.id, "status": "ready", "videoUrl": URL}


def newest(caller: Caller) -> WebhookCallView:
    return webhook_log.list_calls(caller).deliveries[0]


def test_an_outgoing_call_is_recorded_with_its_response_and_without_the_token(
    waiting: Video, anna: Caller, generator: Generator
) -> None:
    call = newest(anna)
    assert (call.direction, call.kind, call.video_id) == ("out", "video", waiting.id)
    assert (call.verdict, call.http_status, call.outcome) == ("accepted", 200, "answered")
    assert json.loads(call.answer) == {"status": "processing", "estimatedTime": 3}
    sent = json.loads(call.body)
    assert sent["hook"] == SCRIPT["hook"]
    assert sent["callbackToken"] == MASK
    with reading() as session:
        assert generator.requests[0]["callbackToken"] not in str(session.exec(select(WebhookCall)).all())


def test_an_unanswered_call_is_recorded(generator: Generator, generating: Generating, anna: Caller) -> None:
    generator.mode = "cut"
    orders.send_order(generating().id)
    call = newest(anna)
    assert (call.verdict, call.http_status, call.outcome) == ("refused", None, "not answered")
    assert "RemoteProtocolError" in call.why


@pytest.mark.usefixtures("generator")
def test_a_call_of_the_script_webhook_is_recorded(anna: Caller) -> None:
    scripts.write_draft(anna, {"topic": "Bread", "avatar": "Anna"})
    assert (newest(anna).kind, newest(anna).video_id) == ("script", None)


def test_an_incoming_call_is_recorded_without_secrets(waiting: Video, anna: Caller) -> None:
    secret = {"Authorization": "Bearer s3cret", "Cookie": "s3cret", "webhook-signature": "v1,s3cret"}
    webhook_log.record_incoming(refused_call(ready(waiting), waiting, **secret, **{"User-Agent": "n8n"}))
    call = newest(anna)
    assert (call.direction, call.video_id, call.verdict) == ("in", waiting.id, "refused")
    assert call.headers == {"user-agent": "n8n"}
    assert "s3cret" not in call.model_dump_json()


def test_urls_are_shown_as_hosts_only(waiting: Video, anna: Caller) -> None:
    webhook_log.record_incoming(refused_call(ready(waiting)))
    assert json.loads(newest(anna).body)["videoUrl"] == "https://cdn.example/…"


@pytest.mark.parametrize(
    "body", [b"", b"\xff\x00", b"[" * 5000, b'{"videoId": 7}', b'{"videoId": "video_1_gone"}']
)
def test_an_unreadable_call_is_recorded_without_a_video(anna: Caller, body: bytes) -> None:
    webhook_log.record_incoming(refused_call(body))
    assert newest(anna).video_id is None


def test_a_long_body_is_cut_and_not_replayed(waiting: Video, anna: Caller) -> None:
    for sender, max_bytes in (
        (None, webhook_log.MAX_BODY_BYTES),
        (waiting, webhook_log.MAX_UNREAD_BODY_BYTES),
    ):
        webhook_log.record_incoming(refused_call({**ready(waiting), "error": "x" * 70_000}, sender))
        assert max_bytes - 100 < len(newest(anna).body.encode()) <= max_bytes
        assert newest(anna).can_be_replayed is False
        with pytest.raises(Conflict):
            rescue.replay(anna, newest(anna).id, enqueue=list)


def test_a_report_with_the_longest_url_is_recorded_whole_and_replayed(
    waiting: Video, anna: Caller, row: Row
) -> None:
    longest = "https://cdn.example/v.mp4?" + "a&" * (8 * 1024 - 13)
    report = json.dumps({"videoUrl": longest, "status": "ready"}).replace("&", "\\u0026").encode()
    webhook_log.record_incoming(refused_call(report, waiting))
    assert newest(anna).can_be_replayed
    rescue.replay(anna, newest(anna).id, enqueue=list)
    assert row(waiting.id).source_url == longest


def test_a_video_as_report_is_recorded_as_a_placeholder(waiting: Video, anna: Caller, mp4: bytes) -> None:
    webhook_log.record_incoming(refused_call(mp4, waiting))
    assert (newest(anna).body, newest(anna).can_be_replayed) == (
        webhook_log.VIDEO_BODY_PLACEHOLDER,
        False,
    )


def test_a_call_succeeds_even_if_it_cannot_be_recorded(
    generator: Generator, generating: Generating, row: Row
) -> None:
    video = generating()
    with transaction() as session:
        session.connection().exec_driver_sql("DROP TABLE deliveries")
    orders.send_order(video.id)
    assert (row(video.id).status, row(video.id).source_url) == (Status.QUEUED, generator.video_url)


def test_the_log_is_paged_and_filtered(waiting: Video, anna: Caller) -> None:
    for _ in range(4):
        webhook_log.record_incoming(refused_call(ready(waiting), waiting))
    webhook_log.record_incoming(refused_call(b"{}"))
    first = webhook_log.list_calls(anna, direction="in", limit=3)
    assert first.next_cursor
    rest = webhook_log.list_calls(anna, direction="in", limit=3, cursor=first.next_cursor)
    ids = [int(each.id) for each in (*first.deliveries, *rest.deliveries)]
    assert (len(ids), rest.next_cursor) == (5, None)
    assert ids == sorted(ids, reverse=True)
    assert {each.video_id for each in webhook_log.list_calls(anna, video_id=waiting.id).deliveries} == {
        waiting.id
    }
    assert len(webhook_log.list_calls(anna, video_id=waiting.id).deliveries) == 5
    with pytest.raises(InvalidInput):
        webhook_log.list_calls(anna, cursor="first")


def test_the_log_and_its_actions_are_for_admins_only(waiting: Video, bert: Caller) -> None:
    for attempt in (
        lambda: webhook_log.list_calls(bert),
        lambda: rescue.replay(bert, "1", enqueue=list),
        lambda: rescue.set_video_url(bert, waiting.id, URL, enqueue=list),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_tidy_purges_calls_older_than_thirty_days(waiting: Video, anna: Caller) -> None:
    webhook_log.record_incoming(refused_call(ready(waiting)))
    with transaction() as session:
        session.get_one(WebhookCall, 1).at = utcnow() - timedelta(days=30, minutes=1)
    repair.clean_up()
    assert [each.id for each in webhook_log.list_calls(anna).deliveries] == ["2"]


@pytest.mark.usefixtures("database")
def test_reports_are_applied_recorded_and_purged_on_every_database(
    anna: Caller, configure: Configure
) -> None:
    configure(VIDEO_WEBHOOK_URL="https://generator.example/video")
    video_id = orders.request(anna, SCRIPT, enqueue=list).video_id
    report = callbacks.Report(anna.user_id, video_id, "ready", URL)
    outcomes = [
        callbacks.apply(callbacks.signed_generator_caller(video_id), report, enqueue=list).changed
        for _ in range(2)
    ]
    assert outcomes == [True, False]
    generator = callbacks.signed_generator_caller(video_id)
    authenticated = replace(refused_call({"error": "a\x00b"}), caller=generator, video_id=video_id)
    webhook_log.record_incoming(authenticated)
    webhook_log.record_incoming(refused_call(b"\x00\xff"))
    assert [each.video_id for each in webhook_log.list_calls(anna).deliveries] == [None, video_id]
    webhook_log.purge(timedelta(seconds=-1))
    assert webhook_log.list_calls(anna).deliveries == []
