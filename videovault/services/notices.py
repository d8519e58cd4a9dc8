"""What a finished or failed video has to tell its owner: on open pages, and in the outbox for those outside."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from videovault.config import settings
from videovault.db import reading
from videovault.models import Channel, Event, OutboxMessage, Status, Video, now
from videovault.services.views import NoticeView, VideoView, iso

ENDS = (Status.READY, Status.FAILED)
# Rows become visible in another order than they are made, and the clocks of machines differ a little.
RECENT = timedelta(seconds=30)


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


def recent() -> Mapping[str, Sequence[NoticeView]]:
    """Everybody's notices of late, by owner and in their order: one look for all pages of a process.

    Whoever asks must show to each person nothing but that person's own.
    """
    with reading() as session:
        # Nothing but the time in this query, or SQLite takes an index that half of the table is behind.
        late = session.exec(select(Event).where(col(Event.at) > now() - RECENT))
        ends = [event for event in late if event.detail.get("to") in ENDS]
        named = select(Video).where(col(Video.id).in_({event.video_id for event in ends}))
        videos = {video.id: video for video in session.exec(named)} if ends else {}
    found: dict[str, list[NoticeView]] = defaultdict(list)
    for event in sorted(ends, key=lambda event: event.id or 0):
        video = videos.get(event.video_id or "")
        if video and video.status == event.detail["to"] and _is_news(video):
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
