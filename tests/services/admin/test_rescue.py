"""Admins help stuck videos: they replay reports and set the URL of the finished file."""

import json

import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.support.generator import Generator
from videovault.db import reading
from videovault.errors import Conflict, NotFound, UnsafeUrl
from videovault.models import Event, Status, Video
from videovault.services.admin import rescue
from videovault.services.core.access import Caller
from videovault.services.generation import webhook_log
from videovault.services.generation.webhook_log import IncomingCall
from videovault.services.transfer import pipeline

URL = "https://cdn.example/films/secret-name.mp4?X-Amz-Signature=abc"


def refused(admin: Caller, body: object) -> str:
    """The log's id of a refused call with this body."""
    webhook_log.record_incoming(IncomingCall("status", {}, json.dumps(body).encode(), "refused", 401))
    return newest(admin)


def newest(admin: Caller) -> str:
    return webhook_log.list_calls(admin).deliveries[0].id


def test_a_refused_report_can_be_replayed(waiting: Video, anna: Caller, row: Row) -> None:
    report = {"userId": waiting.owner_id, "videoId": waiting.id, "status": "ready", "videoUrl": URL}
    enqueued: list[str] = []
    rescue.replay(anna, refused(anna, report), enqueue=enqueued.append)
    assert (row(waiting.id).status, row(waiting.id).source_url) == (Status.QUEUED, URL)
    assert enqueued == [waiting.id]
    with reading() as session:
        event = session.exec(select(Event).where(Event.kind == "replayed")).one()
    assert (event.actor_id, event.video_id, event.detail["changed"]) == (anna.user_id, waiting.id, True)


def test_only_reports_can_be_replayed(waiting: Video, anna: Caller) -> None:
    del waiting
    with pytest.raises(Conflict):
        rescue.replay(anna, newest(anna), enqueue=list)  # our own call to the webhook
    with pytest.raises(Conflict):
        rescue.replay(anna, refused(anna, {"videoId": 7}), enqueue=list)
    for absent in ("999", "x", "9" * 30):
        with pytest.raises(NotFound):
            rescue.replay(anna, absent, enqueue=list)


@pytest.mark.parametrize("failed", [False, True])
def test_a_stuck_video_continues_with_a_url_from_an_admin(
    waiting: Video, anna: Caller, generator: Generator, row: Row, failed: bool
) -> None:
    if failed:
        pipeline.cancel(anna, waiting.id)
    enqueued: list[str] = []
    view = rescue.set_video_url(anna, waiting.id, generator.video_url, enqueue=enqueued.append)
    assert (view.status, enqueued) == ("processing", [waiting.id])
    assert (row(waiting.id).source_url, row(waiting.id).error_code) == (generator.video_url, None)
    with pytest.raises(Conflict):
        rescue.set_video_url(anna, waiting.id, generator.video_url, enqueue=list)


def test_an_unsafe_url_is_refused_for_a_stuck_video(waiting: Video, anna: Caller, row: Row) -> None:
    with pytest.raises(UnsafeUrl):
        rescue.set_video_url(anna, waiting.id, "http://10.0.0.1/video.mp4", enqueue=list)
    assert row(waiting.id).status == Status.GENERATING
