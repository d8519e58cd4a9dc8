"""A reply that is not understood does not fail the video: its owner is notified, and an admin chooses the result field."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.support.generator import Generator
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Forbidden, InvalidInput
from videovault.models import ChosenSetting, Status, Video, WebhookCall
from videovault.services.admin import rescue
from videovault.services.core.access import Caller
from videovault.services.generation import orders, result_field, webhook_log
from videovault.services.videos import gallery

Generating = Callable[[], Video]
Answering = Callable[[Any], Video]


@pytest.fixture
def answering(generator: Generator, generating: Generating, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """A video whose generator sent this reply."""
    from tests.support import generator_modes  # the table that the stand-in answers by

    def order(body: Any) -> Video:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        monkeypatch.setitem(generator_modes.ANSWERS, "nonsense", generator_modes.Said(200, raw))
        generator.mode = "nonsense"
        video = generating()
        orders.send_order(video.id)
        return video

    return order


def newest() -> WebhookCall:
    with reading() as session:
        found = session.exec(select(WebhookCall).order_by(WebhookCall.id.desc())).first()  # type: ignore[union-attr] # a column
        assert found
        return found


def test_the_owner_is_notified_and_the_video_keeps_waiting(
    answering: Answering, anna: Caller, row: Row
) -> None:
    video = answering({"movie": "purple"})
    assert row(video.id).status == Status.GENERATING
    assert row(video.id).deadline_at
    progress = gallery.get(anna, video.id).progress
    assert progress
    assert progress.problem
    assert "could not read" in progress.problem
    assert (newest().verdict, newest().answer) == ("unread", '{"movie": "purple"}')


def test_choosing_a_result_field_continues_all_waiting_videos(
    answering: Answering, generator: Generator, anna: Caller, bert: Caller, row: Row
) -> None:
    body = {
        "files": {"a": generator.file("a.mp4"), "b": generator.file("b.mp4")},
        "thumb": generator.file("t.jpg"),
    }
    waiting = [answering(body).id for _ in range(2)]
    call = webhook_log.list_calls(anna).deliveries[0]
    assert [field.path for field in call.fields] == ["files.a", "files.b", "thumb"]
    assert call.fields[0].address == f"{generator.url}/…"
    enqueued: list[str] = []
    with pytest.raises(Forbidden):
        rescue.choose_result_field(bert, call.id, "files.b", enqueue=enqueued.append)
    with pytest.raises(InvalidInput):
        rescue.choose_result_field(anna, call.id, "files.c", enqueue=enqueued.append)
    assert rescue.choose_result_field(anna, call.id, "files.b", enqueue=enqueued.append) == 2
    assert sorted(enqueued) == sorted(waiting)
    for video_id in waiting:
        found = row(video_id)
        assert (found.status, found.source_url) == (Status.QUEUED, generator.file("b.mp4"))
        assert found.unread_at is None
    later = answering(body)
    assert row(later.id).source_url == generator.file("b.mp4")
    assert result_field.video_result_field() == "files.b"
    with reading() as session:
        assert session.get_one(ChosenSetting, result_field.VIDEO_RESULT_FIELD).chosen_by == anna.user_id


def test_a_reply_to_an_earlier_order_is_not_read_again(
    answering: Answering, generator: Generator, anna: Caller, row: Row
) -> None:
    video = answering({"a": generator.file("a.mp4"), "b": generator.file("b.mp4")})
    call = webhook_log.list_calls(anna).deliveries[0]
    with transaction() as session:
        session.get_one(Video, video.id).requested_at = utcnow() + timedelta(seconds=1)
    assert rescue.choose_result_field(anna, call.id, "a", enqueue=list) == 0
    assert row(video.id).status == Status.GENERATING


def test_a_long_reply_is_cut_and_recorded_without_the_token(answering: Answering) -> None:
    answering({"callbackToken": "secret.token.here", "text": "x" * 200_000})
    call = newest()
    assert call.verdict == "unread"
    assert "secret.token.here" not in call.answer
    assert webhook_log.MAX_BODY_BYTES < len(call.answer) <= webhook_log.MAX_UNREAD_BODY_BYTES


def test_an_announced_url_is_fetched_at_the_deadline(
    answering: Answering, generator: Generator, row: Row
) -> None:
    video = answering([{"id": "c1", "status": "rendering", "url": generator.video_url}])
    found = row(video.id)
    assert (found.status, found.expected_url, found.source_url) == (
        Status.GENERATING,
        generator.video_url,
        None,
    )
    with transaction() as session:
        session.get_one(Video, video.id).deadline_at = utcnow() - timedelta(seconds=1)
    orders.fail_overdue()
    found = row(video.id)
    assert (found.status, found.source_url, found.expected_url) == (Status.QUEUED, generator.video_url, None)


def test_a_finished_video_without_a_url_is_not_understood(answering: Answering, row: Row) -> None:
    video = answering({"status": "completed", "movie": {"at": "gs://bucket/movie.mp4"}})
    assert (row(video.id).status, bool(row(video.id).unread_at)) == (Status.GENERATING, True)
    assert (newest().verdict, newest().why) == (
        "unread",
        "It says that the video is finished, and names no address of it.",
    )
