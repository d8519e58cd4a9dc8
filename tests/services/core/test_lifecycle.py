"""A video changes its status only by allowed transitions and from its latest state; its end queues notices."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import col, select

from tests.support.installation import Configure
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict
from videovault.models import Event, OutboxMessage, Status, User, Video
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.transfer import pipeline
from videovault.services.videos import deletion

pytestmark = pytest.mark.usefixtures("installation")
PAIRS = list(itertools.product(Status, Status))
# Repeated from the design, as an independent reference for the code. A ready video fails if S3 has lost its object; a
# generating one becomes ready if the generator's answer was the video itself, and is ordered again if it was lost.
WAYS = """
draft: generating deleting
generating: generating queued ready failed deleting
queued: storing failed deleting
storing: ready queued failed deleting
ready: failed deleting
failed: generating queued deleting
"""
DRAWN = {
    (Status(old), Status(new))
    for old, news in (line.split(":") for line in WAYS.strip().splitlines())
    for new in news.split()
}
LEGAL = [pair for pair in PAIRS if pair in DRAWN]
ILLEGAL = [pair for pair in PAIRS if pair not in DRAWN]


def kept(status: Status) -> Video:
    with transaction() as session:
        user = User(email="a@example.com", password_hash="-")
        session.add(user)
        session.flush()
        video = lifecycle.new_video(user.id, status, "A title")
        session.add(video)
    return video


def status_of(video: Video) -> str:
    with reading() as session:
        found = session.get(Video, video.id)
        assert found
        return found.status


def events() -> list[Event]:
    with reading() as session:
        return list(session.exec(select(Event)))


@pytest.mark.parametrize(("old", "new"), LEGAL, ids=str)
def test_every_allowed_transition_works_and_records_one_event(old: Status, new: Status) -> None:
    video = kept(old)
    with transaction() as session:
        assert lifecycle.transition(session, video, new)
    assert status_of(video) == new
    assert [(event.detail["from"], event.detail["to"]) for event in events()] == [(old, new)]


@pytest.mark.parametrize(("old", "new"), ILLEGAL, ids=str)
def test_every_other_transition_is_refused(old: Status, new: Status) -> None:
    video = kept(old)
    with transaction() as session, pytest.raises(Conflict):
        lifecycle.transition(session, video, new)
    assert (status_of(video), events()) == (old, [])


@pytest.mark.parametrize(("old", "new"), LEGAL, ids=str)
@pytest.mark.parametrize("since", ["status", "attempt"])
def test_a_transition_from_an_outdated_state_changes_nothing(old: Status, new: Status, since: str) -> None:
    """A transition that was allowed from the state read earlier has no effect once the row has changed."""
    video = kept(old)
    other = next(status for status in Status if status != old)
    with transaction() as session:
        row = session.get_one(Video, video.id)
        setattr(row, since, other if since == "status" else row.attempt + 1)
    with reading() as session:
        before = session.get_one(Video, video.id).model_dump()
    with transaction() as session:
        assert not lifecycle.transition(session, video, new, title="Changed")
        assert not lifecycle.update_if_unchanged(session, video, title="Changed")
    with reading() as session:
        assert session.get_one(Video, video.id).model_dump() == before
    assert events() == []


@pytest.mark.parametrize(
    ("who", "by"),
    [
        ({"actor_id": "somebody"}, "person"),
        ({}, "worker"),
        ({"by": "generator"}, "generator"),
        ({"by": "repair"}, "repair"),
    ],
)
def test_a_transition_records_an_event_with_states_reason_and_actor(who: lifecycle.Actor, by: str) -> None:
    video = kept(Status.QUEUED)
    with transaction() as session:
        lifecycle.transition(session, video, Status.STORING, why="claimed", **who)
    event = events()[0]
    assert event.detail == {"from": "queued", "to": "storing", "why": "claimed", "by": by}
    assert (event.actor_id, event.video_id) == (who.get("actor_id"), video.id)


def test_a_change_may_depend_on_more_than_status_and_attempt() -> None:
    video = kept(Status.GENERATING)
    unasked = col(Video.requested_at).is_(None)
    outcomes = []
    for _ in range(2):
        with transaction() as session:
            outcomes.append(lifecycle.update_if_unchanged(session, video, unasked, requested_at=utcnow()))
    assert outcomes == [True, False]


def test_an_update_for_an_older_attempt_changes_nothing() -> None:
    video = kept(Status.QUEUED)
    with transaction() as session:
        assert lifecycle.transition(session, video, Status.STORING, attempt=video.attempt + 1)
    late = Video(**video.model_dump() | {"status": Status.STORING})
    with transaction() as session:
        assert not lifecycle.transition(session, late, Status.FAILED)
        assert not lifecycle.update_if_unchanged(session, late, bytes_done=5)
    assert status_of(video) == Status.STORING


def test_of_two_concurrent_transitions_one_wins() -> None:
    video = kept(Status.QUEUED)
    with transaction() as one:
        first = one.get(Video, video.id)
        assert first
    with transaction() as other:
        second = other.get(Video, video.id)
        assert second
    outcomes = []
    for seen in (first, second):
        with transaction() as session:
            outcomes.append(lifecycle.transition(session, seen, Status.STORING, attempt=seen.attempt + 1))
    assert outcomes == [True, False]


# Notices are queued in the transaction that ends the video, for the configured channels.

HOOK = {"NOTIFY_WEBHOOK_URL": "https://hooks.example.com/videos"}
MAIL = {"SMTP_URL": "smtp://mail.example.com", "MAIL_FROM": "videos@example.com"}
STORED: dict[str, Any] = {"size": 3_700_000, "format": "mp4", "duration": 20.0, "width": 640, "height": 360}
FAILURE: dict[str, Any] = {"error_code": "SOURCE_FAILED", "error_message": "Gone."}

Storing = Callable[..., Video]


@pytest.fixture
def storing(anna: Caller) -> Storing:
    """A video of Anna that is being stored."""

    def make(title: str = "Bread", **values: Any) -> Video:
        values = {
            "s3_key": "videos/a/secret.mp4",
            "source_url": "https://cdn.example.com/secret.mp4",
        } | values
        with transaction() as session:
            video = lifecycle.new_video(anna.user_id, Status.STORING, title, **values)
            session.add(video)
        return video

    return make


def end(video: Video, to: Status, **values: Any) -> None:
    with transaction() as session:
        assert lifecycle.transition(session, video, to, why="tested", **values)


def end_and_break(video: Video) -> None:
    with transaction() as session:
        lifecycle.transition(session, video, Status.READY, **STORED)
        raise RuntimeError("the machine stops before the commit")


def queued_messages() -> list[OutboxMessage]:
    with reading() as session:
        return list(session.exec(select(OutboxMessage).order_by(OutboxMessage.channel)))


def test_a_notice_of_a_ready_video_has_its_metadata(
    storing: Storing, configure: Configure, anna: Caller
) -> None:
    configure(**HOOK)
    video = storing()
    end(video, Status.READY, **STORED)
    [message] = queued_messages()
    assert (message.kind, message.channel, message.video_id) == ("video.ready", "webhook", video.id)
    assert (message.attempts, message.delivered_at) == (0, None)
    at = message.payload.pop("timestamp")
    assert at.startswith(f"{utcnow():%Y-%m-%dT}")
    assert message.payload == {
        "type": "video.ready",
        "data": {
            "videoId": video.id,
            "userId": anna.user_id,
            "title": "Bread",
            "status": "ready",
            "metadata": STORED,
        },
    }


def test_a_notice_of_a_failed_video_has_the_reason(storing: Storing, configure: Configure) -> None:
    configure(**HOOK)
    end(storing(), Status.FAILED, **FAILURE)
    [message] = queued_messages()
    assert message.kind == "video.failed"
    assert message.payload["data"]["error"] == {"code": "SOURCE_FAILED", "message": "Gone."}
    assert "metadata" not in message.payload["data"]


def test_nothing_secret_is_left_in_the_outbox(storing: Storing, configure: Configure) -> None:
    configure(**HOOK)
    video = storing()
    end(video, Status.READY, **STORED)
    for secret in ("secret.mp4", video.sealed_key, "X-Amz"):
        assert secret not in str(queued_messages()[0].payload)


@pytest.mark.parametrize(
    ("chosen", "of_ready", "of_failed"),
    [
        ({}, [], []),
        (HOOK, ["webhook"], ["webhook"]),
        (MAIL, ["mail"], ["mail"]),
        (HOOK | MAIL, ["mail", "webhook"], ["mail", "webhook"]),
        (HOOK | MAIL | {"MAIL_NOTICES": "failed"}, ["webhook"], ["mail", "webhook"]),
        (HOOK | MAIL | {"MAIL_NOTICES": "off"}, ["webhook"], ["webhook"]),
    ],
)
def test_the_settings_choose_the_notices(
    storing: Storing,
    configure: Configure,
    chosen: dict[str, str],
    of_ready: list[str],
    of_failed: list[str],
) -> None:
    configure(**chosen)
    end(storing(), Status.READY, **STORED)
    assert [message.channel for message in queued_messages()] == of_ready
    end(storing(), Status.FAILED, **FAILURE)
    assert sorted(message.channel for message in queued_messages()) == sorted([*of_ready, *of_failed])


def test_a_notice_is_queued_in_the_transaction_of_the_change(storing: Storing, configure: Configure) -> None:
    configure(**HOOK)
    video = storing()
    with pytest.raises(RuntimeError):
        end_and_break(video)
    assert queued_messages() == []
    end(video, Status.READY, **STORED)
    with transaction() as session:
        assert not lifecycle.transition(session, video, Status.READY, **STORED)  # another worker, too late
    assert len(queued_messages()) == 1


def test_cancellations_and_deletions_queue_no_notice(
    storing: Storing, configure: Configure, anna: Caller, moto_s3: object
) -> None:
    del moto_s3
    configure(**HOOK)
    pipeline.cancel(anna, storing().id)
    deletion.delete(anna, storing().id)
    assert queued_messages() == []
