"""What a finished or failed video has to tell its owner: on open pages, and in the outbox for those outside."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, select

from videovault.config import settings
from videovault.models import Channel, Event, OutboxMessage, Status, Video, now
from videovault.services.views import NoticeView, VideoView, iso

ENDS = (Status.READY, Status.FAILED)


def queue(session: Session, video_id: str) -> None:
    """Leave word, in the same transaction, of a video that has just become ready or failed."""
    fresh = select(Video).where(Video.id == video_id).execution_options(populate_existing=True)
    video = session.exec(fresh).one()
    if not _is_news(video):
        return
    kind = f"video.{video.status}"
    payload = {"type": kind, "timestamp": iso(now()), "data": _data(video)}
    for channel in channels():
        if _is_wanted(channel, video.status):
            session.add(OutboxMessage(kind=kind, channel=channel, video_id=video.id, payload=payload))


def channels() -> list[Channel]:
    """The ways outside that the settings name."""
    chosen = settings()
    ways = {
        Channel.WEBHOOK: bool(chosen.notify_webhook_url),
        Channel.MAIL: chosen.smtp is not None,  # links for new passwords go this way even without notices
    }
    return [channel for channel, is_open in ways.items() if is_open]


def told(late: Sequence[Event], videos: Mapping[str, Video]) -> Mapping[str, Sequence[NoticeView]]:
    """What these events have to tell on open pages, by owner and in their order."""
    found: dict[str, list[NoticeView]] = defaultdict(list)
    for event in sorted(late, key=lambda event: event.id or 0):
        video = videos.get(event.video_id or "")
        if (
            video
            and event.detail.get("to") in ENDS
            and video.status == event.detail["to"]
            and _is_news(video)
        ):
            found[video.owner_id].append(NoticeView.of(event, video))
    return found


def _is_news(video: Video) -> bool:
    """Who cancels a video knows that it has ended."""
    return not (video.status == Status.FAILED and video.error_code == "CANCELLED")


def _is_wanted(channel: Channel, status: Status) -> bool:
    wish = settings().mail_notices if channel == Channel.MAIL else "all"
    return wish == "all" or (wish == "failed" and status == Status.FAILED)


def _data(video: Video) -> dict[str, Any]:
    """Nothing secret, and no link that would end: whoever is told asks the API for one."""
    result = {"metadata"} if video.status == Status.READY else {"error"}
    shown = VideoView.of(video).model_dump(
        mode="json", by_alias=True, exclude_none=True, include={"title", "status"} | result
    )
    return {"videoId": video.id, "userId": video.owner_id, **shown}
