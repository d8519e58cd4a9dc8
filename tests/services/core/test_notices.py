"""Word of a video's end is left with the end itself, for those whom the settings name."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from tests.support.installation import Configure
from videovault.db import reading, transaction
from videovault.models import OutboxMessage, Status, Video, now
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.transfer import pipeline
from videovault.services.videos import deletion

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
        assert lifecycle.move(session, video, to, why="tested", **values)


def end_and_break(video: Video) -> None:
    with transaction() as session:
        lifecycle.move(session, video, Status.READY, **STORED)
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
    assert at.startswith(f"{now():%Y-%m-%dT}")
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
        assert not lifecycle.move(session, video, Status.READY, **STORED)  # another worker, too late
    assert len(left()) == 1


def test_who_cancels_or_deletes_is_not_told_of_it(
    storing: Storing, configure: Configure, anna: Caller, moto_s3: object
) -> None:
    del moto_s3
    configure(**HOOK)
    pipeline.cancel(anna, storing().id)
    deletion.delete(anna, storing().id)
    assert left() == []
