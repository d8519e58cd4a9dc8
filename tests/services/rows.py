"""Rows that are put into the database as they are needed, without anybody having asked for them."""

from datetime import timedelta

from videovault.db import moment, transaction
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller


def put(owner: Caller, status: Status, *, ago: float = 0, **values: object) -> str:
    """The id of a video that waits since ``ago`` seconds."""
    with transaction() as session:
        since = moment(session) - timedelta(seconds=ago)
        video = lifecycle.new_video(
            owner.user_id, status, "A title", **{"queued_at": since, "updated_at": since} | values
        )
        session.add(video)
        return video.id


def end(video_id: str, status: Status) -> None:
    """The worker has come to an end with it."""
    with transaction() as session:
        video = session.get_one(Video, video_id)
        assert lifecycle.move(session, video, status, heartbeat_at=None)
