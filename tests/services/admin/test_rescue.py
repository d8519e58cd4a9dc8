"""Every webhook call is kept for a while, without secrets, and helps an admin to get a stuck video on."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.services.conftest import SCRIPT, Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.db import reading, transaction
from videovault.errors import Conflict, Forbidden, InvalidInput, NotFound, UnsafeUrl
from videovault.models import Event, Status, Video, WebhookCall, utcnow
from videovault.services.accounts import accounts
from videovault.services.admin import rescue
from videovault.services.core.access import Caller
from videovault.services.generation import callbacks, orders, scripts, webhook_log
from videovault.services.generation.webhook_log import IncomingCall, WebhookCallView
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline

Generating = Callable[[], Video]
HERE = "203.0.113.7"
URL = "https://cdn.example/films/secret-name.mp4?X-Amz-Signature=abc"


@pytest.fixture
def waiting(generator: Generator, generating: Generating) -> Video:
    """A video that its generator works on; Anna, whose it is, is the installation's admin."""
    generator.mode = "processing"
    video = generating()
    orders.send_order(video.id)
    return video


def arrived(body: object, of: Video | None = None, address: str = HERE, **headers: str) -> IncomingCall:
    """A refused call: of the generator of the video, else of a stranger."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = IncomingCall("status", headers, raw, "refused", 401, why="Please sign in.", address=address)
    return replace(call, caller=callbacks.signed_generator_caller(of.id), video_id=of.id) if of else call


def ready(video: Video) -> dict[str, str]:
    return {"userId": video.owner_id, "videoId": video.id, "status": "ready", "videoUrl": URL}


def newest(caller: Caller) -> WebhookCallView:
    return webhook_log.list_calls(caller).deliveries[0]


def test_a_call_to_the_webhook_is_kept_with_its_answer_and_without_the_token(
    waiting: Video, anna: Caller, generator: Generator
) -> None:
    kept = newest(anna)
    assert (kept.direction, kept.kind, kept.video_id) == ("out", "video", waiting.id)
    assert (kept.verdict, kept.http_status, kept.outcome) == ("accepted", 200, "answered")
    assert json.loads(kept.answer) == {"status": "processing", "estimatedTime": 3}
    sent = json.loads(kept.body)
    assert sent["hook"] == SCRIPT["hook"]
    assert sent["callbackToken"] == webhook_log.MASK
    with reading() as session:
        assert generator.requests[0]["callbackToken"] not in str(session.exec(select(WebhookCall)).all())


def test_a_call_that_is_not_answered_is_kept_too(
    generator: Generator, generating: Generating, anna: Caller
) -> None:
    generator.mode = "cut"
    orders.send_order(generating().id)
    kept = newest(anna)
    assert (kept.verdict, kept.http_status, kept.outcome) == ("refused", None, "not answered")
    assert "RemoteProtocolError" in kept.why


@pytest.mark.usefixtures("generator")
def test_a_call_to_the_script_webhook_is_kept(anna: Caller) -> None:
    scripts.write_draft(anna, {"topic": "Bread", "avatar": "Anna"})
    assert (newest(anna).kind, newest(anna).video_id) == ("script", None)


def test_what_arrives_is_kept_less_its_secrets(waiting: Video, anna: Caller) -> None:
    secret = {"Authorization": "Bearer s3cret", "Cookie": "s3cret", "webhook-signature": "v1,s3cret"}
    webhook_log.record_incoming(arrived(ready(waiting), waiting, **secret, **{"User-Agent": "n8n"}))
    kept = newest(anna)
    assert (kept.direction, kept.video_id, kept.verdict) == ("in", waiting.id, "refused")
    assert kept.headers == {"user-agent": "n8n"}
    assert "s3cret" not in kept.model_dump_json()


def test_of_addresses_an_admin_sees_the_host_only(waiting: Video, anna: Caller) -> None:
    webhook_log.record_incoming(arrived(ready(waiting)))
    assert json.loads(newest(anna).body)["videoUrl"] == "https://cdn.example/…"


@pytest.mark.parametrize(
    "body", [b"", b"\xff\x00", b"[" * 5000, b'{"videoId": 7}', b'{"videoId": "video_1_gone"}']
)
def test_what_cannot_be_understood_is_kept_without_a_video(anna: Caller, body: bytes) -> None:
    webhook_log.record_incoming(arrived(body))
    assert newest(anna).video_id is None


def test_a_long_body_is_cut_and_not_replayed(waiting: Video, anna: Caller) -> None:
    for sender, most in (
        (None, webhook_log.MAX_BODY_BYTES),
        (waiting, webhook_log.MAX_UNREAD_BODY_BYTES),
    ):
        webhook_log.record_incoming(arrived({**ready(waiting), "error": "x" * 70_000}, sender))
        assert most - 100 < len(newest(anna).body.encode()) <= most
        assert newest(anna).can_be_replayed is False
        with pytest.raises(Conflict):
            rescue.replay(anna, newest(anna).id, enqueue=list)


def test_a_generators_report_with_the_longest_address_is_kept_whole_and_replayed(
    waiting: Video, anna: Caller, row: Row
) -> None:
    longest = "https://cdn.example/v.mp4?" + "a&" * (8 * 1024 - 13)
    said = json.dumps({"videoUrl": longest, "status": "ready"}).replace("&", "\\u0026").encode()
    webhook_log.record_incoming(arrived(said, waiting))
    assert newest(anna).can_be_replayed
    rescue.replay(anna, newest(anna).id, enqueue=list)
    assert row(waiting.id).source_url == longest


def test_a_report_that_is_the_video_is_kept_as_a_word_only(waiting: Video, anna: Caller, mp4: bytes) -> None:
    webhook_log.record_incoming(arrived(mp4, waiting))
    assert (newest(anna).body, newest(anna).can_be_replayed) == (
        webhook_log.VIDEO_BODY_PLACEHOLDER,
        False,
    )


def test_a_call_that_cannot_be_kept_is_made_all_the_same(
    generator: Generator, generating: Generating, row: Row
) -> None:
    video = generating()
    with transaction() as session:
        session.connection().exec_driver_sql("DROP TABLE deliveries")
    orders.send_order(video.id)
    assert (row(video.id).status, row(video.id).source_url) == (Status.QUEUED, generator.video_url)


def test_the_inbox_is_paged_and_filtered(waiting: Video, anna: Caller) -> None:
    for _ in range(4):
        webhook_log.record_incoming(arrived(ready(waiting), waiting))
    webhook_log.record_incoming(arrived(b"{}"))
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


def test_a_report_that_was_refused_can_be_applied_again(waiting: Video, anna: Caller, row: Row) -> None:
    webhook_log.record_incoming(arrived(ready(waiting)))
    told: list[str] = []
    rescue.replay(anna, newest(anna).id, enqueue=told.append)
    assert (row(waiting.id).status, row(waiting.id).source_url) == (Status.QUEUED, URL)
    assert told == [waiting.id]
    with reading() as session:
        event = session.exec(select(Event).where(Event.kind == "replayed")).one()
    assert (event.actor_id, event.video_id, event.detail["changed"]) == (anna.user_id, waiting.id, True)


def test_only_reports_can_be_replayed(waiting: Video, anna: Caller) -> None:
    del waiting
    with pytest.raises(Conflict):
        rescue.replay(anna, newest(anna).id, enqueue=list)  # our own call to the webhook
    webhook_log.record_incoming(arrived(b'{"videoId": 7}'))
    with pytest.raises(Conflict):
        rescue.replay(anna, newest(anna).id, enqueue=list)
    for absent in ("999", "x", "9" * 30):
        with pytest.raises(NotFound):
            rescue.replay(anna, absent, enqueue=list)


@pytest.mark.parametrize("failed", [False, True])
def test_a_stuck_video_goes_on_with_an_address_that_an_admin_has(
    waiting: Video, anna: Caller, generator: Generator, row: Row, failed: bool
) -> None:
    if failed:
        pipeline.cancel(anna, waiting.id)
    told: list[str] = []
    view = rescue.set_video_url(anna, waiting.id, generator.video_url, enqueue=told.append)
    assert (view.status, told) == ("processing", [waiting.id])
    assert (row(waiting.id).source_url, row(waiting.id).error_code) == (generator.video_url, None)
    with pytest.raises(Conflict):
        rescue.set_video_url(anna, waiting.id, generator.video_url, enqueue=list)


def test_an_address_that_must_not_be_fetched_rescues_nothing(waiting: Video, anna: Caller, row: Row) -> None:
    with pytest.raises(UnsafeUrl):
        rescue.set_video_url(anna, waiting.id, "http://10.0.0.1/video.mp4", enqueue=list)
    assert row(waiting.id).status == Status.GENERATING


def test_nobody_but_admins_sees_or_does_any_of_it(waiting: Video, bert: Caller) -> None:
    for attempt in (
        lambda: webhook_log.list_calls(bert),
        lambda: rescue.replay(bert, "1", enqueue=list),
        lambda: rescue.set_video_url(bert, waiting.id, URL, enqueue=list),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_tidying_forgets_what_is_older_than_thirty_days(waiting: Video, anna: Caller) -> None:
    webhook_log.record_incoming(arrived(ready(waiting)))
    with transaction() as session:
        session.get_one(WebhookCall, 1).at = utcnow() - timedelta(days=30, minutes=1)
    repair.clean_up()
    assert [each.id for each in webhook_log.list_calls(anna).deliveries] == ["2"]


def test_reports_are_taken_kept_and_forgotten_on_every_database(database: str, configure: Configure) -> None:
    del database
    configure(VIDEO_WEBHOOK_URL="https://generator.example/video")
    anna = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    video_id = orders.request(anna, SCRIPT, enqueue=list).video_id
    said = callbacks.Report(anna.user_id, video_id, "ready", URL)
    outcomes = [
        callbacks.apply(callbacks.signed_generator_caller(video_id), said, enqueue=list).changed
        for _ in range(2)
    ]
    assert outcomes == [True, False]
    generator = callbacks.signed_generator_caller(video_id)
    proven = replace(arrived({"error": "a\x00b"}), caller=generator, video_id=video_id)
    webhook_log.record_incoming(proven)
    webhook_log.record_incoming(arrived(b"\x00\xff"))
    assert [each.video_id for each in webhook_log.list_calls(anna).deliveries] == [None, video_id]
    webhook_log.purge(timedelta(seconds=-1))
    assert webhook_log.list_calls(anna).deliveries == []
