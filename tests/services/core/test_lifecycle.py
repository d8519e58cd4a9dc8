"""A video's status moves only along the drawn ways, and only for whoever saw its latest state."""

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
# Drawn once more, from the design (and a ready video fails when S3 has lost its object, and one that is generating is
# ready when the generator's answer was the video itself), so that the code is held against something.
WAYS = """
draft: generating deleting
generating: queued ready failed deleting
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
def test_every_drawn_way_is_taken_and_leaves_one_event(old: Status, new: Status) -> None:
    video = kept(old)
    with transaction() as session:
        assert lifecycle.transition(session, video, new)
    assert status_of(video) == new
    assert [(event.detail["from"], event.detail["to"]) for event in events()] == [(old, new)]


@pytest.mark.parametrize(("old", "new"), ILLEGAL, ids=str)
def test_every_other_way_is_refused_and_leaves_nothing(old: Status, new: Status) -> None:
    video = kept(old)
    with transaction() as session, pytest.raises(Conflict):
        lifecycle.transition(session, video, new)
    assert (status_of(video), events()) == (old, [])


@pytest.mark.parametrize(("old", "new"), LEGAL, ids=str)
@pytest.mark.parametrize("since", ["status", "attempt"])
def test_a_way_from_a_state_that_has_passed_changes_nothing(old: Status, new: Status, since: str) -> None:
    """Whatever is legal for what was seen is nothing at all once the row has moved on."""
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
def test_a_change_leaves_an_event_that_tells_from_to_why_and_by_whom(who: lifecycle.Actor, by: str) -> None:
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


def test_whoever_saw_an_older_attempt_changes_nothing() -> None:
    video = kept(Status.QUEUED)
    with transaction() as session:
        assert lifecycle.transition(session, video, Status.STORING, attempt=video.attempt + 1)
    late = Video(**video.model_dump() | {"status": Status.STORING})
    with transaction() as session:
        assert not lifecycle.transition(session, late, Status.FAILED)
        assert not lifecycle.update_if_unchanged(session, late, bytes_done=5)
    assert status_of(video) == Status.STORING


def test_of_two_who_saw_the_same_state_one_wins() -> None:
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


# Word of a video's end is left with the end itself, for those whom the settings name.

HOOK = {"NOTIFY_WEBHOOK_URL": "https://hooks.example.com/videos"}
MAIL = {"SMTP_URL": "smtp://mail.example.com", "MAIL_FROM": "videos@example.com"}
STORED: dict[str, Any] = {"size": 3_700_000, "format": "mp4", "duration": 20.0, "width": 640, "height": 360}
FAILURE: dict[str, Any] = {"error_code": "SOURCE_FAILED", "error_message": "Gone."}

Storing = Callable[..., Video]


@pytest.fixture
def storing(anna: Caller) -> Storing:
    """A video of Anna's that is being stored."""

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


def left() -> list[OutboxMessage]:
    with reading() as session:
        return list(session.exec(select(OutboxMessage).order_by(OutboxMessage.channel)))


def test_a_ready_video_is_told_with_all_that_is_known_of_it(
    storing: Storing, configure: Configure, anna: Caller
) -> None:
    configure(**HOOK)
    video = storing()
    end(video, Status.READY, **STORED)
    [message] = left()
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


def test_a_failed_video_says_why(storing: Storing, configure: Configure) -> None:
    configure(**HOOK)
    end(storing(), Status.FAILED, **FAILURE)
    [message] = left()
    assert message.kind == "video.failed"
    assert message.payload["data"]["error"] == {"code": "SOURCE_FAILED", "message": "Gone."}
    assert "metadata" not in message.payload["data"]


def test_nothing_secret_is_left_in_the_outbox(storing: Storing, configure: Configure) -> None:
    configure(**HOOK)
    video = storing()
    end(video, Status.READY, **STORED)
    for secret in ("secret.mp4", video.sealed_key, "X-Amz"):
        assert secret not in str(left()[0].payload)


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
def test_the_settings_say_who_is_told(
    storing: Storing,
    configure: Configure,
    chosen: dict[str, str],
    of_ready: list[str],
    of_failed: list[str],
) -> None:
    configure(**chosen)
    end(storing(), Status.READY, **STORED)
    assert [message.channel for message in left()] == of_ready
    end(storing(), Status.FAILED, **FAILURE)
    assert sorted(message.channel for message in left()) == sorted([*of_ready, *of_failed])


def test_word_is_left_with_the_change_or_not_at_all(storing: Storing, configure: Configure) -> None:
    configure(**HOOK)
    video = storing()
    with pytest.raises(RuntimeError):
        end_and_break(video)
    assert left() == []
    end(video, Status.READY, **STORED)
    with transaction() as session:
        assert not lifecycle.transition(session, video, Status.READY, **STORED)  # another worker, too late
    assert len(left()) == 1


def test_who_cancels_or_deletes_is_not_told_of_it(
    storing: Storing, configure: Configure, anna: Caller, moto_s3: object
) -> None:
    del moto_s3
    configure(**HOOK)
    pipeline.cancel(anna, storing().id)
    deletion.delete(anna, storing().id)
    assert left() == []
